"""Lee's speckle filter."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from medray.imaging.moments import local_moments
from medray.imaging.op import OpSpec, finite, over_valid
from medray.types import Float32, Image


class Lee(OpSpec):
    """Reduce speckle: each pixel moves towards the local mean, the less the more the grey levels around it vary."""

    source: ClassVar[str] = "Lee 1980, IEEE PAMI 2, section IV"
    op: Literal["lee"] = "lee"
    radius: int = Field(3, ge=1, le=16, description="half the side of the square neighbourhood in pixels")
    noise: float = Field(
        0.25,
        gt=0,
        le=2,
        description="standard deviation of the speckle over its mean, 0.52 in an envelope",
    )


def lee(image: Image, spec: Lee) -> Image:
    """The filtered image, of one with grey levels of 0 and more (before any logarithm), whose speckle multiplies them.

    With the local mean m and variance v of the image, the variance of what lies under the speckle is
    q = (v + m²) / (1 + noise²) - m², at least 0, and the pixel z becomes m + (z - m) q / (q + noise² m²).

    Raises:
        Quarantined: IMAGE_NO_VALID_PIXELS.
    """

    def smooth(pixels: Float32) -> Float32:
        mean, variance = local_moments(pixels, spec.radius)
        square = mean * mean
        signal = np.maximum((variance - spec.noise**2 * square) / (1 + spec.noise**2), 0)
        whole = signal + spec.noise**2 * square
        return finite(mean + (pixels - mean) * np.divide(signal, whole, out=np.zeros_like(whole), where=whole > 0))

    return over_valid(image, smooth)
