"""Grey-level co-occurrence in the four directions of a plane."""

from __future__ import annotations

import numpy as np

from medray.features.radiomics.matrices.glcm import glcm
from medray.types import Int64, UInt16

DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))
"""(row, column) steps of 0, 45, 90 and 135 degrees."""


def cooccurrences(levels: UInt16, count: int, distance: int) -> Int64:
    """Symmetric co-occurrence matrices.

    Args:
        levels: uint16 (rows, columns), C order; grey levels 1 … count, 0 outside the region.
        count: number of grey levels.
        distance: Chebyshev distance of a pair in pixels.

    Returns:
        int64 (directions, count, count), counts of pairs in both orders; only the directions that have a pair in the region.
    """
    rows, columns = levels.shape
    steps = [(0, row * distance, column * distance) for row, column in DIRECTIONS]
    offsets = [step for step in steps if step[1] < rows and abs(step[2]) < columns]
    pairs = glcm(levels[None], count, np.array(offsets, dtype=np.int64).reshape(-1, 3))
    found = pairs[pairs.any(axis=(1, 2))]
    return np.ascontiguousarray(found + found.transpose(0, 2, 1))
