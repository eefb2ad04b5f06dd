"""What surrounds each pixel: the neighbourhood grey tone difference matrix (Amadasun and King, 1989; IBSI IPET) and the
neighbouring grey level dependence matrix (Sun and Wee, 1983; IBSI REK0; GLDM in pyradiomics).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from medray.kernels import kernel
from medray.types import Float64, Int64, UInt16


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
    dependence, surrounded, difference = _matrices(levels, count, offsets, alpha)
    shares = difference[:, 1:] / np.arange(1, difference.shape[1])
    return Neighbours(dependence[1:], surrounded[1:, 1:].sum(1), shares[1:].sum(1))


@kernel
def _matrices(levels: UInt16, count: int, offsets: Int64, alpha: int) -> Any:
    """Dependence; pixels, and the sum of differences times the number of neighbours, by level and number of neighbours."""
    slices, rows, columns = levels.shape
    width = 2 * len(offsets) + 1
    dependence = np.zeros((count + 1, width), np.int64)
    surrounded = np.zeros((count + 1, width), np.int64)
    difference = np.zeros((count + 1, width), np.int64)
    total = np.empty(columns, np.int32)
    inside = np.empty(columns, np.int32)
    close = np.empty(columns, np.int32)
    for s in range(slices):
        for r in range(rows):
            total[:], inside[:], close[:] = 0, 0, 0
            for d in range(len(offsets)):
                _add(levels, total, inside, close, s, r, offsets[d, 0], offsets[d, 1], offsets[d, 2], alpha)
                _add(levels, total, inside, close, s, r, -offsets[d, 0], -offsets[d, 1], -offsets[d, 2], alpha)
            for c in range(columns):
                own, others = levels[s, r, c], inside[c]
                dependence[own, close[c]] += 1
                surrounded[own, others] += 1
                difference[own, others] += abs(own * others - total[c])
    return dependence, surrounded, difference


@kernel
def _add(levels: UInt16, total: Any, inside: Any, close: Any, s: int, r: int, ds: int, dr: int, dc: int, alpha: int) -> None:
    """Add the neighbours of a row at one offset: their sum, their number, and how many are close in level."""
    if not (0 <= s + ds < levels.shape[0] and 0 <= r + dr < levels.shape[1]):
        return
    own, other = levels[s, r], levels[s + ds, r + dr]
    for c in range(max(-dc, 0), len(own) - max(dc, 0)):
        level = np.int32(other[c + dc])
        apart = np.int32(own[c]) - level
        present = level > 0
        total[c] += level
        inside[c] += present
        close[c] += present & (apart <= alpha) & (apart >= -alpha)
