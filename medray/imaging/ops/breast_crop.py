"""Crop to the breast in a mammogram."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from medray.errors import Excluded
from medray.imaging.breast import find_breast
from medray.imaging.components import filled
from medray.imaging.crop import RegionCrop, cropped
from medray.types import Image


class BreastCrop(RegionCrop):
    """Crop a mammogram to the breast: the largest bright component against the left or right side; labels beside it go.

    The pectoral muscle is not removed. Excluded as REGION_NOT_FOUND where no bright component lies against a side,
    or where it lies against both alike (magnified spots, specimens, no mammogram).
    """

    source: ClassVar[str] = "Wu, Otoo and Suzuki 2009, Pattern Analysis and Applications 12:117 (components)"
    op: Literal["breast_crop"] = "breast_crop"
    threshold: float = Field(0.05, ge=0, lt=1, description="fraction of the range of the valid pixels; brighter is breast")


def breast_crop(image: Image, spec: BreastCrop) -> Image:
    """The image cropped to the breast.

    Raises:
        Excluded: REGION_NOT_FOUND; Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    breast = find_breast(image, spec.threshold)
    if breast is None:
        raise Excluded("REGION_NOT_FOUND", "breast_crop: no bright component lies against one side of the image")
    region = filled(breast.found.mask([breast.number])) if spec.outside == "invalid" else None
    return cropped(image, spec, breast.found, [breast.number], region)
