"""Grey levels in one line, where every pixel has its neighbour at the same distance."""

from __future__ import annotations

import numpy as np

from medray.types import Int64, UInt16

BLOCK = 2048
"""Pixels that a kernel takes at a time, so that what it notes of them stays in the nearest cache."""


def flattened(levels: UInt16, offsets: Int64) -> tuple[UInt16, Int64, int]:
    """The levels with zeros between rows and slices, as far as the offsets reach, and around the whole.

    Args:
        levels: uint16 (slices, rows, columns).
        offsets: int64 (n, 3).

    Returns:
        flat: uint16 (length,).
        shifts: int64 (n,); from a pixel to its neighbour at each offset.
        margin: zeros before the first pixel, and after the last; no shift is longer.
    """
    reach = np.abs(offsets).max(0, initial=0)
    _, rows, columns = shape = np.add(levels.shape, reach)
    shifts = offsets @ np.array([rows * columns, columns, 1])
    margin = int(np.abs(shifts).max(initial=0))
    flat = np.zeros(int(shape.prod()) + 2 * margin, np.uint16)
    inside = tuple(slice(size) for size in levels.shape)
    flat[margin : len(flat) - margin].reshape(shape)[inside] = levels
    return flat, shifts, margin
