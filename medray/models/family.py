"""The contract of a model family. One file per family implements it; train, tune, evaluate, screen and serve know only this."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from medray.spec import Spec
from medray.types import Float32, Float64, Int64

InputKind = Literal["table", "image"]
Parallelism = Literal["torch", "xgboost", "single"]
"""How a fit spreads over workers: a torch process group, the XGBoost collective, or not at all."""

SearchSpace = Mapping[str, Mapping[str, Any]]
"""Parameter → one of {"choice": [...]}, {"int": [low, high]}, {"uniform": [low, high]}, {"log": [low, high]}; plain data."""


@dataclass(frozen=True)
class Samples:
    """Training samples of one split, or one worker's shard of it.

    Attributes:
        x: float32 (n, features) for table families, (n, rows, columns) for image families.
        y: int64 (n,) class indices, 0 = negative, 1 = positive.
        columns: names of the features of a table, in order; empty for images.
        groups: int64 (n,) patient numbers; samples of one patient share a number.
    """

    x: Float32
    y: Int64
    groups: Int64
    columns: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class FitData:
    """What a fit sees: the (shard of the) training split and the whole validation split."""

    train: Samples
    valid: Samples


class FitContext(Protocol):
    """What the place where a fit runs offers to it."""

    rank: int
    world_size: int
    threads: int
    device: str
    """"cpu" or "cuda"."""
    seed: int

    def wrap(self, network: Any) -> Any:
        """The network ready for data-parallel training (DDP when world_size > 1), on ``device``."""
        ...

    def report(self, step: int, metrics: Mapping[str, float], save: Callable[[Path], None] | None = None) -> None:
        """Publish the metrics of a step (epoch, round). Called by every rank; with ``save``, rank 0's checkpoint is kept:
        ``save(folder)`` writes its files. May raise to stop the fit (early termination by a sweep)."""
        ...

    def checkpoint(self) -> Path | None:
        """Folder of the newest checkpoint of an interrupted fit of the same run, or None to start afresh."""
        ...


class Model(Protocol):
    """A fitted model."""

    def predict_proba(self, x: Float32) -> Float64:
        """Probability of each class, float64 (n, classes); rows do not depend on their neighbours in the batch."""
        ...

    def save(self, folder: Path) -> None:
        """Write the model's files (no pickle) into an existing empty folder."""
        ...


@runtime_checkable
class EmbeddingModel(Protocol):
    """A model whose network also gives the activations before its last layer.

    Attributes:
        shape: rows and columns of the images.
        embedding_size: activations of an image.
    """

    shape: tuple[int, int]
    embedding_size: int

    def embed(self, x: Float32, device: str = "cpu") -> Float64:
        """float64 (n, embedding_size) for float32 (n, rows, columns); rows do not depend on their neighbours in the batch."""
        ...


class ModelFamily(Protocol):
    """One kind of model."""

    name: str
    input: InputKind
    parallelism: Parallelism
    params: type[Spec]
    search_space: SearchSpace

    def fit(self, data: FitData, params: Any, context: FitContext) -> Model:
        """Train; raises ModelError when the data cannot be trained on."""
        ...

    def load(self, folder: Path) -> Model:
        """Read what ``Model.save`` wrote; raises BundleError."""
        ...


@dataclass
class LocalContext:
    """A FitContext for one process without Ray: tests, notebooks.

    ``folder`` holds the checkpoints (a subfolder per step); None keeps none.
    """

    threads: int = 1
    device: str = "cpu"
    seed: int = 0
    folder: Path | None = None
    on_report: Callable[[int, Mapping[str, float]], None] | None = None
    rank: int = 0
    world_size: int = 1

    def wrap(self, network: Any) -> Any:
        """See :meth:`FitContext.wrap`."""
        return network.to(self.device)

    def report(self, step: int, metrics: Mapping[str, float], save: Callable[[Path], None] | None = None) -> None:
        """See :meth:`FitContext.report`."""
        if self.folder is not None and save is not None:
            partial = self.folder / f".partial-{step:06d}"
            partial.mkdir(parents=True, exist_ok=True)
            save(partial)
            partial.rename(self.folder / f"{step:06d}")
        if self.on_report is not None:
            self.on_report(step, metrics)

    def checkpoint(self) -> Path | None:
        """See :meth:`FitContext.checkpoint`."""
        if self.folder is None or not self.folder.is_dir():
            return None
        steps = sorted(path for path in self.folder.iterdir() if path.name.isdigit())
        return steps[-1] if steps else None
