"""Checks of the cases that figures are computed of."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from medray.errors import ModelError
from medray.types import Float64, Int64


def binary_cases(y: ArrayLike, p: ArrayLike) -> tuple[Int64, Float64]:
    """Labels, int64 (n,), and probabilities, float64 (n,), of one or more cases; ModelError METRICS_INPUT on others."""
    labels, scores = np.asarray(y), np.asarray(p, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != scores.shape or not len(labels):
        raise invalid_input(f"labels {labels.shape} and probabilities {scores.shape} must have one equal shape (n,), n ≥ 1")
    if not np.isin(labels, (0, 1)).all():
        raise invalid_input("labels must be 0 or 1")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise invalid_input(f"{int((~((scores >= 0) & (scores <= 1))).sum())} probabilities are not in [0, 1]")
    return labels.astype(np.int64), scores


def invalid_input(message: str) -> ModelError:
    """The error of cases that no figure can be computed of."""
    return ModelError("METRICS_INPUT", message, "check the model's output and the labels")
