"""Stratified bootstrap of the AUROC, all resamples at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medray.types import Bool, Float64, Int64

Int32 = NDArray[np.int32]

_BLOCK_CELLS = 2_000_000
"""Resamples × cases held in memory at once."""


def resampled_auroc(labels: Int64, scores: Float64, unit: Int64, rng: np.random.Generator, resamples: int) -> Float64:
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
