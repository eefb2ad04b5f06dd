"""Which neighbours of a pixel the matrices look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medray.types import Int64


def offsets(shape: Sequence[int], distances: Sequence[int] = (1,), *, in_plane: bool = False) -> Int64:
    """One of each pair of opposite (slice, row, column) steps at the given Chebyshev distances, int64 (n, 3).

    At distance 1 these are 13 directions in a volume and 4 in a plane. Steps longer than the image are left out.

    Args:
        shape: (slices, rows, columns) of the image.
        distances: in pixels.
        in_plane: no steps from slice to slice.
    """
    reach = max(distances)
    steps = np.mgrid[-reach : reach + 1, -reach : reach + 1, -reach : reach + 1].reshape(3, -1).T[::-1]
    forward = steps[: len(steps) // 2]
    wanted = np.isin(np.abs(forward).max(1), distances) & (np.abs(forward) < np.asarray(shape)).all(1)
    if in_plane:
        wanted &= forward[:, 0] == 0
    return np.ascontiguousarray(forward[wanted], dtype=np.int64)
