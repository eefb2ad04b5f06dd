"""Checks of the cases that figures are computed of."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from medray.errors import ModelError
from medray.types import Bool, Float64, Int64


def binary_cases(y: ArrayLike, p: ArrayLike) -> tuple[Int64, Float64]:
    """Labels, int64 (n,), and probabilities, float64 (n,), of one or more cases; ModelError METRICS_INPUT on others."""
    labels, scores = np.asarray(y), np.asarray(p, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != scores.shape or not len(labels):
        raise invalid_input(f"labels {labels.shape} and probabilities {scores.shape} must have one equal shape (n,), n ≥ 1")
    if not ((labels == 0) | (labels == 1)).all():
        raise invalid_input("labels must be 0 or 1")
    possible = (scores >= 0) & (scores <= 1)
    if not possible.all():
        raise invalid_input(f"{int((~possible).sum())} probabilities are not in [0, 1]")
    return labels.astype(np.int64), scores


def class_cases(truth: ArrayLike, probability: ArrayLike) -> tuple[Int64, Float64]:
    """Classes, int64 (n,) from 0, and probabilities, float64 (n, C), of one or more cases; ModelError METRICS_INPUT on others.

    The probabilities of a case sum to 1 within 1e-4, as those of a float32 softmax do.
    """
    classes, table = np.asarray(truth), np.asarray(probability, dtype=np.float64)
    if classes.ndim != 1 or table.ndim != 2 or len(classes) != len(table) or not len(classes) or table.shape[1] < 2:
        raise invalid_input(f"classes {classes.shape} and probabilities {table.shape} must be (n,) and (n, C), n ≥ 1, C ≥ 2")
    if not np.isin(classes, np.arange(table.shape[1])).all():
        raise invalid_input(f"classes must be whole numbers from 0 to {table.shape[1] - 1}")
    if not ((table >= 0).all() and (np.abs(table.sum(axis=1) - 1) <= 1e-4).all()):
        raise invalid_input("the probabilities of each case must lie in [0, 1] and sum to 1")
    return classes.astype(np.int64), table


def label_cases(truth: ArrayLike, probability: ArrayLike, known: ArrayLike | None) -> tuple[Int64, Float64, Bool]:
    """Labels, int64 (n, L) of 0 or 1, probabilities, float64 (n, L), and which labels are known, bool (n, L).

    What is not known has label 0. ModelError METRICS_INPUT without cases or labels, on unequal shapes, or values out of range.
    """
    labels, table = np.asarray(truth), np.asarray(probability, dtype=np.float64)
    use = np.ones(labels.shape, np.bool_) if known is None else np.asarray(known, dtype=np.bool_)
    if labels.ndim != 2 or not labels.shape == table.shape == use.shape or not labels.size:
        raise invalid_input(f"labels {labels.shape}, probabilities {table.shape} and known {use.shape} must be (n, L), n, L ≥ 1")
    if not np.isin(labels[use], (0, 1)).all():
        raise invalid_input("known labels must be 0 or 1")
    if not ((table >= 0) & (table <= 1)).all():
        raise invalid_input("probabilities must lie in [0, 1]")
    return np.where(use, labels, 0).astype(np.int64), table, use


def number_cases(truth: ArrayLike, value: ArrayLike) -> tuple[Float64, Float64]:
    """Measured and predicted numbers, float64 (n,) each, of one or more cases; ModelError METRICS_INPUT on others."""
    measured, predicted = np.asarray(truth, dtype=np.float64), np.asarray(value, dtype=np.float64)
    if measured.ndim != 1 or measured.shape != predicted.shape or not len(measured):
        raise invalid_input(f"truth {measured.shape} and values {predicted.shape} must have one equal shape (n,), n ≥ 1")
    if not (np.isfinite(measured).all() and np.isfinite(predicted).all()):
        raise invalid_input("truth and values must be finite")
    return measured, predicted


def invalid_input(message: str) -> ModelError:
    """The error of cases that no figure can be computed of."""
    return ModelError("METRICS_INPUT", message, "check the model's output and the labels")
