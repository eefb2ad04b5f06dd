"""Connected components of masks, as runs along the rows: nothing but the mask is read, and no labels are written.

A mask becomes its runs of True pixels (found eight pixels at a time), and runs that touch are joined in a union-find (Wu, Otoo
and Suzuki, Pattern Analysis and Applications 12:117, 2009).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medray.compiled import compiled
from medray.types import Bool, Int64

Slices = tuple[slice, ...]
_WORD = 8


@dataclass(frozen=True)
class Components:
    """The connected components of a mask, the largest first; equal ones in the order of their first pixels.

    Attributes:
        shape: of the mask.
        areas: int64 (components,), in pixels.
        boxes: int64 (components, 3, 2), first and end index along slices, rows and columns; one slice for a plane.
        runs: int64 (runs, 4): row of the mask (counted over all slices), first and end column, component.
    """

    shape: tuple[int, ...]
    areas: Int64
    boxes: Int64
    runs: Int64

    def __len__(self) -> int:
        return len(self.areas)

    def box(self, number: int) -> Slices:
        """The bounding box of a component, a slice for each axis of the mask."""
        return tuple(slice(int(first), int(end)) for first, end in self.boxes[number][-len(self.shape) :])

    def mask(self, numbers: Sequence[int] | Bool) -> Bool:
        """bool, as the mask: True in these components (numbers, or one bool for each component)."""
        wanted = np.zeros(len(self), dtype=np.bool_)
        wanted[np.asarray(numbers, dtype=None if len(numbers) else np.intp)] = True
        painted = np.zeros(self.shape, dtype=np.bool_)
        _paint(painted.reshape(-1, self.shape[-1]), self.runs, wanted)
        return painted


def components(mask: Bool, *, diagonal: bool = True) -> Components:
    """The components of a mask.

    Args:
        mask: bool (rows, columns) or (slices, rows, columns).
        diagonal: whether pixels that share but a corner touch: 8 or 26 neighbours; else 4 or 6.
    """
    slices = 1 if mask.ndim == 2 else mask.shape[0]
    words = _words(mask)
    counts = _count(words)
    runs = np.empty((int(counts.sum()), 4), dtype=np.int64)
    first = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=first[1:])
    _fill(words, mask.shape[-1], first, runs)
    _join(runs, first, slices, diagonal)
    areas, boxes = _measure(runs, mask.shape[-2])
    order = np.argsort(-areas, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    runs[:, 3] = rank[runs[:, 3]]
    return Components(mask.shape, areas[order], boxes[order], runs)


def filled(mask: Bool) -> Bool:
    """The mask with its holes filled, slice by slice: what no path of neighbours (of four) joins to the border of the slice."""
    if mask.ndim == 3:
        return np.stack([filled(plane) for plane in mask])
    outside = components(~mask, diagonal=False)
    return ~outside.mask(at_border(outside))


def at_border(found: Components) -> Bool:
    """bool (components,): which of them reach the first or last row or column of a slice."""
    rows, columns = found.boxes[:, 1], found.boxes[:, 2]
    reach: Bool = (rows[:, 0] == 0) | (rows[:, 1] == found.shape[-2]) | (columns[:, 0] == 0) | (columns[:, 1] == found.shape[-1])
    return reach


def _words(mask: Bool) -> Any:
    """uint64 (rows over all slices, words): eight pixels a word, the first in the lowest byte, rows padded with False."""
    lines = mask.reshape(-1, mask.shape[-1])
    padded = np.zeros((len(lines), -(-lines.shape[1] // _WORD) * _WORD), dtype=np.bool_)
    padded[:, : lines.shape[1]] = lines
    return padded.view("<u8").astype(np.uint64, copy=False)


@compiled
def _count(words: Any) -> Any:
    """int64 (rows,): how many runs each has."""
    counts = np.zeros(words.shape[0], np.int64)
    for line in range(words.shape[0]):
        last = np.uint64(0)
        for word in words[line]:
            starts = word & ~((word << np.uint64(8)) | last)
            last = word >> np.uint64(56)
            while starts:
                starts &= starts - np.uint64(1)
                counts[line] += 1
    return counts


@compiled
def _fill(words: Any, columns: int, first: Any, runs: Any) -> None:
    """Write row, first and end column of each run, and its own number as the component."""
    for line in range(words.shape[0]):
        run, last = first[line], np.uint64(0)
        for at in range(words.shape[1]):
            word = words[line, at]
            edges = word ^ ((word << np.uint64(8)) | last)
            last = word >> np.uint64(56)
            column = 8 * at
            while edges:
                if edges & np.uint64(1):
                    if (word >> np.uint64(8 * (column - 8 * at))) & np.uint64(1):
                        runs[run, 0], runs[run, 1], runs[run, 2], runs[run, 3] = line, column, columns, run
                    else:
                        runs[run, 2] = column
                        run += 1
                edges >>= np.uint64(8)
                column += 1


@compiled
def _root(runs: Any, run: int) -> int:
    """The first run of a component, shortening the way there."""
    while runs[run, 3] != run:
        runs[run, 3] = runs[runs[run, 3], 3]
        run = runs[run, 3]
    return run


@compiled
def _touch(runs: Any, run: int, end: int, other: int, other_end: int, reach: int) -> None:
    """Join the runs of two rows whose columns overlap, or meet at a corner where reach is 1."""
    while run < end and other < other_end:
        if runs[run, 1] < runs[other, 2] + reach and runs[other, 1] < runs[run, 2] + reach:
            a, b = _root(runs, run), _root(runs, other)
            runs[max(a, b), 3] = min(a, b)
        if runs[run, 2] < runs[other, 2]:
            run += 1
        else:
            other += 1


@compiled
def _join(runs: Any, first: Any, slices: int, diagonal: bool) -> None:
    """Point each run to the first of its component."""
    rows = (len(first) - 1) // slices
    reach = 1 if diagonal else 0
    for line in range(len(first) - 1):
        run, end = first[line], first[line + 1]
        if run == end:
            continue
        row = line % rows
        if row > 0:
            _touch(runs, run, end, first[line - 1], first[line], reach)
        if line >= rows:
            for near in range(max(row - reach, 0), min(row + reach, rows - 1) + 1):
                other = line - rows + near - row
                _touch(runs, run, end, first[other], first[other + 1], reach)
    for run in range(len(runs)):
        runs[run, 3] = _root(runs, run)


@compiled
def _measure(runs: Any, rows: int) -> Any:
    """Number the components in the order of their first runs; their areas and boxes."""
    found = 0
    for run in range(len(runs)):
        root = runs[run, 3]
        if root == run:
            found += 1
    areas, boxes = np.zeros(found, np.int64), np.zeros((found, 3, 2), np.int64)
    number, numbers = 0, np.empty(len(runs), np.int64)
    for run in range(len(runs)):
        root, row = runs[run, 3], runs[run, 0] % rows
        place = runs[run, 0] // rows
        if root == run:
            numbers[run] = number
            boxes[number, :, 0] = place, row, runs[run, 1]
            number += 1
        one = numbers[root]
        numbers[run] = one
        areas[one] += runs[run, 2] - runs[run, 1]
        box = boxes[one]
        box[0, 1] = place + 1
        box[1, 0], box[1, 1] = min(box[1, 0], row), max(box[1, 1], row + 1)
        box[2, 0], box[2, 1] = min(box[2, 0], runs[run, 1]), max(box[2, 1], runs[run, 2])
    for run in range(len(runs)):
        runs[run, 3] = numbers[run]
    return areas, boxes


@compiled
def _paint(painted: Any, runs: Any, wanted: Any) -> None:
    """Write True where the wanted components lie; ``painted`` is bool (rows over all slices, columns)."""
    for run in range(len(runs)):
        if wanted[runs[run, 3]]:
            painted[runs[run, 0], runs[run, 1] : runs[run, 2]] = True
