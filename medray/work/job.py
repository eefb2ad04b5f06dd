"""What is done with decoded images. A job travels to where it is done as plain values and opens there what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from medray.data.correction import Correction, Interpolation
from medray.data.key_file import KeyName
from medray.data.segmentation import MaskChoice
from medray.errors import InputError
from medray.types import Image


@dataclass(frozen=True)
class Done:
    """What a job made of one image.

    Attributes:
        value: as :meth:`Work.columns` takes it.
        flags: what is odd about the image in the end.
    """

    value: Any
    flags: tuple[str, ...] = ()


Result = Done | InputError


@dataclass(frozen=True)
class Volumes:
    """How inputs become volumes.

    Attributes:
        allow, max_bytes, correct, interpolation: as :func:`medray.data.volume.build_volume` takes them; the members are not
            larger either.
    """

    allow: tuple[str, ...] = ()
    max_bytes: int = 1 << 30
    correct: tuple[Correction, ...] = ()
    interpolation: Interpolation = "linear"


class Work(Protocol):
    """An opened job."""

    @property
    def batch(self) -> int:
        """How many images it takes at a time."""
        ...

    @property
    def colour(self) -> bool:
        """Whether images are decoded in colour where they are stored so; a volume is grey."""
        ...

    def results(self, images: Sequence[Image]) -> Sequence[Result]:
        """What is made of each image, or why nothing is."""
        ...

    def columns(self, values: Sequence[Any]) -> Sequence[pa.Array]:
        """The columns of :meth:`ImageJob.fields` for the values of some images; null where a value is None."""
        ...


class ImageJob(Protocol):
    """A job adds columns to the outcome row of each image."""

    @property
    def block_rows(self) -> int:
        """How many inputs of about equal size a block has at least, so that a network gets full batches."""
        ...

    @property
    def gpu(self) -> bool:
        """Whether a GPU is of use, where the cluster has one."""
        ...

    @property
    def volumes(self) -> Volumes | None:
        """How each input becomes a volume; None where it is one image."""
        ...

    @property
    def choice(self) -> MaskChoice:
        """What of the masks counts, where inputs have masks."""
        ...

    @property
    def pseudonyms(self) -> KeyName | None:
        """The key that makes the pseudonyms of inputs whose rows hold none; without it they have none."""
        ...

    def fields(self) -> list[pa.Field]:
        """The columns that the job adds; null where the image was not scored."""
        ...

    def open(self) -> Work:
        """Load what the job needs, once per actor."""
        ...
