"""Find the collimated area of a radiograph."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from medray.imaging.components import at_border, components
from medray.imaging.crop import above
from medray.imaging.op import OpSpec, Shape, valid_pixels
from medray.imaging.place import cut
from medray.imaging.quantiles import quantiles
from medray.types import Bool, Float32, Image

Corners = Float32
RANGE = (0.005, 0.995)
"""Quantiles of the valid pixels: the range in which levels are measured, so that a burned-in label does not set it."""
WHOLE = 0.99
"""Part of the image from which the area counts as the whole image."""


class Collimator(OpSpec):
    """Find the rectangle that the collimator left open in a radiograph; crop to it, or mark what lies outside as invalid.

    Found is a border that reaches the edges of the image and is black or white throughout, if what it encloses fills a rectangle
    (of any angle). The border of a body in air encloses none, so that image stays as it is; so does one with a round, six- or
    eight-sided field, with a border that is neither black nor white, or with a shutter that scatter has brightened too much.
    """

    source: ClassVar[str] = "Toussaint 1983, MELECON (smallest enclosing rectangle)"
    op: Literal["collimator"] = "collimator"
    level: float = Field(
        0.1, gt=0, le=0.4, description="part of the range of the pixels within which a border is black, or white"
    )
    straightness: float = Field(0.95, ge=0.8, le=1, description="part of its smallest rectangle that the area fills, at least")
    smallest: float = Field(0.1, gt=0, lt=1, description="smallest part of the image that is taken for the area")
    action: Literal["crop", "invalid"] = Field("crop", description="crop to the area and mark its corners, or mark alone")

    def shape_after(self, before: Shape) -> Shape:
        """Depends on the image where it is cropped."""
        return None if self.action == "crop" else before


def collimator(image: Image, spec: Collimator) -> Image:
    """The image with its collimated area alone; outside of it pixels are invalid.

    Raises:
        Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    low, high = quantiles(valid_pixels(image), RANGE).tolist()
    level = spec.level * (high - low)
    if level == 0:
        return image
    inside = above(image, low + level), above(replace(image, pixels=-image.pixels), level - high)
    areas = [corners for one in inside if (corners := _area(one, spec)) is not None]
    if not areas:
        return image
    open_area = _painted(image, min(areas, key=lambda corners: float(cv2.contourArea(corners))))
    image = replace(image, valid=open_area if image.valid is None else image.valid & open_area)
    if spec.action == "invalid":
        return image
    rows, columns = (np.flatnonzero(open_area.any(axis=axis)) for axis in (1, 0))
    return cut(image, slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))


def _area(inside: Bool, spec: Collimator) -> Corners | None:
    """The corners of the rectangle that a border encloses: float32 (4, 2), columns and rows; None where it encloses none."""
    outside = components(~inside)
    enclosed = components(~outside.mask(at_border(outside)))
    if not len(enclosed):
        return None
    hull = cv2.convexHull(cv2.findContours(enclosed.mask([0]).view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0][0])
    rectangle = cv2.minAreaRect(hull)
    size = (rectangle[1][0] + 1) * (rectangle[1][1] + 1)
    part = size / inside.size
    if not spec.smallest <= part < WHOLE or cv2.contourArea(hull) < spec.straightness * rectangle[1][0] * rectangle[1][1]:
        return None
    return np.asarray(cv2.boxPoints(rectangle), dtype=np.float32)


def _painted(image: Image, corners: Corners) -> Bool:
    area = np.zeros(image.pixels.shape, np.uint8)
    cv2.fillConvexPoly(area, np.rint(corners).astype(np.int32), 1)
    return area.astype(np.bool_)
