"""Intervals by the bootstrap over patients."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from medray.evaluation.cases import binary_cases, invalid_input
from medray.evaluation.curves import auroc
from medray.spec import Spec
from medray.types import Bool, Float64, Int32, Int64

_BLOCK_CELLS = 2_000_000
"""Resamples × cases held in memory at once."""


class Interval(Spec):
    """A value with its 95 % interval; None where undefined."""

    value: float | None
    low: float | None
    high: float | None


def auroc_interval(y: ArrayLike, p: ArrayLike, groups: ArrayLike | None = None, seed: int = 0, resamples: int = 2000) -> Interval:
    """The AUROC with its 95 % percentile bootstrap interval (Efron & Tibshirani 1993, §13.3).

    Args:
        groups: patient numbers (n,). Whole patients are drawn, since images of one patient are not independent
            (Obuchowski 1997). Without them, single cases are drawn.
        seed: of the draws; equal seeds give equal intervals.

    Draws are stratified: as many units with a positive case, and as many without, as there are.
    """
    labels, scores = binary_cases(y, p)
    units = np.arange(len(labels)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if units.shape != labels.shape:
        raise invalid_input(f"groups of shape {units.shape} for {len(labels)} cases")
    value = auroc(labels, scores)
    if value is None:
        return Interval(value=None, low=None, high=None)
    areas = _resampled_auroc(labels, scores, units, np.random.default_rng(seed), resamples)
    low, high = np.nanpercentile(areas, [2.5, 97.5])
    return Interval(value=value, low=float(low), high=float(high))


def _resampled_auroc(labels: Int64, scores: Float64, unit: Int64, rng: np.random.Generator, resamples: int) -> Float64:
    """AUROC of each resample, float64 (resamples,); NaN where a resample lacks a class.

    Args:
        labels: int64 (n,), 0 or 1.
        scores: float64 (n,).
        unit: int64 (n,), number of what is drawn as a whole (a patient), 0-based without gaps. Units with a positive
            case and units without one are drawn apart, each as many times as there are such units.
    """
    block = max(1, _BLOCK_CELLS // len(labels))
    sizes = [min(block, resamples - start) for start in range(0, resamples, block)]
    has_positive = np.bincount(unit, labels) > 0
    return np.concatenate([_weighted_auroc(labels, scores, _draw(has_positive, rng, size)[:, unit]) for size in sizes])


def _draw(stratum: Bool, rng: np.random.Generator, resamples: int) -> Int32:
    """How often each unit is drawn, int32 (resamples, units)."""
    drawn = np.zeros((resamples, len(stratum)), np.int32)
    for members in (np.flatnonzero(stratum), np.flatnonzero(~stratum)):
        if len(members):
            drawn[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=resamples)
    return drawn


def _weighted_auroc(labels: Int64, scores: Float64, weights: Int32) -> Float64:
    """AUROC (Mann–Whitney, ties half) with the cases counted ``weights`` (resamples, n) times, one per row."""
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    negative = negative[np.argsort(scores[negative])]
    below = np.searchsorted(scores[negative], scores[positive], "left")
    up_to = np.searchsorted(scores[negative], scores[positive], "right")
    cumulated = np.zeros((len(weights), len(negative) + 1), np.int32)
    np.cumsum(weights[:, negative], axis=1, out=cumulated[:, 1:])
    won = (weights[:, positive] * (cumulated[:, below] + cumulated[:, up_to])).sum(axis=1)
    pairs = weights[:, positive].sum(axis=1) * cumulated[:, -1].astype(np.int64)
    with np.errstate(invalid="ignore"):
        area: Float64 = won / (2.0 * pairs)
    return area
