"""Moran's I and Geary's C: how alike the intensities of near pixels are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medray.features.family import Extracted, Reason, explained, undefined
from medray.features.radiomics.region import Region
from medray.types import Float64

Complex128 = NDArray[np.complex128]

MAX_PADDED = 1 << 25
"""Pixels of the largest transform, eight times those of the region's box: about 1 GiB."""


def autocorrelation(region: Region) -> Extracted:
    """Moran's I and Geary's C of a region with a spacing, every pair weighted by its inverse distance.

    The sums over all pairs are products of the Fourier transforms of the region, its intensities and the weight of each
    displacement: exact but for rounding, in n log n steps. TOO_LARGE above MAX_PADDED.
    """
    values = region.values[region.mask]
    if len(values) < 2:
        return undefined(2, Reason.TOO_SMALL if len(values) else Reason.EMPTY)
    if values.min() == values.max():
        return undefined(2, Reason.CONSTANT)
    shape = _padded(region.mask.shape)
    if np.prod(shape) > MAX_PADDED:
        return undefined(2, Reason.TOO_LARGE)
    count, centred = len(values), np.where(region.mask, region.values - values.mean(), 0)
    scale = np.abs(centred).max()
    weight, product, square = _pair_sums(centred / scale, region, shape)
    squares = np.sum((centred / scale) ** 2)
    return explained([count * product / (weight * squares), (count - 1) * (square - product) / (weight * squares)])


def _padded(shape: tuple[int, ...]) -> tuple[int, ...]:
    from scipy.fft import next_fast_len

    return tuple(int(next_fast_len(2 * size - 1, real=True)) for size in shape)


def _pair_sums(centred: Float64, region: Region, shape: tuple[int, ...]) -> tuple[float, float, float]:
    """Sums over ordered pairs of pixels of w, w x y and w x², w the inverse distance of the pair."""
    from scipy.fft import rfftn

    weights = rfftn(_weights(shape, region.spacing_mm)).real / np.prod(shape)
    weights[..., 1 : (shape[-1] + 1) // 2] *= 2  # frequencies that stand for two
    inside = rfftn(region.mask.astype(np.float64), shape)
    once = rfftn(centred, shape)
    pairs, product = _total(weights, inside, inside), _total(weights, once, once)
    del once
    return pairs, product, _total(weights, rfftn(centred * centred, shape), inside)


def _total(weights: Float64, first: Complex128, second: Complex128) -> float:
    """Sum of weights times the real part of first and conjugate second, plane by plane to save memory."""
    planes = zip(weights, first, second, strict=True)
    return float(sum(np.sum(w * (f.real * s.real + f.imag * s.imag)) for w, f, s in planes))


def _weights(shape: tuple[int, ...], spacing_mm: tuple[float, ...] | None) -> Float64:
    """Inverse length of each displacement, 0 for none; negative ones at the end of each axis."""
    squares = np.zeros(shape)
    for axis, (size, step) in enumerate(zip(shape, spacing_mm or (), strict=True)):
        place = np.arange(size)
        along = (np.minimum(place, size - place) * step) ** 2
        squares += along.reshape([size if axis == other else 1 for other in range(len(shape))])
    squares[(0,) * len(shape)] = np.inf
    np.sqrt(squares, out=squares)
    return np.reciprocal(squares, out=squares)
