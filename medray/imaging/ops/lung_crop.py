"""Crop to the lungs in CT."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from medray.errors import Excluded
from medray.imaging.components import at_border, components
from medray.imaging.crop import RegionCrop, cropped
from medray.imaging.op import check_hounsfield, valid_pixels
from medray.types import Image

LUNGS = 2


class LungCrop(RegionCrop):
    """Crop CT to the lung field: the two largest components of air that do not reach the border of their slices.

    Joined lungs count as one component, and the trachea belongs to lungs that it is joined to. Found is air, so bowel gas is
    taken for lung where it is larger than a lung, and consolidated lung is not found. Excluded as REGION_NOT_FOUND where no
    component is as large as asked.
    """

    source: ClassVar[str] = "Hu, Hoffman and Reinhardt 2001, IEEE TMI 20:490 (threshold and components)"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    op: Literal["lung_crop"] = "lung_crop"
    threshold: float = Field(-320.0, ge=-1000, le=0, description="in HU; darker is air")
    smallest: float = Field(0.005, gt=0, lt=1, description="smallest part of the image that is a lung")


def lung_crop(image: Image, spec: LungCrop) -> Image:
    """The image cropped to the lungs; what pixels that are not valid join to the border of a slice is outside, too.

    Raises:
        Excluded: REGION_NOT_FOUND; UNITS_DIFFER, the pixels are not in HU; Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    check_hounsfield(image, "the threshold of lung_crop")
    valid_pixels(image)
    air = image.pixels < spec.threshold
    if image.valid is not None:
        outside = components(air | ~image.valid, diagonal=False)
        air &= image.valid & ~outside.mask(at_border(outside))
    found = components(air, diagonal=False)
    inside = (~at_border(found)) & (found.areas >= spec.smallest * image.pixels.size)
    lungs = inside.nonzero()[0][:LUNGS].tolist()
    if not lungs:
        raise Excluded("REGION_NOT_FOUND", f"lung_crop: no air inside the body makes {spec.smallest:g} of the image")
    return cropped(image, spec, found, lungs)
