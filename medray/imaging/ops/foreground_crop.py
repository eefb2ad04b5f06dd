"""Crop to the largest bright component."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from medray.imaging.components import components
from medray.imaging.crop import RegionCrop, above, cropped
from medray.imaging.op import luminance, valid_pixels
from medray.types import Image


class ForegroundCrop(RegionCrop):
    """Crop to the largest bright component (of 8 or 26 neighbours); an image without any (a constant one) stays as it is.

    In colour its luminance is what is bright.
    """

    source: ClassVar[str] = "Wu, Otoo and Suzuki 2009, Pattern Analysis and Applications 12:117 (components)"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    takes_colour: ClassVar[bool] = True
    op: Literal["foreground_crop"] = "foreground_crop"
    threshold: float = Field(0.05, ge=0, lt=1, description="fraction of the range of the valid pixels; brighter is foreground")


def foreground_crop(image: Image, spec: ForegroundCrop) -> Image:
    """The image cropped to its foreground.

    Raises:
        Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    grey = luminance(image)
    values = valid_pixels(grey)
    low, high = float(values.min()), float(values.max())
    found = components(above(grey, low + spec.threshold * (high - low)))
    return cropped(image, spec, found, [0]) if len(found) else image
