"""Edges: size and direction of the grey-level gradient, and the lines that Canny's detector finds."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import cv2
import numpy as np
from pydantic import Field, model_validator

from medray.compiled import compiled
from medray.features.family import Extracted, Feature, Reason, explained, joined, undefined
from medray.features.gradient import Gradient, gradient, normalised, orientation_histograms, sobel, why_none
from medray.features.region import GREY, eroded, percentiles, region_of
from medray.spec import Spec
from medray.types import Bool, Float32, Float64, Image

_SLOPE = f"{GREY} / pixel"
_SOBEL = "Sobel and Feldman 1968; scaled by 1/8"
_CANNY = "Canny 1986, IEEE TPAMI 8(6)"
_TENSOR = "Bigün and Granlund 1987, ICCV"
_FULL_SCALE = 1 << 14
"""Integer that stands for a gradient of one grey level per pixel in Canny's detector."""

MAGNITUDE = (
    Feature("edges_magnitude_mean", "mean of the gradient magnitude", _SOBEL, _SLOPE),
    Feature("edges_magnitude_deviation", "standard deviation of the gradient magnitude", _SOBEL, _SLOPE),
    Feature("edges_magnitude_median", "median of the gradient magnitude", _SOBEL, _SLOPE),
    Feature("edges_magnitude_percentile90", "90th percentile of the gradient magnitude", _SOBEL, _SLOPE),
    Feature("edges_magnitude_percentile99", "99th percentile of the gradient magnitude", _SOBEL, _SLOPE),
    Feature("edges_magnitude_strong_share", "share of the pixels whose gradient magnitude is above `strong`", _SOBEL),
    Feature(
        "edges_magnitude_laplacian_deviation",
        "standard deviation of the Laplacian (4 neighbours)",
        "Pech-Pacheco et al. 2000, ICPR",
        f"{GREY} / pixel²",
    ),
    Feature(
        "edges_coherence", "(λ₁ - λ₂) / (λ₁ + λ₂) of the structure tensor: 0 for no direction, 1 for parallel edges", _TENSOR
    ),
)
CANNY = (
    Feature("edges_canny_density", "share of the pixels that lie on an edge", _CANNY),
    Feature("edges_canny_strength", "mean gradient magnitude of the smoothed image on the edges", _CANNY, _SLOPE),
    Feature("edges_canny_strength_deviation", "standard deviation of the same", _CANNY, _SLOPE),
    Feature(
        "edges_canny_length", "mean pixels of an edge (8-connected), over the square root of the pixels of the region", _CANNY
    ),
)


class EdgesParams(Spec):
    """What to measure."""

    family: Literal["edges"] = "edges"
    strong: float = Field(default=0.1, gt=0, le=2, description="gradient of a strong edge, in grey levels (0 to 1) per pixel")
    orientations: int = Field(default=8, ge=2, le=36, description="bins over 180 degrees")
    canny: bool = Field(default=True, description="whether to find lines by Canny's detector")
    low: float = Field(default=0.02, gt=0, le=1, description="gradient down to which an edge of Canny's goes on")
    high: float = Field(default=0.05, gt=0, le=1, description="gradient that starts an edge of Canny's")
    sigma: float = Field(default=1.4, gt=0, le=16, description="standard deviation of the Gaussian before Canny's, in pixels")

    @model_validator(mode="after")
    def _low_below_high(self) -> Self:
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self


class Edges:
    """Statistics of the Sobel gradient, its histogram of orientations, and the lines of Canny's detector.

    Orientations are unsigned and weighted by magnitude with linear interpolation between bins. Pixels with one beside them
    that does not belong to the region do not count; for Canny's lines, none within reach of the smoothing.
    """

    name = "edges"
    params: type[Spec] = EdgesParams
    dimensions: ClassVar[tuple[int, ...]] = (2,)
    unit_range: ClassVar[bool] = True

    def features(self, params: EdgesParams) -> tuple[Feature, ...]:
        """Magnitudes, orientations, then Canny's lines."""
        orientations = (
            Feature(
                f"edges_orientation_{n}",
                f"share of the gradient of orientation {n * 180 / params.orientations:g}° to the columns' axis; the sum is 1",
                "Dalal and Triggs 2005, CVPR",
            )
            for n in range(params.orientations)
        )
        return (*MAGNITUDE, *orientations, *(CANNY if params.canny else ()))

    def extract(self, image: Image, params: EdgesParams) -> Extracted:
        """See the class; NaN without a pixel whose neighbours count, and of directions without any gradient."""
        found = gradient(image)
        if not found.counted.any():
            return undefined(len(self.features(params)), Reason.TOO_SMALL)
        total = orientation_histograms(found, 1, params.orientations)[0]
        sizes = explained(
            [*_magnitude(image, found, params.strong), *normalised(total, total.sum())], why_none(float(total.sum()))
        )
        return joined([sizes, _lines(image, params)] if params.canny else [sizes])


def _magnitude(image: Image, found: Gradient, strong: float) -> list[float]:
    """MAGNITUDE; the coherence is NaN without any gradient."""
    laplacian = np.asarray(cv2.Laplacian(image.pixels, cv2.CV_32F), dtype=np.float32)
    mean, square, share, flat, flat_square, dd, rr, dr = _means(
        found.down, found.right, found.magnitude, laplacian, found.counted, strong
    )
    return [
        *(mean, np.sqrt(max(square - mean**2, 0)), *percentiles(found.magnitude[found.counted], (50, 90, 99))),
        *(share, np.sqrt(max(flat_square - flat**2, 0)), np.hypot(dd - rr, 2 * dr) / (dd + rr) if dd + rr > 1e-12 else np.nan),
    ]


@compiled
def _means(down: Any, right: Any, magnitude: Any, laplacian: Any, counted: Any, strong: float) -> Any:
    """Means over the pixels that count: magnitude m, m², m > strong, Laplacian l, l², and the three products of derivatives."""
    sums, count = np.zeros(8), 0
    for row in range(down.shape[0]):
        for column in range(down.shape[1]):
            if counted[row, column]:
                m, flat = np.float64(magnitude[row, column]), np.float64(laplacian[row, column])
                d, r = np.float64(down[row, column]), np.float64(right[row, column])
                count += 1
                sums[0] += m
                sums[1] += m * m
                sums[2] += m > strong
                sums[3] += flat
                sums[4] += flat * flat
                sums[5] += d * d
                sums[6] += r * r
                sums[7] += d * r
    return sums / count


def _lines(image: Image, params: EdgesParams) -> Extracted:
    """CANNY; strength and length are NaN where no edge is found."""
    radius = int(np.ceil(3 * params.sigma))
    counted = eroded(region_of(image), radius + 1, border=True)
    if not counted.any():
        return undefined(len(CANNY), Reason.TOO_SMALL)
    smooth = np.asarray(cv2.GaussianBlur(image.pixels, (2 * radius + 1, 2 * radius + 1), params.sigma), dtype=np.float32)
    down, right = sobel(smooth)
    lines = _canny(down, right, params) & counted
    pixels, total = np.count_nonzero(lines), np.count_nonzero(counted)
    if not pixels:
        return joined([explained([0.0]), undefined(len(CANNY) - 1, Reason.UNDEFINED)])
    strength: Float64 = np.hypot(down[lines], right[lines]).astype(np.float64)
    count = cv2.connectedComponents(lines.astype(np.uint8), connectivity=8)[0] - 1
    return explained([pixels / total, strength.mean(), strength.std(), pixels / count / np.sqrt(total)])


def _canny(down: Float32, right: Float32, params: EdgesParams) -> Bool:
    across, along = (cv2.addWeighted(part, _FULL_SCALE, part, 0, 0, dtype=cv2.CV_16S) for part in (right, down))
    found = cv2.Canny(across, along, params.low * _FULL_SCALE, params.high * _FULL_SCALE, L2gradient=True)
    return np.asarray(found > 0, dtype=np.bool_)


EDGES = Edges()
