"""Zones of equal levels, and their grey-level size zone matrix (Thibault et al., 2009; IBSI 9SAK)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medray.compiled import compiled
from medray.types import Int32, Int64, UInt16


def zones(levels: UInt16, *, in_plane: bool = False) -> tuple[Int32, Int64, Int64]:
    """Connected pixels of one level: 26-connected, or 8-connected in each plane.

    Args:
        levels: uint16 (slices, rows, columns), C order; 0 outside the region.
        in_plane: zones do not reach from slice to slice.

    Returns:
        labels: int32, as the levels; the zone of each pixel from 1, 0 outside the region.
        level: int64 (zones,); level of each zone.
        size: int64 (zones,); pixels of each zone.
    """
    labels, parents, sizes, level = _merged(levels, in_plane)
    roots = (parents == np.arange(len(parents))) & (level > 0)
    number = np.where(roots, np.cumsum(roots), 0)[parents].astype(np.int32)
    return number[labels], level[roots].astype(np.int64), sizes[roots].astype(np.int64)


def glszm(levels: UInt16, count: int, *, in_plane: bool = False) -> tuple[Int64, Int64]:
    """The size zone matrix without its empty columns.

    Args:
        levels: as for :func:`zones`, 1 … count inside the region.
        count: number of levels.
        in_plane: zones do not reach from slice to slice.

    Returns:
        counts: int64 (count, n); ``[i - 1, k]`` zones of level i and size ``sizes[k]``.
        sizes: int64 (n,); the sizes that occur, ascending.
    """
    _, parents, size, level = _merged(levels, in_plane)
    counts, sizes = _counts(parents, size, level, count)
    return counts, sizes


@compiled
def _merged(levels: UInt16, in_plane: bool) -> Any:
    """Union-find of the pixels, row by row, almost without branches: the next free label is written at every pixel.

    Returns:
        labels: int32 (slices, rows, columns), provisional ones.
        parents: int32 (n,); the zone of each label, its smallest label.
        sizes: int32 (n,); pixels of each zone at its smallest label, 0 at others.
        level: uint16 (n,); level of each label.
    """
    slices, rows, columns = levels.shape
    labels = np.empty((slices, rows, columns), np.int32)
    flat = labels.ravel()
    parents, level = np.empty(levels.size + 1, np.int32), np.empty(levels.size + 1, np.uint16)
    sizes = np.zeros(levels.size + 1, np.int32)
    equal = np.empty(columns, np.uint8)
    nearest = _nearest(columns)
    count, place = 0, 0
    for s in range(slices):
        for r in range(rows):
            _mark_equal(levels, s, r, equal)
            for c in range(columns):
                flat[place], parents[count], level[count] = count, count, levels[s, r, c]
                label = flat[np.uint32(place + nearest[equal[c]])]
                count += equal[c] == 0
                if (equal[c] & 9) == 8 and equal[c] & 6:
                    label = np.int32(_joined(parents, label, flat[place - columns + 1]))
                flat[place] = label
                sizes[label] += 1
                place += 1
            if s > 0 and not in_plane:
                _join_slice(levels, labels, parents, s, r)
    for label in range(count):
        root = parents[parents[label]]
        parents[label] = root
        if root != label:
            sizes[root] += sizes[label]
            sizes[label] = 0
    return labels, parents[:count], sizes[:count], level[:count]


@compiled
def _mark_equal(levels: UInt16, s: int, r: int, equal: NDArray[np.uint8]) -> None:
    """Which neighbours of each pixel of a row have its level: 1 above, 2 on the left, 4 above on the left, 8 on the right."""
    row = levels[s, r]
    equal[:] = 0
    _mark(row[1:], row[:-1], equal[1:], 1)
    if r > 0:
        above = levels[s, r - 1]
        _mark(row, above, equal, 0)
        _mark(row[1:], above[:-1], equal[1:], 2)
        _mark(row[:-1], above[1:], equal[:-1], 3)


@compiled
def _mark(own: UInt16, other: UInt16, equal: NDArray[np.uint8], bit: int) -> None:
    for c in range(len(own)):
        equal[c] |= np.uint8(own[c] == other[c]) << np.uint8(bit)


@compiled
def _nearest(columns: int) -> Int64:
    """Where to look for the label of a pixel, by the neighbours that have its level, int64 (16,); 0 for the pixel itself.

    The pixel above touches the other three, so that where it is equal all of them have one label already.
    """
    step = np.zeros(16, np.int64)
    for equal in range(16):
        if equal & 1:
            step[equal] = -columns
        elif equal & 2:
            step[equal] = -1
        elif equal & 4:
            step[equal] = -columns - 1
        elif equal & 8:
            step[equal] = -columns + 1
    return step


@compiled
def _join_slice(levels: UInt16, labels: Int32, parents: Int32, s: int, r: int) -> None:
    """Join the zones of a row with those that they touch in the slice before."""
    _, rows, columns = levels.shape
    for c in range(columns):
        own = levels[s, r, c]
        if levels[s - 1, r, c] == own:
            if c == 0 or levels[s, r, c - 1] != own or levels[s - 1, r, c - 1] != own:  # else joined with the pixel on the left
                _joined(parents, labels[s, r, c], labels[s - 1, r, c])
            continue
        for other_r in range(max(r - 1, 0), min(r + 2, rows)):
            for other_c in range(max(c - 1, 0), min(c + 2, columns)):
                if levels[s - 1, other_r, other_c] == own:
                    _joined(parents, labels[s, r, c], labels[s - 1, other_r, other_c])


@compiled
def _joined(parents: Int32, first: int, second: int) -> int:
    """Join the zones of two labels under the smaller root, which is returned."""
    while parents[first] != first:
        parents[first] = parents[parents[first]]
        first = parents[first]
    while parents[second] != second:
        parents[second] = parents[parents[second]]
        second = parents[second]
    root = min(first, second)
    parents[first] = root
    parents[second] = root
    return root


@compiled
def _counts(parents: Int32, sizes: Int32, level: UInt16, count: int) -> tuple[Int64, Int64]:
    column = np.zeros(sizes.max() + 1, np.int64)
    for label in range(len(parents)):
        if level[label] > 0 and parents[label] == label:
            column[sizes[label]] = 1
    occurring = np.flatnonzero(column)
    column[occurring] = np.arange(len(occurring))
    counts = np.zeros((count, len(occurring)), np.int64)
    for label in range(len(parents)):
        if level[label] > 0 and parents[label] == label:
            counts[level[label] - 1, column[sizes[label]]] += 1
    return counts, occurring
