"""Moments of the whole region: Hu's invariants and Zernike's magnitudes."""

from __future__ import annotations

from functools import cache
from math import comb, factorial
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from medray.compiled import compiled
from medray.features.family import Extracted, Feature, Reason, explained, joined, undefined
from medray.features.region import boxed, in_proportion
from medray.spec import Spec
from medray.types import Bool, Float64, Image

_HU = "Hu 1962, IRE Trans. Inf. Theory 8(2)"
_ZERNIKE = "Teague 1980, JOSA 70(8); Khotanzad and Hong 1990, IEEE TPAMI 12(5)"


class MomentsParams(Spec):
    """Which moments, and of what."""

    family: Literal["moments"] = "moments"
    degree: int = Field(default=8, ge=1, le=16, description="highest degree of the Zernike polynomials")
    weight: Literal["intensity", "region"] = Field(
        default="intensity",
        description="what a pixel weighs: its grey level, or 1 (then the moments tell of the region's shape alone)",
    )


class Moments:
    """Hu's seven invariants, and the magnitudes of the Zernike moments about the centroid.

    None of them changes when the region is moved, turned or scaled. Pixels have the proportions that the spacing, else the pixel
    aspect ratio gives them. Hu's are given as -sign(h) log₁₀(|h| + 1e-12); h₇ changes its sign in a mirror. Zernike's unit disc
    is the smallest about the centroid that holds the region, and the weights are divided by their sum.
    """

    name = "moments"
    params: type[Spec] = MomentsParams
    dimensions: ClassVar[tuple[int, ...]] = (2,)
    unit_range: ClassVar[bool] = False

    def features(self, params: MomentsParams) -> tuple[Feature, ...]:
        """Hu's, then Zernike's by degree and order; degree 0 is the same for all."""
        hu = (Feature(f"moments_hu_{n}", f"invariant h{n}, as -sign(h) log₁₀(|h| + 1e-12)", _HU) for n in range(1, 8))
        zernike = (
            Feature(f"moments_zernike_{n}_{m}", f"|A| = (n + 1) / π |Σ w V*| of degree n = {n}, order m = {m}", _ZERNIKE)
            for n, m in orders(params.degree)
        )
        return (*hu, *zernike)

    def extract(self, image: Image, params: MomentsParams) -> Extracted:
        """See the class; NaN where the weights do not have a positive sum."""
        pixels, region = boxed(image)
        weights = np.where(region, pixels if params.weight == "intensity" else np.float32(1), np.float32(0))
        total = weights.sum(dtype=np.float64)
        if total <= 0:
            return undefined(len(self.features(params)), Reason.UNDEFINED)
        hu = cv2.HuMoments(in_proportion(cv2.moments(weights), image.pixel_shape)).ravel()
        magnitudes = zernike(weights / total, region, params.degree, image.pixel_shape)
        return joined([explained(-np.sign(hu) * np.log10(np.abs(hu) + 1e-12)), explained(magnitudes, Reason.TOO_SMALL)])


def orders(degree: int) -> list[tuple[int, int]]:
    """(degree, order) of the Zernike polynomials from degree 1 on; orders are not negative."""
    return [(n, m) for n in range(1, degree + 1) for m in range(n % 2, n + 1, 2)]


def zernike(weights: Any, region: Bool, degree: int, pixel_shape: tuple[float, float] = (1.0, 1.0)) -> Float64:
    """Magnitudes of the Zernike moments, float64 (len(orders(degree)),); NaN for a region of one pixel.

    Args:
        weights: float64 (rows, columns), 0 outside the region; their sum is 1.
        region: bool (rows, columns).
        degree: the highest.
        pixel_shape: height and width of a pixel.
    """
    rows, columns = (np.arange(side, dtype=np.float64) * size for side, size in zip(weights.shape, pixel_shape, strict=True))
    down, across = rows - weights.sum(axis=1) @ rows, columns - weights.sum(axis=0) @ columns
    radius = _radius(down, across, region)
    if radius == 0:
        return np.full(len(orders(degree)), np.nan)
    powers = (np.stack([axis / radius]).T ** np.arange(degree + 1) for axis in (down, across))
    geometric = np.zeros((degree + 1, degree + 1))
    _geometric(weights, *(np.ascontiguousarray(power) for power in powers), geometric)
    return np.asarray(np.abs(np.einsum("kpq,pq->k", _coefficients(degree), geometric)), dtype=np.float64)


def _radius(down: Float64, across: Float64, region: Bool) -> float:
    """Distance of the farthest pixel of the region."""
    farthest = 0.0
    for row in np.flatnonzero(region.any(axis=1)).tolist():
        ends = np.flatnonzero(region[row])[[0, -1]]
        farthest = max(farthest, down[row] ** 2 + float(np.max(across[ends] ** 2)))
    return float(np.sqrt(farthest))


@cache
def _coefficients(degree: int) -> Any:
    """Coefficients of y^p x^q in (n + 1) / π V*, complex128 (orders, degree + 1, degree + 1)."""
    table = np.zeros((len(orders(degree)), degree + 1, degree + 1), dtype=np.complex128)
    for index, (n, m) in enumerate(orders(degree)):
        for s in range((n - m) // 2 + 1):
            radial = (-1) ** s * factorial(n - s) / (factorial(s) * factorial((n + m) // 2 - s) * factorial((n - m) // 2 - s))
            half = (n - m) // 2 - s
            for a in range(half + 1):
                for b in range(m + 1):
                    term = radial * comb(half, a) * comb(m, b) * (-1j) ** b
                    table[index, 2 * a + b, 2 * (half - a) + m - b] += term * (n + 1) / np.pi
    return table


@compiled
def _geometric(weights: Any, down: Any, across: Any, moments: Any) -> None:
    """Add Σ w y^p x^q to moments[p, q], from the powers float64 (rows, p) and (columns, q) of the coordinates."""
    rows, columns = weights.shape
    count = len(moments)
    line = np.empty(count)
    for row in range(rows):
        line[:] = 0
        for column in range(columns):
            weight = weights[row, column]
            for q in range(count):
                line[q] += weight * across[column, q]
        for p in range(count):
            for q in range(count):
                moments[p, q] += down[row, p] * line[q]


MOMENTS = Moments()
