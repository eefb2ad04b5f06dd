"""Checks that the model families share, and what they report."""

from __future__ import annotations

from typing import Any

import numpy as np

from medray.errors import ModelError
from medray.models.family import Samples
from medray.tasks.head import Output
from medray.tasks.task import Task
from medray.types import Float32, Int64


def class_counts(samples: Samples, classes: int) -> Int64:
    """Samples of each class, int64 (classes,)."""
    return np.bincount(samples.y, minlength=classes).astype(np.int64)


def require_all_classes(counts: Int64) -> None:
    """Raise ModelError MODEL_SINGLE_CLASS unless every class has samples.

    Args:
        counts: int64 (classes,), over all workers.
    """
    if not counts.all():
        found = ", ".join(map(str, counts))
        raise ModelError("MODEL_SINGLE_CLASS", f"the classes have {found} training samples", "training needs some of each")


def require_features(x: Float32, expected: int) -> None:
    """Raise ModelError MODEL_FEATURE_COUNT unless x is (n, expected)."""
    if x.ndim != 2 or x.shape[1] != expected:
        raise ModelError("MODEL_FEATURE_COUNT", f"the model takes (n, {expected}) features, got {x.shape}")


def valid_scores(task: Task, y: Any, output: Output) -> dict[str, float]:
    """The task's scores of the validation split, each named ``valid_…``."""
    return {f"valid_{name}": value for name, value in task.scores(y, output).items()}
