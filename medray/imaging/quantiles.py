"""Exact quantiles of many values, through a histogram in place of a sort."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medray.compiled import compiled
from medray.types import Bool, Float32, Float64, Int64

BINS = 4096
BLOCK = 128
TABLES = 8


def quantiles(values: Float32, fractions: Sequence[float] | Float64) -> Float64:
    """Quantiles by linear interpolation, equal to NumPy's of the same values as float64 (Hyndman & Fan 1996, type 7).

    Whole numbers that span less than BINS are counted. Others are binned by a map that keeps their order, and those in the bins
    that a quantile falls into are sorted.

    Args:
        values: finite float32 (n,), n > 0.
        fractions: from 0 to 1.

    Returns:
        float64 (len(fractions),).
    """
    places = np.array(fractions, np.float64) * (values.size - 1)
    low = values.min()
    upto = np.empty(BINS, np.int64)
    if low.is_integer() and _histogram(values, low, np.float32(1), True, upto):
        neighbours: Float64 = _whole_numbers(upto, float(low), places)
    else:
        neighbours = _order_statistics(values, low, places, upto)
    found: Float64 = _interpolated(neighbours, places)
    return found


def _order_statistics(values: Float32, low: np.float32, places: Float64, upto: Int64) -> Float64:
    """The values at the whole ranks below and above each place, float64 (2 * places,), below and above by turns."""
    below = places.astype(np.int64)
    ranks = np.stack([below, np.minimum(below + 1, values.size - 1)], axis=1).ravel()
    span = float(values.max()) - float(low)
    if values.size < BINS or not 1e-30 < span < 1e30:
        return np.asarray(np.sort(values)[ranks], np.float64)
    scale = np.float32(BINS / span)
    _histogram(values, low, scale, False, upto)
    bins = np.searchsorted(upto, ranks, side="right")
    wanted = np.zeros(BINS, bool)
    wanted[bins] = True
    counts = np.diff(upto, prepend=0)
    members = np.sort(_members(values, low, scale, wanted, int(counts[wanted].sum())))
    return np.asarray(members[ranks - np.cumsum(np.where(wanted, 0, counts))[bins]], np.float64)


@compiled
def _histogram(values: Float32, low: np.float32, scale: np.float32, whole: bool, upto: Int64) -> bool:
    """Fill ``upto`` with how many values lie in each bin or below; False where all should be ``low`` plus a bin and are not.

    Neighbours are counted in tables of their own, and these lie apart by no multiple of 4 KiB: else each count would wait for
    the one before.
    """
    tables = np.zeros((TABLES, BINS + 32), np.uint32)
    one, top = np.uint32(1), np.float32(BINS - 1)
    block = np.empty(BLOCK, np.uint16)
    blocks = values.size // BLOCK * BLOCK
    for start in range(0, blocks, BLOCK):
        part = values[start : start + BLOCK]
        odd = np.uint32(0)
        for i in range(BLOCK):
            found = np.int32(min((part[i] - low) * scale, top))
            block[i] = found
            odd |= np.uint32(np.float32(found) + low != part[i])
        if whole and odd:
            return False
        for i in range(0, BLOCK, TABLES):
            for table in range(TABLES):
                tables[table, block[i + table]] += one
    for i in range(blocks, values.size):
        found = np.int32(min((values[i] - low) * scale, top))
        if whole and np.float32(found) + low != values[i]:
            return False
        tables[0, found] += one
    total = np.int64(0)
    for i in range(BINS):
        for table in range(TABLES):
            total += np.int64(tables[table, i])
        upto[i] = total
    return True


@compiled
def _whole_numbers(upto: Int64, low: float, places: Float64) -> Float64:
    """The same as _order_statistics, where each bin holds one whole number."""
    found = np.empty(2 * places.size)
    last = upto[-1] - 1
    for i in range(places.size):
        rank = int(places[i])
        found[2 * i] = low + np.searchsorted(upto, rank, side="right")
        found[2 * i + 1] = low + np.searchsorted(upto, min(rank + 1, last), side="right")
    return found


@compiled
def _members(values: Float32, low: np.float32, scale: np.float32, wanted: Bool, count: int) -> Float32:
    """The values, ``count`` of them, in the bins wanted."""
    top, size = np.float32(BINS - 1), 0
    found = np.empty(count + 1, np.float32)
    for i in range(values.size):
        found[size] = values[i]  # without a branch, which the processor would mispredict
        size += wanted[np.int32(min((values[i] - low) * scale, top))]
    return found[:count]


@compiled
def _interpolated(neighbours: Float64, places: Float64) -> Float64:
    """Between the values below and above each place, from the nearer one as NumPy does."""
    found = np.empty(places.size)
    for i in range(places.size):
        below, above, share = neighbours[2 * i], neighbours[2 * i + 1], places[i] - np.floor(places[i])
        step = above - below
        found[i] = below + step * share if share < 0.5 else above - step * (1 - share)
    return found
