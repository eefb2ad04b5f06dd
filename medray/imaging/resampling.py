"""Resampling along one axis: area means where it shrinks, linear where it grows, each the limit of the other."""

from __future__ import annotations

import numpy as np

from medray.imaging.op import float32
from medray.types import Float32, Float64, Int64


def resample_axis(array: Float32, axis: int, size: int, scale: float) -> Float32:
    """The array resampled along an axis, its centre staying where it is.

    A new pixel is the mean of the old ones that it covers, weighted by how much of each, where it is larger than they are;
    else it is interpolated linearly between the two nearest centres. What lies beyond the ends has no weight,
    and of a new pixel that lies there altogether the nearest old one has all.

    Args:
        array: float32, of any shape.
        axis: which one.
        size: number of pixels of the result along the axis, at least 1.
        scale: size of a new pixel in old ones.
    """
    before = array.shape[axis]
    if scale == 1 and size == before:
        return array
    return sampled_axis(array, axis, (before - 1) / 2 + (np.arange(size) - (size - 1) / 2) * scale, scale)


def sampled_axis(array: Float32, axis: int, centres: Float64, scale: float) -> Float32:
    """The array resampled along an axis as :func:`resample_axis` does it, with the new pixels anywhere.

    Args:
        array: float32, of any shape.
        axis: which one.
        centres: float64 (size,), where the new pixels lie: indices of old ones, and fractions.
        scale: size of a new pixel in old ones.
    """
    size = len(centres)
    first, weights = _weights(array.shape[axis], centres, scale)
    across = [1] * array.ndim
    across[axis] = size
    result = np.zeros((*array.shape[:axis], size, *array.shape[axis + 1 :]), dtype=np.float32)
    for offset, weight in enumerate(float32(weights)):
        index = np.minimum(first + offset, array.shape[axis] - 1)
        result += array.take(index, axis=axis) * weight.reshape(across)
    return result


def _weights(before: int, centres: Float64, scale: float) -> tuple[Int64, Float64]:
    """Index of the first old pixel of each new one, and float64 (old pixels, size) weights that sum to 1 over the old pixels."""
    half = max(scale, 1.0) / 2
    centres = np.clip(centres, -half, before - 1 + half)
    first = np.floor(np.clip(centres - half + 0.5, 0, before - 1)).astype(np.int64)
    reach = min(int(np.ceil(2 * half)) + 1, before)
    pixels = first + np.arange(reach)[:, None]
    cover = np.minimum(pixels + 0.5, centres + half) - np.maximum(pixels - 0.5, centres - half)
    weights = np.where(pixels < before, np.clip(cover, 0, None), 0)
    return first, weights / weights.sum(axis=0)
