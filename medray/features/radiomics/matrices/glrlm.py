"""Grey-level run-length matrix (Galloway, 1975; IBSI TP0I)."""

from __future__ import annotations

import numpy as np

from medray.compiled import compiled
from medray.features.radiomics.matrices.flat import BLOCK, flattened
from medray.types import Int32, Int64, UInt16


def glrlm(levels: UInt16, count: int, offsets: Int64) -> Int64:
    """Runs of equal levels: int64 (n, count, longest run).

    ``[d, i - 1, l - 1]`` counts the runs of level i and length l along ``offsets[d]``.

    Args:
        levels: uint16 (slices, rows, columns), C order; 1 … count, 0 outside the region.
        count: number of levels.
        offsets: int64 (n, 3), at distance 1.
    """
    reached = _reached(*flattened(levels, offsets), count + 1, max(levels.shape) + 1, BLOCK)[:, :, 1:]
    longest = np.count_nonzero(reached.any((0, 2)))
    runs = reached[:, :longest] - reached[:, 1 : longest + 1]
    return np.ascontiguousarray(runs.transpose(0, 2, 1), dtype=np.int64)


@compiled
def _reached(flat: UInt16, shifts: Int64, margin: int, width: int, longest: int, block: int) -> Int32:
    """Pixels at each place of their run, int32 (n, place, level): as many runs are at least so long.

    A block is no longer than the shift, so that it never waits for itself; along a row it has to.
    """
    reached = np.zeros((len(shifts), longest, width), np.int32)
    places = np.zeros(len(flat), np.int32)
    cell = np.empty(block, np.int32)
    for d in range(len(shifts)):
        counts = reached[d].ravel()
        size = min(block, shifts[d]) if shifts[d] > 1 else block
        for start in range(margin, len(flat) - margin, size):
            end = min(start + size, len(flat) - margin)
            own, last = flat[start:end], flat[start - shifts[d] : end - shifts[d]]
            place, place_last = places[start:end], places[start - shifts[d] : end - shifts[d]]
            for n in range(len(own)):
                place[n] = (place_last[n] + np.int32(1)) * np.int32((own[n] == last[n]) & (own[n] > 0))
            for n in range(len(own)):
                cell[n] = place[n] * np.int32(width) + np.int32(own[n])
            for n in range(len(own)):
                if own[n] > 0:
                    counts[np.uint32(cell[n])] += 1
    return reached
