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
    reached = _reached(levels, count, offsets)
    longest = int(np.count_nonzero(reached.any((0, 1))))
    return np.array(reached[:, :, :longest] - reached[:, :, 1 : longest + 1], dtype=np.int64)


@kernel
def _reached(levels: UInt16, count: int, offsets: Int64) -> Int32:
    """Runs of at least a length, int32 (n, count, length): a pixel that is the l-th of its run makes one of at least l."""
    slices, rows, columns = levels.shape
    reached = np.zeros((len(offsets), count + 1, max(slices, rows, columns) + 2), np.int32)
    place = np.zeros((slices, rows, columns + 2), np.int32)
    for d in range(len(offsets)):
        for s in range(slices):
            for r in range(rows):
                _row(levels, place, s, r, offsets[d])
                for c in range(columns):
                    reached[d, levels[s, r, c], place[s, r, c + 1] - 1] += 1
    return reached[:, 1:]


@kernel
def _row(levels: UInt16, place: Int32, s: int, r: int, offset: Int64) -> None:
    """The place of each pixel of a row in its run, from 1; ``place`` has a column more on both sides."""
    own, here = levels[s, r], place[s, r, 1:-1]
    before_s, before_r, step = s - offset[0], r - offset[1], offset[2]
    here[:] = 1
    if not (0 <= before_s < levels.shape[0] and 0 <= before_r < levels.shape[1]):
        return
    before, before_place = levels[before_s, before_r], place[before_s, before_r, 1:-1]
    for c in range(max(step, 0), len(own) + min(step, 0)):
        if before[c - step] == own[c]:
            here[c] = before_place[c - step] + 1
