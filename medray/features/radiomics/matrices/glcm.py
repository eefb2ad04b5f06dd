"""Grey-level co-occurrence matrix (Haralick et al., 1973; IBSI LFYI)."""

from __future__ import annotations

import numpy as np

from medray.kernels import kernel
from medray.types import Int32, Int64, UInt16


def glcm(levels: UInt16, count: int, offsets: Int64) -> Int64:
    """How often one level lies at an offset from another: int64 (n, count, count), not symmetric.

    ``[d, i - 1, j - 1]`` counts the pixels of level i with level j at ``offsets[d]`` from them.

    Args:
        levels: uint16 (slices, rows, columns), C order; 1 … count, 0 outside the region.
        count: number of levels.
        offsets: int64 (n, 3), see :func:`medray.features.radiomics.matrices.offsets.offsets`.
    """
    pairs = _pairs(levels, count + 1, offsets).sum(1)
    return np.array(pairs.reshape(len(offsets), count + 1, count + 1)[:, 1:, 1:], dtype=np.int64)


@kernel
def _pairs(levels: UInt16, width: int, offsets: Int64) -> Int32:
    """Pairs of levels including 0, int32 (n, 2, width * width): of even and of odd places, lest one add waits for the last."""
    slices, rows, columns = levels.shape
    pairs = np.zeros((len(offsets), 2, width * width), np.int32)
    pair = np.empty(columns, np.int32)
    for s in range(slices):
        for r in range(rows):
            for d in range(len(offsets)):
                other_s, other_r, step = s + offsets[d, 0], r + offsets[d, 1], offsets[d, 2]
                if 0 <= other_s < slices and 0 <= other_r < rows:
                    first = levels[s, r, max(-step, 0) : columns - max(step, 0)]
                    second = levels[other_s, other_r, max(step, 0) : columns - max(-step, 0)]
                    for c in range(len(first)):
                        pair[c] = np.int32(first[c]) * np.int32(width) + np.int32(second[c])
                    for c in range(len(first)):
                        pairs[d, c & 1, np.uint32(pair[c])] += 1
    return pairs
