"""What surrounds each pixel: the neighbourhood grey tone difference matrix (Amadasun and King, 1989; IBSI IPET) and the
neighbouring grey level dependence matrix (Sun and Wee, 1983; IBSI REK0; GLDM in pyradiomics).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medray.kernels import kernel
from medray.types import Float64, Int32, Int64, UInt16


@dataclass(frozen=True)
class Neighbours:
    """Both matrices.

    Attributes:
        dependence: int64 (count, 2 n + 1); ``[i - 1, k]`` pixels of level i with k neighbours that differ by at most alpha.
        surrounded: int64 (count,); pixels of each level with a neighbour in the region.
        difference: float64 (count,); sum over these of the difference to the mean of their neighbours.
    """

    dependence: Int64
    surrounded: Int64
    difference: Float64


def neighbours(levels: UInt16, count: int, offsets: Int64, alpha: int = 0) -> Neighbours:
    """Both matrices, in one pass.

    Args:
        levels: uint16 (slices, rows, columns), C order; 1 … count, 0 outside the region.
        count: number of levels.
        offsets: int64 (n, 3); neighbours lie at each and at its opposite.
        alpha: largest difference of a dependent neighbour.
    """
    dependence, alone, difference = _matrices(levels, count, offsets, alpha)
    shares = difference[:, 1:] / np.arange(1, difference.shape[1])
    return Neighbours(dependence[1:], (dependence.sum(1) - alone)[1:], shares[1:].sum(1))


@kernel
def _matrices(levels: UInt16, count: int, offsets: Int64, alpha: int) -> tuple[Int64, Int64, Int64]:
    """Rows of each level from 0: dependence; pixels without neighbours; by number of neighbours, this times the differences."""
    slices, rows, columns = levels.shape
    width = 2 * len(offsets) + 1
    dependence = np.zeros((count + 1, width), np.int64)
    difference = np.zeros((count + 1, width), np.int64)
    alone = np.zeros(count + 1, np.int64)
    total, inside, close = np.empty(columns, np.int32), np.empty(columns, np.int32), np.empty(columns, np.int32)
    for s in range(slices):
        for r in range(rows):
            total[:] = 0
            inside[:] = 0
            close[:] = 0
            for d in range(2 * len(offsets)):
                sign = 1 - 2 * (d & 1)
                ds, dr, dc = sign * offsets[d // 2, 0], sign * offsets[d // 2, 1], sign * offsets[d // 2, 2]
                if 0 <= s + ds < slices and 0 <= r + dr < rows:
                    first, end = max(-dc, 0), columns - max(dc, 0)
                    other = levels[s + ds, r + dr, first + dc : end + dc]
                    _add(levels[s, r, first:end], other, total[first:end], inside[first:end], close[first:end], alpha)
            own = levels[s, r]
            for c in range(columns):
                total[c] = abs(np.int32(own[c]) * inside[c] - total[c])
            for c in range(columns):
                dependence[own[c], np.uint32(close[c])] += 1
                difference[own[c], np.uint32(inside[c])] += total[c]
                if inside[c] == 0:
                    alone[own[c]] += 1
    return dependence, alone, difference


@kernel
def _add(own: UInt16, other: UInt16, total: Int32, inside: Int32, close: Int32, alpha: int) -> None:
    """Add the neighbours of a row at one offset: their sum, their number, and how many are close in level."""
    most = np.int32(alpha)
    for c in range(len(own)):
        level = np.int32(other[c])
        present = level > 0
        total[c] += level
        inside[c] += np.int32(1) if present else np.int32(0)
        close[c] += np.int32(1) if present and abs(np.int32(own[c]) - level) <= most else np.int32(0)
