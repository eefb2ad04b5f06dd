"""Flag or exclude constant and saturated images."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from medray.errors import Excluded
from medray.imaging.op import OpSpec, flagged, is_constant, luminance, valid_pixels
from medray.types import Image


class Check(OpSpec):
    """Flag or exclude images whose valid pixels are all equal, or too many of them at one end of their range.

    The flags (or codes) are PIXELS_CONSTANT and IMAGE_SATURATED. Air in CT and the black around a scan are at the lower end of
    their range, so its limit is high by default. No pixel changes. Put it first: after a window or a percentile normalisation
    many pixels are at the ends. In colour the luminance is looked at.
    """

    source: ClassVar[str] = "defined here"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    takes_colour: ClassVar[bool] = True
    op: Literal["check"] = "check"
    brightest: float = Field(0.2, ge=0, le=1, description="largest share of the valid pixels that may have the largest value")
    darkest: float = Field(0.98, ge=0, le=1, description="largest share of the valid pixels that may have the smallest value")
    action: Literal["flag", "exclude"] = Field("flag", description="what to do with such an image")


def check(image: Image, spec: Check) -> Image:
    """The image, with a flag where something is odd.

    Raises:
        Excluded: PIXELS_CONSTANT, IMAGE_SATURATED, where that is asked for; Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    values = valid_pixels(luminance(image))
    low, high = values.min(), values.max()
    if low == high and is_constant(image):
        if spec.action == "exclude":
            raise Excluded("PIXELS_CONSTANT", "every valid pixel has the same value")
        return flagged(image, "PIXELS_CONSTANT")
    dark, bright = (np.count_nonzero(values == end) / values.size for end in (low, high))
    if dark <= spec.darkest and bright <= spec.brightest:
        return image
    if spec.action == "exclude":
        raise Excluded("IMAGE_SATURATED", f"{dark:.1%} of the valid pixels have the smallest value, {bright:.1%} the largest")
    return flagged(image, "IMAGE_SATURATED")
