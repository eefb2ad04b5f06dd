"""Filtered images, named as in pyradiomics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product

import numpy as np

from medray.features.radiomics.params import FilterName, RadiomicsParams
from medray.types import Float64

Spacing = tuple[float, ...] | None


def filter_names(params: RadiomicsParams) -> tuple[str, ...]:
    """Names of the filtered images, in order."""
    return tuple(image for name in params.filters for image in _names(name, params))


def filtered(pixels: Float64, spacing_mm: Spacing, name: FilterName, params: RadiomicsParams) -> list[Float64 | None]:
    """The images that one filter makes of a plane or a volume, float64 of the same shape.

    None for one that needs the spacing where it is unknown. Those of a constant image may not be finite.
    """
    axes = range(pixels.ndim - params.dimensions, pixels.ndim)
    if name in POINTWISE:
        with np.errstate(all="ignore"):
            return [POINTWISE[name](pixels)]
    if name == "wavelet":
        return [*_wavelet(pixels, params.wavelet, axes)]
    if params.length_unit == "mm" and spacing_mm is None:
        return [None] * len(_names(name, params))
    spacing = np.ones(pixels.ndim) if params.length_unit == "px" or spacing_mm is None else np.asarray(spacing_mm)
    if name == "gradient":
        return [_gradient(pixels, spacing, axes)]
    return [_log(pixels, sigma / spacing, axes) for sigma in params.sigmas]


def _names(name: FilterName, params: RadiomicsParams) -> list[str]:
    if name == "log":
        suffix = f"{params.length_unit}-{params.dimensions}D"
        return [f"log-sigma-{str(float(sigma)).replace('.', '-')}-{suffix}" for sigma in params.sigmas]
    if name == "wavelet":
        return [f"wavelet-{band}" for band in _bands(params.dimensions)]
    return [name]


def _bands(dimensions: int) -> list[str]:
    """Low (L) or high (H) pass along each axis, columns first; all low comes last."""
    bands = ["".join(band) for band in product("LH", repeat=dimensions)]
    return [*bands[1:], bands[0]]


def _square(pixels: Float64) -> Float64:
    return np.asarray((pixels / np.sqrt(np.abs(pixels).max())) ** 2, dtype=np.float64)


def _square_root(pixels: Float64) -> Float64:
    return np.asarray(np.sign(pixels) * np.sqrt(np.abs(pixels) * np.abs(pixels).max()), dtype=np.float64)


def _logarithm(pixels: Float64) -> Float64:
    logarithm = np.sign(pixels) * np.log1p(np.abs(pixels))
    return np.asarray(logarithm * (np.abs(pixels).max() / np.abs(logarithm).max()), dtype=np.float64)


def _exponential(pixels: Float64) -> Float64:
    largest = np.abs(pixels).max()
    return np.asarray(np.exp(pixels * (np.log(largest) / largest)), dtype=np.float64)


POINTWISE: Mapping[str, Callable[[Float64], Float64]] = {
    "square": _square,
    "squareroot": _square_root,
    "logarithm": _logarithm,
    "exponential": _exponential,
}
"""Of the value of a pixel and the largest magnitude in the image, m: v² / m; √(m |v|) and m log(1 + |v|) / log(1 + m), both with
the sign of v; m^(v / m).
"""


def _wavelet(pixels: Float64, wavelet: str, axes: range) -> list[Float64]:
    """One level of the stationary wavelet transform; an axis of odd length goes on with its first pixel."""
    from pywt import swtn

    padded = np.pad(pixels, [(0, size % 2) for size in pixels.shape], mode="wrap")
    bands = swtn(padded, wavelet, level=1, axes=tuple(reversed(axes)))[0]
    inside = tuple(slice(size) for size in pixels.shape)
    return [bands[name.replace("L", "a").replace("H", "d")][inside] for name in _bands(len(axes))]


def _gradient(pixels: Float64, spacing: Float64, axes: range) -> Float64:
    """Magnitude of the gradient by central differences; beyond the border the last pixel goes on."""
    total = np.zeros(pixels.shape)
    for axis in axes:
        padded = np.pad(pixels, [(int(axis == other),) * 2 for other in range(pixels.ndim)], mode="edge")
        after = np.take(padded, range(2, padded.shape[axis]), axis)
        total += ((after - np.take(padded, range(padded.shape[axis] - 2), axis)) / (2 * spacing[axis])) ** 2
    return np.sqrt(total)


def _log(pixels: Float64, sigma: Float64, axes: range) -> Float64:
    """Laplacian of Gaussian of IBSI 2 (L6PA): the sampled kernel up to 4 sigma, convolved; mirrored at border pixels.

    The kernel is a sum of products of one-dimensional ones. pyradiomics takes a recursive approximation, times sigma².
    """
    from scipy.ndimage import correlate1d

    total = np.zeros(pixels.shape)
    for second in axes:
        part = pixels
        for axis in axes:
            place = np.arange(-int(4 * sigma[axis] + 0.5), int(4 * sigma[axis] + 0.5) + 1)
            weights = np.exp(-(place**2) / (2 * sigma[axis] ** 2)) / (np.sqrt(2 * np.pi) * sigma[axis])
            if axis == second:
                weights *= place**2 / sigma[axis] ** 4 - 1 / sigma[axis] ** 2
            part = correlate1d(part, weights, axis, mode="mirror")
        total += part
    return total
