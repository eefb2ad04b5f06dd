"""What some models and families can do beyond the contract (see :mod:`medray.models.family`)."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from medray.tasks.task import Task
from medray.types import Float32, Float64


@runtime_checkable
class NetworkModel(Protocol):
    """A model that may compute on a GPU."""

    def move(self, device: str) -> None:
        """Compute on "cpu" or "cuda" from now on."""
        ...


@runtime_checkable
class EmbeddingModel(Protocol):
    """A model whose network also gives its penultimate-layer activations.

    Attributes:
        shape: of one image: rows and columns, of several channels (channels, rows, columns).
        embedding_size: activations of an image.
    """

    shape: tuple[int, ...]
    embedding_size: int

    def embed(self, x: Float32, device: str = "cpu") -> Float64:
        """float64 (n, embedding_size) for float32 (n, rows, columns); rows do not depend on their neighbours in the batch."""
        ...


@runtime_checkable
class SaliencyModel(Protocol):
    """A model that shows where it looks."""

    def saliency(self, x: Float32) -> Float32:
        """float32 (rows, columns) in [0, 1] for one image."""
        ...


@runtime_checkable
class Watching(Protocol):
    """Parameters of a fit that may stop, or choose what it keeps, by the validation split."""

    @property
    def watches(self) -> bool:
        """Whether it does: then figures on that split are not those of unseen images."""
        ...


@runtime_checkable
class Sized(Protocol):
    """Parameters of a network that takes images of certain sizes only."""

    @property
    def side_multiple(self) -> int:
        """What rows and columns must be multiples of."""
        ...

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether it takes images of this shape, (…, rows, columns)."""
        ...


@runtime_checkable
class Starting(Protocol):
    """A family whose fits may begin with weights from elsewhere."""

    def start(self, params: Any, shape: tuple[int, ...], task: Task) -> str:
        """What a fit takes of such weights, in words; "" where it takes none. Asked before anything is fitted.

        Args:
            shape: of one input.

        Raises:
            BundleError: WEIGHTS_FORMAT, WEIGHTS_MISFIT; StoreError.
        """
        ...
