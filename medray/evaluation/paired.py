"""Differences of a figure between two models on the same cases, with 95 % intervals by the bootstrap over patients.

Both models are judged on the very same drawn patients, so what makes a case easy or hard for both cancels out (Efron & Tibshirani
1993, §8.6). Differences are first minus second, and None where undefined. ``groups`` holds the patient of each case (n,).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from medray.evaluation.cases import invalid_input
from medray.evaluation.curves import auroc
from medray.evaluation.intervals import Interval, cluster_interval, percentile_interval, resampled_aurocs, units_of
from medray.types import Bool, Float64, Int64


def mean_difference(first: ArrayLike, second: ArrayLike, groups: ArrayLike | None = None, seed: int = 0) -> Interval:
    """The difference of the means of a figure that each case has, float (n,) of either model."""
    one, other = (np.asarray(values, dtype=np.float64) for values in (first, second))
    if one.shape != other.shape:
        raise invalid_input(f"values of {one.shape} and of {other.shape} are not of the same cases")
    return cluster_interval(one - other, groups, seed=seed)


def auroc_difference(
    truth: ArrayLike, first: ArrayLike, second: ArrayLike, groups: ArrayLike | None = None, seed: int = 0
) -> Interval:
    """The difference of the AUROCs of two scores, or that of their means over several columns.

    A column counts where cases of both kinds are known; a resample that leaves one of these with one kind alone counts for
    nothing. Draws are stratified by the rarest column that a patient has a positive case in.

    Args:
        truth: (n,) or (n, k), 0 or 1, NaN where it is not known.
        first, second: scores of the shape of ``truth``, finite.

    Raises:
        ModelError: METRICS_INPUT on shapes that differ, or scores that are not finite.
    """
    y, p, q = (_columns(values) for values in (truth, first, second))
    if not y.shape == p.shape == q.shape or not (np.isfinite(p).all() and np.isfinite(q).all()):
        raise invalid_input(f"truth {y.shape} and scores {p.shape} and {q.shape} must be of the same cases, and finite")
    known: Bool = ~np.isnan(y)
    labels = np.where(known, y, 0).astype(np.int64)
    counted = [column for column in range(y.shape[1]) if len(np.unique(labels[known[:, column], column])) > 1]
    if not counted:
        return Interval(value=None, low=None, high=None)
    y, p, q, labels, known = y[:, counted], p[:, counted], q[:, counted], labels[:, counted], known[:, counted]
    unit = units_of(groups, len(y))
    areas = resampled_aurocs(
        np.hstack([labels, labels]), np.hstack([p, q]), unit, _rarest(labels, unit), seed, known=np.hstack([known, known])
    )
    drawn = areas[:, : len(counted)].mean(axis=1) - areas[:, len(counted) :].mean(axis=1)
    return percentile_interval(_mean_auroc(labels, p, known) - _mean_auroc(labels, q, known), drawn)


def _columns(values: ArrayLike) -> Float64:
    table = np.asarray(values, dtype=np.float64)
    return table[:, None] if table.ndim == 1 else table


def _mean_auroc(labels: Int64, scores: Float64, known: Bool) -> float:
    """The mean over columns that hold both kinds."""
    areas = [auroc(y[use], p[use]) for y, p, use in zip(labels.T, scores.T, known.T, strict=True)]
    return float(np.mean([area for area in areas if area is not None]))


def _rarest(labels: Int64, unit: Int64) -> Int64:
    """Of the columns that each unit has a positive case in, the rarest one counted from 1, int64 (units,); 0 for none."""
    order = np.argsort(-labels.sum(axis=0), kind="stable")
    found = np.zeros(unit.max() + 1, np.int64)
    for place, column in enumerate(order, start=1):
        found[np.unique(unit[labels[:, column] == 1])] = place
    return found
