"""The texture matrices in plain loops, as the definitions read."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def glcm(levels: np.ndarray, count: int, offsets: np.ndarray) -> np.ndarray:
    counts = np.zeros((len(offsets), count, count), np.int64)
    for d, offset in enumerate(offsets):
        for place in np.argwhere(levels):
            other = _level(levels, place + offset)
            if other:
                counts[d, levels[tuple(place)] - 1, other - 1] += 1
    return counts


def glrlm(levels: np.ndarray, count: int, offsets: np.ndarray) -> np.ndarray:
    counts = np.zeros((len(offsets), count, max(levels.shape)), np.int64)
    for d, offset in enumerate(offsets):
        for place in np.argwhere(levels):
            own = levels[tuple(place)]
            if _level(levels, place - offset) != own:
                length = 1
                while _level(levels, place + length * offset) == own:
                    length += 1
                counts[d, own - 1, length - 1] += 1
    return counts[:, :, : np.flatnonzero(counts.any((0, 1)))[-1] + 1] if counts.any() else counts[:, :, :0]


def zones(levels: np.ndarray, in_plane: bool) -> tuple[list[tuple[int, int]], np.ndarray]:
    """(level, size) of each zone, sorted, and labels."""
    structure = np.ones((3, 3, 3))
    structure[::2] *= not in_plane
    labels, found = np.zeros(levels.shape, np.int64), []
    for level in range(1, int(levels.max()) + 1):
        own, count = ndimage.label(levels == level, structure)
        labels[own > 0] = own[own > 0] + len(found)
        found += [(level, int(np.sum(own == zone))) for zone in range(1, count + 1)]
    return sorted(found), labels


def neighbours(levels: np.ndarray, count: int, offsets: np.ndarray, alpha: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    dependence = np.zeros((count, 2 * len(offsets) + 1), np.int64)
    surrounded, difference = np.zeros(count, np.int64), np.zeros(count)
    for place in np.argwhere(levels):
        own = int(levels[tuple(place)])
        around = [_level(levels, place + step) for step in (*offsets, *-offsets)]
        inside = [level for level in around if level]
        dependence[own - 1, sum(abs(level - own) <= alpha for level in inside)] += 1
        if inside:
            surrounded[own - 1] += 1
            difference[own - 1] += abs(own - np.mean(inside))
    return dependence, surrounded, difference


def _level(levels: np.ndarray, place: np.ndarray) -> int:
    inside = (place >= 0).all() and (place < levels.shape).all()
    return int(levels[tuple(place)]) if inside else 0
