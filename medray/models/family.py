"""The contract of a model family: a file or package each. Train, tune, evaluate, screen and serve know only this."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from numpy.typing import NDArray

from medray.errors import ModelError
from medray.spec import Spec
from medray.tasks.head import HeadKind, Output
from medray.tasks.task import Task
from medray.types import Float32, Int64

InputKind = Literal["table", "image"]
Parallelism = Literal["torch", "xgboost", "single"]
"""How a fit spreads over workers: a torch process group, the XGBoost collective, or not at all."""

SearchSpace = Mapping[str, Mapping[str, Any]]
"""Parameter → one of {"choice": [...]}, {"int": [low, high]}, {"uniform": [low, high]}, {"log": [low, high]}; plain data."""


class Batch(NamedTuple):
    """Some samples.

    Attributes:
        x: float32 (n, features) for table families; for image families (n, rows, columns), of several channels
            (n, channels, rows, columns).
        y: the targets as the task's head takes them (see :class:`medray.tasks.head.Head`), first axis n.
    """

    x: Float32
    y: NDArray[Any]


class Samples(Protocol):
    """Training samples of one split, or one worker's shard of it; they may be more than memory holds."""

    def __len__(self) -> int: ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the input of one sample."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the features of a table, in order; empty for images."""
        ...

    @property
    def groups(self) -> Int64:
        """int64 (n,) patient numbers; samples of one patient share a number."""
        ...

    @property
    def folds(self) -> Int64 | None:
        """int64 (n,) numbers of the folds that the labels give, each of whole patients; None where they give none."""
        ...

    @property
    def y(self) -> NDArray[Any]:
        """All targets; of maps they are as large as the images, so that batches are the way to them."""
        ...

    def batch(self, indices: Int64) -> Batch:
        """Some samples, by number; raises StoreError where they cannot be read."""
        ...

    def batches(self, parts: Iterable[Int64]) -> Iterator[Batch]:
        """The samples of each part, some parts ahead of their use."""
        ...

    def table(self, most_bytes: int, who: str) -> Batch:
        """All of them, for a family that needs them at once.

        Args:
            most_bytes: largest table in memory, as float32.
            who: the family, for the message.

        Raises:
            ModelError: MODEL_TABLE_TOO_LARGE.
        """
        ...


@dataclass(frozen=True)
class ArraySamples:
    """Samples in memory.

    Attributes:
        x, y, groups, columns, folds: as :class:`Batch` and :class:`Samples` have them.
    """

    x: Float32
    y: NDArray[Any]
    groups: Int64
    columns: tuple[str, ...] = ()
    folds: Int64 | None = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input."""
        return self.x.shape[1:]

    def batch(self, indices: Int64) -> Batch:
        """See :meth:`Samples.batch`."""
        return Batch(self.x[indices], self.y[indices])

    def batches(self, parts: Iterable[Int64]) -> Iterator[Batch]:
        """See :meth:`Samples.batches`."""
        return map(self.batch, parts)

    def table(self, most_bytes: int, who: str) -> Batch:
        """See :meth:`Samples.table`."""
        require_table(self, most_bytes, who)
        return Batch(self.x, self.y)


def size_bytes(samples: Samples) -> int:
    """Bytes of all inputs as float32."""
    return 4 * len(samples) * math.prod(samples.shape)


def require_table(samples: Samples, most_bytes: int, who: str) -> None:
    """Raise ModelError MODEL_TABLE_TOO_LARGE where all inputs are larger than that."""
    if size_bytes(samples) > most_bytes:
        rows, columns = len(samples), math.prod(samples.shape)
        message = f"{who} takes a table of {most_bytes / 2**30:g} GiB, {rows} samples of {columns} features are "
        hint = "raise max_table_gib where there is memory, learn from fewer, or take xgb, which reads larger tables from disk"
        raise ModelError("MODEL_TABLE_TOO_LARGE", f"{message}{size_bytes(samples) / 2**30:.2f} GiB", hint)


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

    def report(self, step: int, metrics: Mapping[str, float], save: Callable[[Path], None] | None = None) -> None:
        """Publish the metrics of a step (epoch, round). Called by every rank; with ``save``, rank 0's checkpoint is kept:
        ``save(folder)`` writes its files. May raise to stop the fit (early termination by a sweep)."""
        ...

    def checkpoint(self) -> Path | None:
        """Folder of the newest checkpoint of an interrupted fit of the same run, or None to start afresh."""
        ...


class Model(Protocol):
    """A fitted model."""

    def predict(self, x: Float32) -> Output:
        """The arrays of the head that it was fitted for (see :class:`medray.tasks.head.Head`).

        Rows do not depend on their neighbours in the batch.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write the model's files (no pickle) into an existing empty folder."""
        ...


class ModelFamily(Protocol):
    """One kind of model.

    Attributes:
        inputs: what it takes.
        heads: kinds of heads that it can learn; it knows nothing of tasks beyond them.
    """

    name: str
    inputs: frozenset[InputKind]
    heads: frozenset[HeadKind]
    parallelism: Parallelism
    params: type[Spec]
    search_space: SearchSpace

    def fit(self, data: FitData, task: Task, params: Any, context: FitContext) -> Model:
        """Train for the task's head, watching its monitor; raises ModelError when the data cannot be trained on."""
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
