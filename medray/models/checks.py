"""Checks that the model families share, and what they report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medray.errors import ModelError
from medray.models.family import Batch, Samples
from medray.tasks.head import Output
from medray.tasks.task import Task
from medray.types import Float32, Int64

_FEWEST = 2

TABLE_ROWS = 1 << 16
"""Rows of a table that are read together."""


def class_counts(y: NDArray[Any], classes: int) -> Int64:
    """Samples of each class, int64 (classes,)."""
    return np.bincount(y, minlength=classes).astype(np.int64)


def require_all_classes(counts: Int64) -> None:
    """Raise ModelError MODEL_SINGLE_CLASS unless every class has samples.

    Args:
        counts: int64 (classes,), over all workers.
    """
    if not counts.all():
        found = ", ".join(map(str, counts))
        raise ModelError("MODEL_SINGLE_CLASS", f"the classes have {found} training samples", "training needs some of each")


def require_several(train: Samples) -> None:
    """Raise ModelError MODEL_TOO_FEW_SAMPLES unless there are two samples to learn without labels from."""
    if len(train) < _FEWEST:
        message = f"{len(train)} training images to learn from"
        raise ModelError("MODEL_TOO_FEW_SAMPLES", message, "give more images, or learn from all of them")


def require_features(x: Float32, expected: int) -> None:
    """Raise ModelError MODEL_FEATURE_COUNT unless x is (n, expected)."""
    if x.ndim != 2 or x.shape[1] != expected:
        raise ModelError("MODEL_FEATURE_COUNT", f"the model takes (n, {expected}) features, got {x.shape}")


def table_bytes(gib: float) -> int:
    """A size in GiB as bytes."""
    return int(gib * 2**30)


def valid_scores(task: Task, parts: Iterable[tuple[Any, Output]]) -> dict[str, float]:
    """The task's scores of a validation split in parts (targets, output), each named ``valid_…``."""
    return {f"valid_{name}": value for name, value in task.scores_of(parts).items()}


def in_parts(samples: Samples, rows: int) -> Iterator[Batch]:
    """All samples in order, some rows at a time; of none, one part without rows."""
    count = len(samples)
    return samples.batches(np.split(np.arange(count), range(rows, count, rows)))


def table_scores(task: Task, valid: Samples, predict: Callable[[Float32], Output]) -> dict[str, float]:
    """The scores of what a model predicts of a table."""
    return valid_scores(task, ((y, predict(x)) for x, y in in_parts(valid, TABLE_ROWS)))
