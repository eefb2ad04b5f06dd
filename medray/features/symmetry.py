"""Left–right symmetry: how like the image is to its mirror image."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from medray.features.family import Extracted, Feature, Reason, explained, undefined
from medray.features.region import GREY, boxed
from medray.spec import Spec
from medray.types import Bool, Float32, Float64, Image

_AXIS = "Marola 1989, IEEE TPAMI 11(1)"
_PIXELS = "Yin et al. 1991, Medical Physics 18(5) (bilateral subtraction)"

FEATURES = (
    Feature("symmetry_correlation", "Pearson correlation of the pixels and their mirror images", _AXIS),
    Feature("symmetry_absolute_difference", "mean absolute difference of a pixel and its mirror image", _PIXELS, GREY),
    Feature("symmetry_side_difference", "mean of the left half minus mean of the right half, over the pairs", _PIXELS, GREY),
    Feature("symmetry_paired", "share of the pixels of the region whose mirror image lies in it, too", "Dice 1945"),
    Feature("symmetry_axis", "place of the axis: 0 at the left border of the region's bounding box, 1 at its right", _AXIS),
)


class SymmetryParams(Spec):
    """Where the axis is."""

    family: Literal["symmetry"] = "symmetry"
    axis: Literal["centre", "best"] = Field(
        default="best", description="mirror about the centre of the region's bounding box, or where the correlation is best"
    )
    search: float = Field(
        default=0.1, ge=0, le=0.4, description="how far the best axis may be from the centre, as share of the width"
    )


class Symmetry:
    """The image against itself, mirrored about a vertical axis that lies on a column or between two.

    Only pairs with both pixels in the region count.
    """

    name = "symmetry"
    params: type[Spec] = SymmetryParams
    dimensions: ClassVar[tuple[int, ...]] = (2,)
    unit_range: ClassVar[bool] = False

    def features(self, params: SymmetryParams) -> tuple[Feature, ...]:
        """The same for all parameters."""
        return FEATURES

    def extract(self, image: Image, params: SymmetryParams) -> Extracted:
        """See the class; NaN where there is no pair, and without a correlation where nothing varies."""
        pixels, region = boxed(image)
        width = pixels.shape[1]
        reach = min(round(2 * params.search * width), width - 1) if params.axis == "best" else 0
        total = _best_axis(pixels, region, reach) if reach else width - 1
        left, right = _pairs(pixels, region, total)
        if not left.size:
            return undefined(len(FEATURES), Reason.TOO_SMALL)
        paired = 2 * left.size + (np.count_nonzero(region[:, total // 2]) if total % 2 == 0 else 0)
        share, place = paired / np.count_nonzero(region), total / 2 / (width - 1)
        return explained([*_compare(left, right), share, place], Reason.CONSTANT)


def _halves(region: Bool, total: int) -> tuple[slice, slice]:
    """Columns left of the axis, and their mirror images in reverse order; ``total`` is the sum of such a pair."""
    first, last = max(0, total - region.shape[1] + 1), (total + 1) // 2
    return slice(first, max(last, first)), slice(total - max(last, first) + 1, total - first + 1)


def _pairs(pixels: Float32, region: Bool, total: int) -> tuple[Float64, Float64]:
    """The pixels left of the axis and their mirror images, float64 (pairs,) each."""
    left, right = _halves(region, total)
    both = region[:, left] & region[:, right][:, ::-1]
    return pixels[:, left][both].astype(np.float64), pixels[:, right][:, ::-1][both].astype(np.float64)


def _compare(left: Float64, right: Float64) -> tuple[float, float, float]:
    """Correlation (both orders of a pair count), absolute difference, difference of the sides."""
    difference = left - right
    mean = (left.mean() + right.mean()) / 2
    variance = (np.mean((left - mean) ** 2) + np.mean((right - mean) ** 2)) / 2
    correlation = 1 - np.mean(difference**2) / (2 * variance) if variance > 1e-12 else np.nan
    return float(correlation), float(np.abs(difference).mean()), float(difference.mean())


def _best_axis(pixels: Float32, region: Bool, reach: int) -> int:
    """The sum of a column and its mirror image for which the correlation is highest; the nearest to the centre of several.

    Sums over all pairs are convolutions of a row with itself, so one Fourier transform tries every axis.
    """
    width = pixels.shape[1]
    centred = np.where(region, pixels - np.float32(pixels[region].mean(dtype=np.float64)), np.float32(0))
    count, sum_, square, product = _pair_sums(centred, region)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sum_ / count
        variance = square / count - mean**2
        correlation = np.where((count > 0.5) & (variance > 1e-9), (product / count - mean**2) / variance, -np.inf)
    away = np.arange(-reach, reach + 1)
    candidates = width - 1 + away[np.argsort(np.abs(away), kind="stable")]
    return int(candidates[np.argmax(correlation[candidates])])


def _pair_sums(centred: Float32, region: Bool) -> Float64:
    """Count of pairs, and sum, squares and products over them, for each sum of columns: float64 (4, 2 width - 1)."""
    from scipy.fft import irfft, next_fast_len, rfft

    width = region.shape[1]
    size = next_fast_len(2 * width - 1, real=True)
    inside = region.astype(np.float32)
    parts = (inside, centred, centred * centred)
    if region.all():  # every row of ``inside`` is the same: sum over the rows first
        weight = rfft(inside[:1], size)
        sums = [(rfft(part.sum(axis=0, dtype=np.float64, keepdims=True), size) * weight)[0] for part in parts]
    else:
        weight = rfft(inside, size)
        sums = [(rfft(part, size) * weight).sum(axis=0) for part in parts]
    products = (rfft(centred, size) ** 2).sum(axis=0)
    found = irfft(np.array([*sums, products], dtype=np.complex128), size)[:, : 2 * width - 1]
    own = np.array([part.sum(axis=0, dtype=np.float64) for part in (*parts, centred * centred)])
    found[:, ::2] -= own  # a column on the axis is not a pair
    return np.asarray(found, dtype=np.float64)


SYMMETRY = Symmetry()
