"""What surrounds each pixel: the neighbourhood grey tone difference matrix (Amadasun and King, 1989; IBSI IPET) and the
neighbouring grey level dependence matrix (Sun and Wee, 1983; IBSI REK0; GLDM in pyradiomics).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medray.compiled import compiled
from medray.features.radiomics.matrices.flat import BLOCK, flattened
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
    dependence, alone, difference = _matrices(*flattened(levels, offsets), count, alpha, BLOCK)
    shares = difference[:, 1:] / np.arange(1, difference.shape[1])
    return Neighbours(dependence[1:], (dependence.sum(1) - alone)[1:], shares[1:].sum(1))


@compiled
def _matrices(flat: UInt16, shifts: Int64, margin: int, count: int, alpha: int, block: int) -> tuple[Int64, Int64, Int64]:
    """Rows of each level from 0: dependence; pixels without neighbours; by number of neighbours, this times the differences."""
    width = 2 * len(shifts) + 1
    dependence = np.zeros((count + 1, width), np.int64)
    difference = np.zeros((count + 1, width), np.int64)
    alone = np.zeros(count + 1, np.int64)
    total, inside, close = np.empty(block, np.int32), np.empty(block, np.int32), np.empty(block, np.int32)
    for start in range(margin, len(flat) - margin, block):
        end = min(start + block, len(flat) - margin)
        own = flat[start:end]
        total[:] = 0
        inside[:] = 0
        close[:] = 0
        for shift in shifts:
            _add(own, flat[start + shift : end + shift], total, inside, close, alpha)
            _add(own, flat[start - shift : end - shift], total, inside, close, alpha)
        for n in range(len(own)):
            total[n] = abs(np.int32(own[n]) * inside[n] - total[n])
        for n in range(len(own)):
            if own[n] > 0:
                dependence[own[n], np.uint32(close[n])] += 1
                difference[own[n], np.uint32(inside[n])] += total[n]
                if inside[n] == 0:
                    alone[own[n]] += 1
    return dependence, alone, difference


@compiled
def _add(own: UInt16, other: UInt16, total: Int32, inside: Int32, close: Int32, alpha: int) -> None:
    """Add the neighbours at one shift: their sum, their number, and how many are close in level."""
    most = np.int32(alpha)
    for n in range(len(own)):
        level = np.int32(other[n])
        present = level > 0
        total[n] += level
        inside[n] += np.int32(present)
        close[n] += np.int32(present & (abs(np.int32(own[n]) - level) <= most))
