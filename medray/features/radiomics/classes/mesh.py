"""The surface of a region: marching squares in a plane, marching cubes in a volume, with vertices halfway between pixels.

Each square or cube of pixels has one of 16 or 256 patterns, and length, area and volume follow from how often each occurs and
where, so that the kernels count and no triangle is ever listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np

from medray.compiled import compiled
from medray.types import Bool, Float64, Int64

CORNERS = ((0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0), (1, 0, 0), (1, 0, 1), (1, 1, 1), (1, 1, 0))
EDGES = ((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7))
"""Of a cube: (slice, row, column) of its corners, and the corners of its edges."""

TRIANGLES = (
    "- 083 019 183981 12a 08312a 92a029 2832a8a98 3b2 0b28b0 19023b 1b219b98b 3a1ba3 0a108a8ba 3903b9ba9 98aa8b 478 430734 ",
    "019847 419471731 12a847 34730412a 92a902847 2a9297273794 8473b2 b47b24204 90184723b 47b94b9b2921 3a13ba784 ",
    "1ba14b1047b4 47890b9bab03 47b4b99ba 954 954083 054150 854835315 12a954 30812a495 52a542402 2a5325354348 95423b ",
    "0b208b495 05401523b 21525828b485 a3ba13954 4950818a18ba 54050b5bab03 54858aa8b 978579 930953573 078017157 153357 ",
    "978957a12 a12950530573 802825857a52 2a5253357 7957893b2 95797292027b 23b018178157 b21b17715 958857a13a3b ",
    "5705097b010aba0 ba0b03a50807570 ba57b5 a65 0835a6 9015a6 1831985a6 165261 165126308 965906026 598582526328 23ba65 ",
    "b08b20a65 01923b5a6 5a61929b298b 63b653513 08b0b50515b6 3b6036065059 65969bb98 5a6478 43047365a 1905a6847 a65197173794 ",
    "612651478 125526304347 847905065026 739794329596269 3b2784a65 5a647242027b 01947823b5a6 9219b294b7b45a6 8473b53515b6 ",
    "51b5b610b7b404b 059065036b63847 65969b4797b9 a4964a 4a649a083 a01a60640 83181686461a 149124264 308129249264 024426 ",
    "832824426 a49a64b23 08228b49a4a6 3b201606461a 64161a48121b8b1 964936913b63 8b1810b61914641 3b6360064 648b68 7a678a89a ",
    "0730a709a67a a671a7178180 a67a71173 126168189867 269291679093739 780706602 732672 23ba68a89867 20727b09767a9a7 ",
    "1801781a767a23b b21b17a61671 896867916b63136 091b67 7807063b0b60 7b6 ",
)
"""Triangles of the patterns 0 to 127 of corners inside, three edges (hexadecimal) each, "-" for none: the table of Lorensen and
Cline (1987) as P. Bourke put it into the public domain (Polygonising a scalar field, 1994). The others are complements.
"""


def squares(mask: Bool, height: float, width: float) -> tuple[float, float]:
    """Length of the outline of a region, and the area inside.

    Pixels that touch at a corner alone are cut apart there.

    Args:
        mask: bool (rows, columns).
        height, width: of a pixel.
    """
    counts = _square_patterns(np.pad(mask, 1))
    corner, across, down = np.hypot(height, width) / 2, float(width), float(height)
    # inside: none, then by corner 1 (upper left), 2 (upper right), 4 (lower left), 8 (lower right)
    lengths = [0, corner, corner, across, corner, down, 2 * corner, corner]
    eighths = np.array([0, 1, 1, 4, 1, 4, 2, 7, 1, 2, 4, 7, 4, 7, 7, 8])
    return float(counts @ np.array(lengths + lengths[::-1])), float(counts @ eighths) * height * width / 8


def cubes(mask: Bool, spacing_mm: tuple[float, float, float]) -> tuple[float, float]:
    """Area of the surface of a region, and the volume inside (the sum of signed tetrahedra from the corner of the image).

    Args:
        mask: bool (slices, rows, columns), in its bounding box.
        spacing_mm: distance of pixel centres along each axis.
    """
    counts, places = _cube_patterns(np.pad(mask, 1))
    triangle, pattern, sign = _triangles()
    a, b, c = (triangle[:, n] * spacing_mm for n in range(3))
    areas = np.linalg.norm(np.cross(a - c, b - c), axis=1) / 2
    volumes = np.einsum("ij,ij->i", np.cross(a, b), c)
    normals = np.cross(a, b) + np.cross(b, c) + np.cross(c, a)
    shifts = np.einsum("ij,ij->i", normals, places[pattern] * np.asarray(spacing_mm))
    return float(areas @ counts[pattern]), float(sign @ (volumes * counts[pattern] + shifts)) / 6


def diameter(mask: Bool, spacing_mm: Sequence[float]) -> float:
    """Largest distance of two points of the outline or surface, in a plane or a volume."""
    return _largest_distance(outermost(mask), spacing_mm)


def outermost(mask: Bool) -> Int64:
    """Points of the outline or surface or within, with all corners of its convex hull: int64 (n, axes) in half pixels.

    The hull is that of the pixels, and half a pixel on along each axis: beyond the outermost pixel on a side there is none.
    """
    pixels = _ends(mask)
    planes = [pixels] if mask.ndim == 2 else _groups(pixels, 0)
    hulls = [plane[cv2.convexHull(plane[:, -2:].astype(np.int32), returnPoints=False).ravel()] for plane in planes]
    half = np.eye(mask.ndim, dtype=np.int64)
    return np.asarray(2 * np.concatenate(hulls)[:, None] + np.concatenate([half, -half]), dtype=np.int64).reshape(-1, mask.ndim)


def plane_diameters(mask: Bool, spacing_mm: Sequence[float]) -> tuple[float, float, float]:
    """Largest distance of two points of the surface that share their slice, their row, and their column."""
    along_rows = _line_ends(mask)
    along_columns = _line_ends(mask.transpose(0, 2, 1))[:, [0, 2, 1]]
    candidates = (along_rows, along_rows, along_columns)
    found = [
        max(_largest_distance(group, spacing_mm) for group in _groups(points, axis)) for axis, points in enumerate(candidates)
    ]
    return found[0], found[1], found[2]


def _groups(points: Int64, axis: int) -> list[Int64]:
    """The points, split by one coordinate."""
    ordered = points[np.argsort(points[:, axis], kind="stable")]
    return np.split(ordered, np.flatnonzero(np.diff(ordered[:, axis])) + 1)


def _largest_distance(half_pixels: Int64, spacing_mm: Sequence[float]) -> float:
    """Largest distance of two points, int64 (n, dimensions).

    From the outside in: a pair whose distances to the middle do not add up to the best so far cannot beat it.
    """
    points = half_pixels * (np.asarray(spacing_mm) / 2)
    radius = np.linalg.norm(points - (points.min(0) + points.max(0)) / 2, axis=1)
    order = np.argsort(-radius, kind="stable")
    return float(_farthest(np.ascontiguousarray(points[order]), radius[order]))


@cache
def _triangles() -> tuple[Float64, Int64, Int64]:
    """The triangles of all patterns: vertices float64 (n, 3, 3) in a cube; pattern; 1, or -1 for complements."""
    vertices = np.mean(np.array(CORNERS)[np.array(EDGES)], axis=1)
    found, patterns, signs = [], [], []
    for pattern, text in enumerate("".join(TRIANGLES).split()):
        for start in range(0, len(text) - 2, 3):
            triangle = vertices[[int(edge, 16) for edge in text[start : start + 3]]]
            found += [triangle, triangle]
            patterns += [pattern, 255 - pattern]
            signs += [1, -1]
    return np.array(found), np.array(patterns), np.array(signs)


@compiled
def _first_and_last(lines: Bool) -> Int64:
    """The first and the last place of each line, bool (n, length), that is True: int64 (2, n), -1 where none is."""
    count, length = lines.shape
    found = np.full((2, count), -1, np.int64)
    for n in range(count):
        first, last = 0, length - 1
        while first < length and not lines[n, first]:
            first += 1
        if first < length:
            while not lines[n, last]:
                last -= 1
            found[0, n], found[1, n] = first, last
    return found


@compiled
def _square_patterns(mask: Bool) -> Int64:
    """How often each pattern of 2 x 2 pixels occurs, int64 (16,); bits by row, then column."""
    counts = np.zeros(16, np.int64)
    width = mask.shape[1] - 1
    pattern = np.empty(width, np.uint8)
    for r in range(mask.shape[0] - 1):
        upper_left, upper_right, lower_left, lower_right = mask[r, :-1], mask[r, 1:], mask[r + 1, :-1], mask[r + 1, 1:]
        full = 0
        for c in range(width):
            upper = np.uint8(upper_left[c]) | np.uint8(upper_right[c]) << np.uint8(1)
            pattern[c] = upper | np.uint8(lower_left[c]) << np.uint8(2) | np.uint8(lower_right[c]) << np.uint8(3)
            full += pattern[c] == 15
        counts[15] += full
        for c in range(width):
            if 0 < pattern[c] < 15:
                counts[pattern[c]] += 1
    return counts


@compiled
def _cube_patterns(mask: Bool) -> tuple[Int64, Int64]:
    """How often each pattern of 2 x 2 x 2 pixels occurs, int64 (256,), and the sum of its places, int64 (256, 3)."""
    counts = np.zeros(256, np.int64)
    places = np.zeros((256, 3), np.int64)
    for s in range(mask.shape[0] - 1):
        for r in range(mask.shape[1] - 1):
            near, far, near_up, far_up = mask[s, r], mask[s, r + 1], mask[s + 1, r], mask[s + 1, r + 1]
            for c in range(mask.shape[2] - 1):
                below = near[c] | near[c + 1] << 1 | far[c + 1] << 2 | far[c] << 3
                pattern = np.uint8(below | (near_up[c] | near_up[c + 1] << 1 | far_up[c + 1] << 2 | far_up[c] << 3) << 4)
                counts[pattern] += 1
                if 0 < pattern < 255:
                    places[pattern, 0] += s
                    places[pattern, 1] += r
                    places[pattern, 2] += c
    return counts, places


def _line_ends(mask: Bool) -> Int64:
    """First and last vertex on each line of pixels along the last axis, and between such lines: int64 (n, axes) in half pixels.

    Of two points on a line, one end is always farther from a third.
    """
    padded = np.pad(mask, 1)
    found = []
    for axis in range(mask.ndim):
        crossing = np.diff(padded, axis=axis)
        points = 2 * _ends(crossing)
        points[:, axis] += 1
        found.append(points)
    return np.concatenate(found)


def _ends(array: Bool) -> Int64:
    """Where each line along the last axis is True first and last: int64 (n, axes)."""
    ends = _first_and_last(np.ascontiguousarray(array).reshape(-1, array.shape[-1])).reshape(2, *array.shape[:-1])
    lines = np.argwhere(ends[0] >= 0)
    return np.concatenate([np.column_stack([lines, end[tuple(lines.T)]]) for end in ends])


@compiled
def _farthest(points: Float64, radius: Float64) -> float:
    best = 0.0
    for first in range(len(points)):
        if 2 * radius[first] <= best:
            break
        for second in range(first + 1, len(points)):
            if radius[first] + radius[second] <= best:
                break
            square = 0.0
            for axis in range(points.shape[1]):
                square += (points[first, axis] - points[second, axis]) ** 2
            best = max(best, np.sqrt(square))
    return best
