"""Crop to the body."""

from __future__ import annotations

from typing import ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from medray.errors import Excluded
from medray.imaging.components import components, filled
from medray.imaging.crop import RegionCrop, above, cropped, li
from medray.imaging.op import Level, valid_pixels
from medray.types import Bool, Image


class BodyCrop(RegionCrop):
    """Crop to the body: the largest component brighter than the air around it, with its cavities filled slice by slice.

    An opening first separates the body from a table or a label that touches it. It takes thinner walls too: for an empty shell (a
    phantom) it is to be 0. For CT use a threshold of -300 HU; Li's, of
    least cross-entropy, is for MR and radiographs. Excluded as REGION_NOT_FOUND where nothing is brighter than the threshold.
    """

    source: ClassVar[str] = "Li and Tam 1998, Pattern Recognition Letters 19:771 (threshold)"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    op: Literal["body_crop"] = "body_crop"
    threshold: Level | None = Field(None, description="in the units of the pixels, for example -300 HU; null for Li's threshold")
    opening: int = Field(2, ge=0, le=100, description="radius of the opening in pixels; 0 for none")


def body_crop(image: Image, spec: BodyCrop) -> Image:
    """The image cropped to the body.

    Raises:
        Excluded: REGION_NOT_FOUND; Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    values = valid_pixels(image)
    bright = above(image, li(values) if spec.threshold is None else spec.threshold)
    found = components(_opened(bright, spec.opening))
    if not len(found):
        raise Excluded("REGION_NOT_FOUND", "body_crop: nothing is brighter than the air around it")
    region = filled(found.mask([0])) if spec.outside == "invalid" else None
    return cropped(image, spec, found, [0], region)


def _opened(mask: Bool, radius: int) -> Bool:
    if radius == 0:
        return mask
    if mask.ndim == 3:
        return np.stack([_opened(plane, radius) for plane in mask])
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, disc)).astype(np.bool_)
