"""Shape and surroundings of the one region that stands out, all of them dimensionless."""

from __future__ import annotations

from typing import ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from medray.features.family import Extracted, Feature, Reason, explained, undefined
from medray.features.segment import RIM, SIDE, Polarity, Region, find_region
from medray.spec import Spec
from medray.types import Bool, Float32, Float64, Image

OUTLINE = (
    "area_fraction",
    "extent",
    "solidity",
    "eccentricity",
    "height_to_width",
    "compactness",
    "perimeter_ratio",
    "centroid_row",
    "centroid_column",
    "orientation",
    "radius_deviation",
    "radius_entropy",
    "radius_roughness",
    *(f"hu_{n}" for n in range(1, 8)),
)
SURROUNDINGS = (
    "inside_mean",
    "inside_deviation",
    "inside_entropy",
    "rim_mean",
    "rim_deviation",
    "contrast",
    "margin_gradient",
    "margin_gradient_deviation",
    "posterior_difference",
)


class ShapeParams(Spec):
    """What to segment."""

    family: Literal["shape"] = "shape"
    foreground: Polarity = Field(default="dark", description="whether the region is darker or brighter than its surroundings")


class Shape:
    """Descriptors of the region that :func:`medray.features.segment.find_region` finds; all NaN where it finds none.

    The region lies in a square frame, so nothing tells of the size of the image. ``compactness`` is 4πA / P²,
    ``perimeter_ratio`` that of the convex hull to the outline, ``orientation`` the absolute sine of the long axis to the
    rows. The radii from the centroid to the outline are normalised by their mean (Kilday et al., 1993): deviation,
    entropy (bits, 16 bins) and mean absolute step. The Hu moments are signed log10. ``margin_gradient`` is taken along
    the outline, per frame pixel; ``posterior_difference`` compares the tissue below the region with that beside it at
    the same depth, positive for enhancement and negative for a shadow.
    """

    name = "shape"
    params: type[Spec] = ShapeParams

    dimensions: ClassVar[tuple[int, ...]] = (2,)

    def features(self, params: ShapeParams) -> tuple[Feature, ...]:
        """The features (see the class)."""
        return tuple(Feature(name, "", "") for name in self.columns(params))

    def columns(self, params: ShapeParams) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(f"shape_{name}" for name in OUTLINE + SURROUNDINGS)

    def extract(self, image: Image, params: ShapeParams) -> Extracted:
        """The features of an image in [0, 1], float32 (len(columns),); NaN where one is undefined."""
        pixels, valid = image.pixels, np.ones(image.pixels.shape, bool) if image.region is None else image.region
        region = find_region(pixels, valid, params.foreground)
        if region is None:
            return undefined(len(OUTLINE) + len(SURROUNDINGS), Reason.NO_REGION)
        return explained([*outline(region.mask), *surroundings(region)])


def outline(mask: Bool) -> list[float]:
    """OUTLINE of bool (SIDE, SIDE), one component of at least a few pixels."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contour = max(contours, key=len)
    hull = cv2.convexHull(contour)
    _, _, width, height = cv2.boundingRect(contour)
    area, perimeter = float(np.count_nonzero(mask)), max(cv2.arcLength(contour, True), 1.0)
    convex = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(convex, hull, 1)
    moments = cv2.moments(mask.astype(np.uint8), binaryImage=True)
    row, column = moments["m01"] / moments["m00"], moments["m10"] / moments["m00"]
    eccentricity, orientation = _axes(moments)
    hu = cv2.HuMoments(moments).ravel()
    return [
        area / mask.size,
        area / (width * height),
        area / np.count_nonzero(convex | mask),
        eccentricity,
        height / width,
        4 * np.pi * area / perimeter**2,
        float(cv2.arcLength(hull, True)) / perimeter,
        row / (SIDE - 1),
        column / (SIDE - 1),
        orientation,
        *_radii(contour.reshape(-1, 2).astype(np.float64) - (column, row)),
        *(-np.sign(hu) * np.log10(np.abs(hu) + 1e-12)),
    ]


def _axes(moments: dict[str, float]) -> tuple[float, float]:
    """Eccentricity and the absolute sine of the angle of the long axis, of the ellipse with the same second moments."""
    rows, columns, mixed = moments["mu02"], moments["mu20"], moments["mu11"]
    spread = np.hypot(columns - rows, 2 * mixed)
    large, small = rows + columns + spread, rows + columns - spread
    angle = 0.5 * np.arctan2(2 * mixed, columns - rows)
    return float(np.sqrt(1 - max(small, 0) / large)) if large > 0 else 0.0, float(abs(np.sin(angle)))


def _radii(points: Float64) -> tuple[float, float, float]:
    """Deviation, entropy and roughness of the normalised radii of outline points, float64 (n, 2) from the centroid."""
    radius = np.hypot(points[:, 0], points[:, 1])
    radius /= radius.mean()
    return float(radius.std()), _entropy(radius / 2, 16), float(np.abs(np.diff(radius, append=radius[0])).mean())


def surroundings(region: Region) -> list[float]:
    """SURROUNDINGS of a region."""
    inside, rim = (region.pixels[where].astype(np.float64) for where in (region.mask, region.rim))
    margin = _gradient(region.pixels)[_edge(region.mask)]
    return [
        float(inside.mean()),
        float(inside.std()),
        _entropy(inside, 32),
        float(rim.mean()),
        float(rim.std()),
        float(rim.mean() - inside.mean()),
        float(margin.mean()),
        float(margin.std()),
        _posterior_difference(region),
    ]


def _gradient(pixels: Float32) -> Float64:
    down, right = (cv2.Sobel(pixels, cv2.CV_32F, dx, 1 - dx, scale=1 / 8) for dx in (0, 1))
    return np.hypot(down, right).astype(np.float64)


def _edge(mask: Bool) -> Bool:
    return mask & ~(cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)


def _posterior_difference(region: Region) -> float:
    """Mean of the columns of the region minus mean of the others, over the rows just below it; NaN at the lower border."""
    rows, columns = np.flatnonzero(region.mask.any(1)), np.flatnonzero(region.mask.any(0))
    quarter = max(len(columns) // 4, 1)
    below = slice(rows[-1] + 1 + RIM // 2, rows[-1] + 1 + RIM // 2 + max(len(rows), RIM))
    behind = np.zeros(region.mask.shape, bool)
    behind[below, columns[0] + quarter : columns[-1] + 1 - quarter] = True
    beside = np.zeros(region.mask.shape, bool)
    beside[below, : max(columns[0] - quarter, 0)] = True
    beside[below, columns[-1] + 1 + quarter :] = True
    behind &= region.valid
    beside &= region.valid
    if not behind.any() or not beside.any():
        return float("nan")
    return float(region.pixels[behind].mean() - region.pixels[beside].mean())


def _entropy(values: Float64, bins: int) -> float:
    """Entropy in bits of a histogram over [0, 1]."""
    level = np.clip((values * bins).astype(np.int64), 0, bins - 1)
    share = np.bincount(level) / values.size
    share = share[share > 0]
    return float(-np.sum(share * np.log2(share)))


SHAPE = Shape()
