"""95 % percentile intervals by the bootstrap over patients (Efron & Tibshirani 1993, §13.3).

Whole patients are drawn, with replacement, since images of one patient are not independent (Obuchowski 1997). ``groups`` holds
the patient of each case (n,); without it, single cases are drawn. Equal seeds give equal intervals, whatever patients are called:
they are drawn in the order in which they first occur.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean

import numpy as np
from numpy.typing import ArrayLike

from medray.evaluation.cases import binary_cases, invalid_input
from medray.evaluation.curves import auroc, weighted_auroc
from medray.spec import Spec
from medray.types import Bool, Float64, Int32, Int64

RESAMPLES = 2000

_BLOCK_CELLS = 2_000_000
"""Resamples × cases held in memory at once."""


class Interval(Spec):
    """A value with its 95 % interval; None where undefined."""

    value: float | None
    low: float | None
    high: float | None


def auroc_interval(
    y: ArrayLike, p: ArrayLike, groups: ArrayLike | None = None, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """The AUROC of labels (n,), 0 or 1, and probabilities (n,), with its interval.

    Draws are stratified: as many patients with a positive case, and as many without, as there are.
    """
    labels, scores = binary_cases(y, p)
    unit = units_of(groups, len(labels))
    with_positive = (np.bincount(unit, labels) > 0).astype(np.int64)
    areas = resampled_aurocs(labels[:, None], scores[:, None], unit, with_positive, seed, resamples)
    return percentile_interval(auroc(labels, scores), areas[:, 0])


def cluster_interval(
    values: ArrayLike,
    groups: ArrayLike | None = None,
    statistic: Callable[[Float64], Float64] = np.ravel,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """The mean of a figure that each case has, or a function of means of several, with its interval; None without cases.

    Args:
        values: float (n,) or (n, k), finite.
        statistic: takes means, float64 (m, k), to what is asked for, float64 (m,), NaN where undefined. By default the mean of
            (n,) values itself.

    Raises:
        ModelError: ``METRICS_INPUT`` on values that are not finite, or groups of another length.
    """
    table = np.asarray(values, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if not np.isfinite(table).all():
        raise invalid_input("values must be finite")
    unit = units_of(groups, len(table))
    if not len(table):
        return Interval(value=None, low=None, high=None)
    cases = np.bincount(unit)
    sums = np.stack([np.bincount(unit, column) for column in table.T], axis=1)
    drawn = _draws(np.zeros(len(cases), np.int64), len(cases), seed, resamples)
    means = np.concatenate([_weighted(counts, sums) / _weighted(counts, cases[:, None]) for counts in drawn])
    value = float(statistic(table.mean(axis=0)[None])[0])
    return percentile_interval(None if np.isnan(value) else value, statistic(means))


def percentile_interval(value: float | None, resampled: Float64) -> Interval:
    """A value with the 2.5th and 97.5th percentile of its resamples, float64 (m,), those that are NaN left out."""
    defined = resampled[~np.isnan(resampled)]
    if value is None or not len(defined):
        return Interval(value=value, low=None, high=None)
    low, high = np.percentile(defined, [2.5, 97.5])
    return Interval(value=value, low=float(low), high=float(high))


def macro_interval(values: Sequence[float | None], resampled: Float64) -> Interval:
    """The mean of those of k values that are defined, with its interval by resamples of them, float64 (m, k)."""
    defined = {column: value for column, value in enumerate(values) if value is not None}
    if not defined:
        return Interval(value=None, low=None, high=None)
    return percentile_interval(fmean(defined.values()), resampled[:, list(defined)].mean(axis=1))


def resampled_aurocs(
    labels: Int64,
    scores: Float64,
    unit: Int64,
    stratum: Int64,
    seed: int = 0,
    resamples: int = RESAMPLES,
    known: Bool | None = None,
) -> Float64:
    """AUROC of each column in each resample, float64 (resamples, k), a row of one draw; NaN where undefined.

    Args:
        labels: int64 (n, k), 0 or 1.
        scores: float64 (n, k).
        unit: of each case, from :func:`units_of`.
        stratum: int64 (units,); units of one stratum are drawn among themselves, as many times as there are such units.
        known: bool (n, k), which labels count; all of them by default.
    """
    rows: Sequence[slice | Bool] = [slice(None)] * labels.shape[1] if known is None else list(known.T)
    areas = [
        [weighted_auroc(one[use], score[use], weights[:, use]) for one, score, use in zip(labels.T, scores.T, rows, strict=True)]
        for weights in (drawn[:, unit] for drawn in _draws(stratum, len(labels), seed, resamples))
    ]
    return np.concatenate([np.stack(block, axis=1) for block in areas])


def units_of(groups: ArrayLike | None, n: int) -> Int64:
    """Number of the patient of each of n cases, int64 (n,), from 0 in order of first occurrence; each its own without groups."""
    if groups is None:
        return np.arange(n)
    _, first, number = np.unique(np.asarray(groups), return_index=True, return_inverse=True)
    if number.shape != (n,):
        raise invalid_input(f"groups of shape {number.shape} for {n} cases")
    return np.argsort(np.argsort(first))[number]


def _weighted(counts: Int32, sums: Float64 | Int64) -> Float64:
    """Sums over drawn units, (m, k), without BLAS, whose rounding depends on the number of its threads."""
    summed: Float64 = np.einsum("mu,uk->mk", counts, sums, dtype=np.float64)
    return summed


def _draws(stratum: Int64, n: int, seed: int, resamples: int) -> Iterator[Int32]:
    """How often each unit is drawn, int32 (block, units), in blocks that n cases fit in memory with."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(stratum == one) for one in np.unique(stratum)[::-1]]
    block = max(1, _BLOCK_CELLS // n)
    for start in range(0, resamples, block):
        drawn = np.zeros((min(block, resamples - start), len(stratum)), np.int32)
        for chosen in members:
            chance = np.full(len(chosen), 1 / len(chosen))
            drawn[:, chosen] = rng.multinomial(len(chosen), chance, size=len(drawn))
        yield drawn
