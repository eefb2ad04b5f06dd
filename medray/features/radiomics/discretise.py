"""Grey levels of a region: bins of a fixed width, or a fixed number of bins.

The edges are those of pyradiomics to the last bit, so that a value on an edge falls on the same side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medray.compiled import compiled
from medray.features.radiomics.region import Region
from medray.types import Bool, Float64, Int64, UInt16

MAX_LEVELS = 1024
"""A co-occurrence matrix has the square of it."""


@dataclass(frozen=True)
class Discretised:
    """Grey levels of a region.

    Attributes:
        levels: uint16 (slices, rows, columns), C order; 1 … count inside the region, 0 outside.
        histogram: int64 (count,); pixels of each level. The last is not 0, others may be.
    """

    levels: UInt16
    histogram: Int64

    @property
    def count(self) -> int:
        """The highest level that occurs (N_g)."""
        return len(self.histogram)


def fixed_width(region: Region, width: float, first: float | None = None) -> Discretised | None:
    """Bins of one width; None where they would be more than MAX_LEVELS, or narrower than values of that size can be told apart.

    Args:
        region: the values.
        width: of a bin, positive.
        first: lower edge of level 1, at most the smallest value; None for the multiple of the width at or below it (pyradiomics).
    """
    low, high = _range(region.values, region.mask)
    start = low - np.mod(low, width) if first is None else first
    step = (start + width) - start
    if step == 0 or (high - start) / width >= MAX_LEVELS:
        return None
    return _discretised(region, start, step, MAX_LEVELS)


def fixed_count(region: Region, count: int) -> Discretised:
    """A fixed number of equal bins from the smallest to the largest value, which belongs to the last.

    The edges are those of :func:`numpy.histogram`: around a single value they are 1 apart in all, and it falls in the middle.
    """
    low, high = _range(region.values, region.mask)
    if low == high:
        low, high = low - 0.5, high + 0.5
    return _discretised(region, low, (high - low) / count or 1.0, count)


def _discretised(region: Region, start: float, step: float, most: int) -> Discretised:
    levels, histogram = _levels(region.values, region.mask, start, step, most)
    return Discretised(levels, histogram[1 : np.flatnonzero(histogram)[-1] + 1])


@compiled
def _range(values: Float64, mask: Bool) -> tuple[float, float]:
    """Smallest and largest value of the region."""
    low = np.full(values.shape[2], np.inf)
    high = np.full(values.shape[2], -np.inf)
    for s in range(values.shape[0]):
        for r in range(values.shape[1]):
            row, inside = values[s, r], mask[s, r]
            for c in range(len(row)):
                value = row[c] if inside[c] else np.inf
                low[c] = value if value < low[c] else low[c]
                value = row[c] if inside[c] else -np.inf
                high[c] = value if value > high[c] else high[c]
    return low.min(), high.max()


@compiled
def _levels(values: Float64, mask: Bool, start: float, step: float, most: int) -> tuple[UInt16, Int64]:
    """Levels with edges at ``start + k * step``, at most ``most``; and how often each occurs.

    Rounding may put the quotient on the wrong side of an edge, never further.
    """
    levels = np.empty(values.size, np.uint16)
    histogram = np.zeros(most + 1, np.int64)
    flat, inside = values.ravel(), mask.ravel()
    scale = 1 / step
    for n in range(len(flat)):
        value = flat[n]
        below = np.int32((value - start) * scale)
        below -= np.int32(value < start + below * step)
        below += np.int32(value >= start + (below + np.int32(1)) * step)
        below = max(np.int32(0), min(below, np.int32(most - 1)))
        levels[n] = np.uint16(below + np.int32(1)) if inside[n] else np.uint16(0)
    for n in range(len(flat)):
        if inside[n]:
            histogram[levels[n]] += 1
    return levels.reshape(values.shape), histogram
