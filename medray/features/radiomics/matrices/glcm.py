"""Grey-level co-occurrence matrix (Haralick et al., 1973; IBSI LFYI)."""

from __future__ import annotations

import numpy as np

from medray.compiled import compiled
from medray.features.radiomics.matrices.flat import BLOCK, flattened
from medray.types import Int32, Int64, UInt16


def glcm(levels: UInt16, count: int, offsets: Int64) -> Int64:
    """How often one level lies at an offset from another: int64 (n, count, count), not symmetric.

    ``[d, i - 1, j - 1]`` counts the pixels of level i with level j at ``offsets[d]`` from them.

    Args:
        levels: uint16 (slices, rows, columns), C order; 1 … count, 0 outside the region.
        count: number of levels.
        offsets: int64 (n, 3), see :func:`medray.features.radiomics.matrices.offsets.offsets`.
    """
    pairs = _pairs(*flattened(levels, offsets), count + 1, BLOCK).sum(1)
    return np.array(pairs.reshape(len(offsets), count + 1, count + 1)[:, 1:, 1:], dtype=np.int64)


@compiled
def _pairs(flat: UInt16, shifts: Int64, margin: int, width: int, block: int) -> Int32:
    """Pairs of levels including 0, int32 (n, 2, width * width): of even and of odd places, so that additions overlap."""
    pairs = np.zeros((len(shifts), 2, width * width), np.int32)
    pair = np.empty(block, np.int32)
    for start in range(margin, len(flat) - margin, block):
        end = min(start + block, len(flat) - margin)
        own = flat[start:end]
        for d in range(len(shifts)):
            other = flat[start + shifts[d] : end + shifts[d]]
            for n in range(len(own)):
                pair[n] = np.int32(own[n]) * np.int32(width) + np.int32(other[n])
            for n in range(len(own)):
                if own[n] > 0:
                    pairs[d, n & 1, np.uint32(pair[n])] += 1
    return pairs
