"""Grey-level run-length matrix (Galloway, 1975; IBSI TP0I)."""

from __future__ import annotations

import numpy as np

from medray.kernels import kernel
from medray.types import Int32, Int64, UInt16


def glrlm(levels: UInt16, count: int, offsets: Int64) -> Int64:
    """Runs of equal levels: int64 (n, count, longest run).

    ``[d, i - 1, l - 1]`` counts the runs of level i and length l along ``offsets[d]``.

    Args:
        levels: uint16 (slices, rows, columns), C order; 1 … count, 0 outside the region.
        count: number of levels.
        offsets: int64 (n, 3), at distance 1.
    """
    reached = _reached(levels, count, offsets)[:, :, 1:]
    longest = np.count_nonzero(reached.any((0, 2)))
    runs = reached[:, :longest] - reached[:, 1 : longest + 1]
    return np.ascontiguousarray(runs.transpose(0, 2, 1), dtype=np.int64)


@kernel
def _reached(levels: UInt16, count: int, offsets: Int64) -> Int32:
    """Pixels at each place of their run, int32 (n, place, level): as many runs are at least so long. Level 0 included."""
    slices, rows, columns = levels.shape
    width = count + 1
    reached = np.zeros((len(offsets), max(slices, rows, columns) + 1, width), np.int32)
    place = np.zeros((slices, rows, columns), np.int32)
    cell = np.empty(columns, np.int32)
    for d in range(len(offsets)):
        counts = reached[d].ravel()
        for s in range(slices):
            for r in range(rows):
                _places(levels, place, s, r, offsets[d, 0], offsets[d, 1], offsets[d, 2])
                for c in range(columns):
                    cell[c] = place[s, r, c] * np.int32(width) + np.int32(levels[s, r, c])
                for c in range(columns):
                    counts[np.uint32(cell[c])] += 1
    return reached


@kernel
def _places(levels: UInt16, place: Int32, s: int, r: int, ds: int, dr: int, dc: int) -> None:
    """The place of each pixel of a row in its run along one offset, from 0."""
    slices, rows, columns = levels.shape
    place[s, r] = 0
    if 0 <= s - ds < slices and 0 <= r - dr < rows:
        first, end = max(dc, 0), columns + min(dc, 0)
        own, place_own = levels[s, r, first:end], place[s, r, first:end]
        last, place_last = levels[s - ds, r - dr, first - dc : end - dc], place[s - ds, r - dr, first - dc : end - dc]
        for c in range(len(own)):
            place_own[c] = (place_last[c] + np.int32(1)) * np.int32(last[c] == own[c])
