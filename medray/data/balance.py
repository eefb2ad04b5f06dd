"""Patients → splits: whole patients, strata in equal shares, images in the shares that were asked for.

Patients of a stratum are cut in the order they come in, so that patients who join later move few of the others. Where a split
then has too many or too few images, pairs of patients of one stratum change sides, which leaves the number of patients as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from medray.types import Bool, Float64, Int64

_TOLERANCE = 0.01
"""Share of the images that a split may be off when patients cease to change sides."""

_CANDIDATES = 256
"""Patients of each split that may change sides: enough to fit, and few enough to compare all pairs of."""

_MOST_SWAPS = 200


def divided(strata: Int64, images: Int64, shares: Sequence[float]) -> Int64:
    """The number of each patient's split, int64 (patients,).

    What one stratum owes a split, the next larger stratum makes up for; what all of them still owe is made up for by swaps in any
    stratum, whatever their classes. Each split has a patient of each stratum where that has
    more patients than there are splits; where it has fewer, the first two splits come first.

    Args:
        strata: int64 (patients,), in the order in which patients are to be cut.
        images: int64 (patients, classes), how many images of each class a patient has.
        shares: of the splits, with sum 1.
    """
    asked = np.asarray(shares, dtype=np.float64)
    counts = np.column_stack([images.sum(axis=1), images])
    tolerance = _TOLERANCE * counts.sum(axis=0)
    sides = np.zeros(len(strata), np.int64)
    owed_patients, owed_images = np.zeros(len(asked)), np.zeros((len(asked), counts.shape[1]))
    numbers, sizes = np.unique(strata, return_counts=True)
    for stratum in numbers[np.argsort(sizes, kind="stable")]:
        members = np.flatnonzero(strata == stratum)
        patients = asked * len(members) + owed_patients
        taken = _whole(patients, len(members), asked > 0)
        wanted = np.outer(asked, counts[members].sum(axis=0)) + owed_images
        cut = np.repeat(np.arange(len(asked)), taken)
        sides[members] = _swapped(cut, strata[members], counts[members], wanted, tolerance)
        owed_patients, owed_images = patients - taken, wanted - _sums(sides[members], counts[members], len(asked))
    total = counts[:, :1]
    return _swapped(sides, strata, total, np.outer(asked, total.sum(axis=0)), tolerance[:1])


def _whole(wanted: Float64, n: int, used: Bool) -> Int64:
    """Whole numbers near ``wanted`` (splits,) with the sum n, each at least 1 where n allows it."""
    least = used.astype(np.int64)
    if n <= len(wanted):
        least[min(n, 2) :] = 0
    taken = np.maximum(np.floor(wanted + 1e-9).astype(np.int64), least)
    while taken.sum() > n:
        taken[np.argmax(np.where(taken > least, taken - wanted, -np.inf))] -= 1
    while taken.sum() < n:
        taken[np.argmax(np.where(used, wanted - taken, -np.inf))] += 1
    return taken


def _sums(sides: Int64, counts: Int64, splits: int) -> Int64:
    """Images of each split, int64 (splits, columns)."""
    return np.stack([counts[sides == split].sum(axis=0) for split in range(splits)])


def _swapped(sides: Int64, strata: Int64, counts: Int64, wanted: Float64, tolerance: Float64) -> Int64:
    """The sides after the best swaps of two patients of a stratum, until images are as wanted or no swap helps.

    Args:
        sides: int64 (patients,).
        strata: int64 (patients,).
        counts: int64 (patients, columns): all images, then those of each class, if any.
        wanted: float64 (splits, columns).
        tolerance: float64 (columns,).
    """
    sides = sides.copy()
    weights = np.array([counts.shape[1], *np.ones(counts.shape[1] - 1)])  # the sum of all images before that of a class
    for _ in range(_MOST_SWAPS):
        off = _sums(sides, counts, len(wanted)) - wanted
        if (np.abs(off) <= tolerance).all():
            break
        pairs = combinations(range(len(wanted)), 2)
        gain, one, other = max(_best_swap(sides, strata, counts, off, weights, pair) for pair in pairs)
        if gain <= 1e-9:
            break
        sides[one], sides[other] = sides[other], sides[one]
    return sides


def _best_swap(
    sides: Int64, strata: Int64, counts: Int64, off: Float64, weights: Float64, pair: tuple[int, int]
) -> tuple[float, int, int]:
    """How much nearer to what is wanted the best swap between two splits comes, and the two patients; 0 without patients."""
    here, there = (np.flatnonzero(sides == split)[:_CANDIDATES] for split in pair)
    if not len(here) or not len(there):
        return 0.0, 0, 0
    change = counts[there][None] - counts[here][:, None]
    before = np.abs(off[pair[0]]) + np.abs(off[pair[1]])
    after = np.abs(off[pair[0]] + change) + np.abs(off[pair[1]] - change)
    gains = np.where(strata[here][:, None] == strata[there], ((before - after) * weights).sum(axis=2), -np.inf)
    best = int(np.argmax(gains))
    return float(gains.flat[best]), int(here[best // len(there)]), int(there[best % len(there)])
