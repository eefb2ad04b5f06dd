"""Min-max normalisation."""

from __future__ import annotations

from typing import ClassVar, Literal

from medray.imaging.op import UnitRangeSpec, extent, stretch, unitless, valid_pixels
from medray.types import Image


class Minmax(UnitRangeSpec):
    """Map the range of the valid pixels to [0, 1].

    In colour there is one scale for all channels, so that hues stay.
    """

    source: ClassVar[str] = "Jain, Nandakumar & Ross 2005, Pattern Recognition 38"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    takes_colour: ClassVar[bool] = True
    op: Literal["minmax"] = "minmax"


def minmax(image: Image, spec: Minmax) -> Image:
    """Stretch to [0, 1], and clip the pixels that are not valid; a constant image gives zeros.

    Raises:
        Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    return unitless(image, stretch(image.pixels, *extent(valid_pixels(image))))
