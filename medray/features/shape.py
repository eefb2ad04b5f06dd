"""Shape and surroundings of the one region that stands out, all of them dimensionless."""

from __future__ import annotations

from typing import ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from medray.features.family import Extracted, Feature, Reason, explained, undefined
from medray.features.region import GREY, in_proportion, region_of
from medray.features.segment import RIM, SIDE, Polarity, Region, find_region
from medray.spec import Spec
from medray.types import Bool, Float32, Float64, Image

_IBSI = "IBSI, Zwanenburg et al. 2020, in two dimensions"
_RADII = "Kilday, Palmieri and Fox 1993, IEEE TMI 12(4)"
_OWN = "medray's own"

OUTLINE = (
    Feature("shape_area_fraction", "area of the region / area of the frame", _OWN),
    Feature("shape_extent", "area / area of the upright bounding box", "Gonzalez and Woods, Digital Image Processing, 11.3"),
    Feature("shape_solidity", "area / area of the convex hull", f"{_IBSI}, R3ER"),
    Feature("shape_eccentricity", "of the ellipse with the same second moments", "Jain 1989, Digital Image Processing, 9.7"),
    Feature("shape_height_to_width", "height / width of the upright bounding box", "Stavros et al. 1995, Radiology 196(1)"),
    Feature("shape_compactness", "4πA / P²", "Cox 1927, J. Paleontology 1(3)"),
    Feature("shape_perimeter_ratio", "perimeter of the convex hull / perimeter", "convexity: ISO 9276-6"),
    Feature("shape_centroid_row", "row of the centroid: 0 at the top of the frame, 1 at its bottom", _OWN),
    Feature("shape_centroid_column", "column of the centroid: 0 at the left of the frame, 1 at its right", _OWN),
    Feature("shape_orientation", "absolute sine of the angle of the long axis to the rows", "Jain 1989, 9.7"),
    Feature("shape_radius_deviation", "standard deviation of the radii to the outline, divided by their mean", _RADII),
    Feature("shape_radius_entropy", "entropy of the normalised radii, 16 bins over [0, 2]", _RADII, "bit"),
    Feature("shape_radius_roughness", "mean absolute step of the normalised radii along the outline", _RADII),
    *(Feature(f"shape_hu_{n}", f"invariant h{n} of the region, as -sign(h) log₁₀(|h| + 1e-12)", "Hu 1962") for n in range(1, 8)),
)
SURROUNDINGS = (
    Feature("shape_inside_mean", "mean inside the region", _OWN, GREY),
    Feature("shape_inside_deviation", "standard deviation inside", _OWN, GREY),
    Feature("shape_inside_entropy", "entropy of the histogram inside, 32 bins over [0, 1]", f"{_IBSI}, TLU2", "bit"),
    Feature("shape_rim_mean", "mean of the rim around the region", _OWN, GREY),
    Feature("shape_rim_deviation", "standard deviation of the rim", _OWN, GREY),
    Feature("shape_contrast", "mean of the rim less mean inside", _OWN, GREY),
    Feature("shape_margin_gradient", "mean gradient magnitude along the outline", _OWN, f"{GREY} / frame pixel"),
    Feature("shape_margin_gradient_deviation", "standard deviation of the same", _OWN, f"{GREY} / frame pixel"),
    Feature(
        "shape_posterior_difference",
        "tissue below the region less that beside it at the same depth: positive for enhancement, negative for a shadow",
        "Stavros et al. 1995, Radiology 196(1)",
        GREY,
    ),
)


class ShapeParams(Spec):
    """What to segment."""

    family: Literal["shape"] = "shape"
    foreground: Polarity = Field(default="dark", description="whether the region is darker or brighter than its surroundings")


class Shape:
    """Outline and surroundings of the one region that is darker (or brighter) than what lies around it; NaN where there is none.

    The region is found by :mod:`medray.features.segment`, in a square frame, so the size of the image does not matter. Its
    outline is measured in the proportions of the image: by its spacing, else its pixel aspect ratio, else with square pixels.
    """

    name = "shape"
    params: type[Spec] = ShapeParams
    dimensions: ClassVar[tuple[int, ...]] = (2,)
    unit_range: ClassVar[bool] = True

    def features(self, params: ShapeParams) -> tuple[Feature, ...]:
        """The same for all parameters."""
        return OUTLINE + SURROUNDINGS

    def extract(self, image: Image, params: ShapeParams) -> Extracted:
        """The features of an image in [0, 1]; NaN where no region stands out."""
        rows, columns = (size * one for size, one in zip(image.pixels.shape, image.pixel_shape, strict=True))
        height = np.sqrt(rows / columns)  # of a pixel of the frame
        region = find_region(image.pixels, region_of(image), params.foreground, height)
        if region is None:
            return undefined(len(OUTLINE) + len(SURROUNDINGS), Reason.NO_REGION)
        return explained([*outline(region.mask, height), *surroundings(region)])


def outline(mask: Bool, height: float = 1.0) -> list[float]:
    """OUTLINE of bool (SIDE, SIDE), one component of at least a few pixels of this height and of area 1."""
    pixel = np.array([1 / height, height])  # along x and y
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contour = max(contours, key=len)
    hull = cv2.convexHull(contour)
    _, _, across, down = cv2.boundingRect(contour)
    area, perimeter = float(np.count_nonzero(mask)), max(_length(contour * pixel), 1.0)
    convex = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(convex, hull, 1)
    moments = in_proportion(cv2.moments(mask.astype(np.uint8), binaryImage=True), (height, 1 / height))
    row, column = moments["m01"] / moments["m00"], moments["m10"] / moments["m00"]
    eccentricity, orientation = _axes(moments)
    hu = cv2.HuMoments(moments).ravel()
    return [
        area / mask.size,
        area / (across * down),
        area / np.count_nonzero(convex | mask),
        eccentricity,
        down * height**2 / across,
        4 * np.pi * area / perimeter**2,
        _length(hull * pixel) / perimeter,
        row / (SIDE - 1),
        column / (SIDE - 1),
        orientation,
        *_radii((contour.reshape(-1, 2).astype(np.float64) - (column, row)) * pixel),
        *(-np.sign(hu) * np.log10(np.abs(hu) + 1e-12)),
    ]


def _length(points: Float64) -> float:
    """Length of a closed line through float64 (n, 1, 2)."""
    return float(cv2.arcLength(points.astype(np.float32), True))


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
