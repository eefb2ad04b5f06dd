"""A bank of Gabor filters: the strength of each frequency in each direction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from medray.features.family import Extracted, Feature, Reason, explained, undefined
from medray.features.region import GREY, boxed
from medray.spec import Spec
from medray.types import Float32, Float64, Image

SOURCE = "Manjunath and Ma 1996, IEEE TPAMI 18(8)"
_WIDTH = np.sqrt(np.log(2) / 2) * 3 / np.pi
"""Standard deviation times frequency of a filter whose bandwidth at half height is one octave."""


class GaborParams(Spec):
    """The filters of the bank."""

    family: Literal["gabor"] = "gabor"
    frequencies: tuple[Annotated[float, Field(ge=0.02, le=0.5)], ...] = Field(
        default=(0.1, 0.2, 0.4), description="cycles per pixel"
    )
    orientations: int = Field(default=4, ge=1, le=16, description="filters of each frequency over 180 degrees")


class Gabor:
    """The magnitude of complex Gabor filters, one octave wide, with a round envelope that ends at 3 standard deviations.

    The mean of the region is subtracted, and pixels outside it are 0, so that no filter responds to the border or to what
    lies around the region. The filters are those of skimage.filters.gabor; they are separable.
    """

    name = "gabor"
    params: type[Spec] = GaborParams
    dimensions: ClassVar[tuple[int, ...]] = (2,)
    unit_range: ClassVar[bool] = False

    def features(self, params: GaborParams) -> tuple[Feature, ...]:
        """Mean, deviation and energy of the magnitude of each filter."""
        statistics = {
            "mean": ("mean magnitude", GREY),
            "deviation": ("standard deviation of the magnitude", GREY),
            "energy": ("mean squared magnitude", f"{GREY}²"),
        }
        return tuple(
            Feature(
                f"gabor_{name}_f{frequency:g}_{n}",
                f"{definition} of the filter of {frequency:g} cycles per pixel"
                f" along {180 * n / params.orientations:g}° to the columns' axis",
                SOURCE,
                unit,
            )
            for frequency in params.frequencies
            for n in range(params.orientations)
            for name, (definition, unit) in statistics.items()
        )

    def extract(self, image: Image, params: GaborParams) -> Extracted:
        """See the class; NaN for a region of one pixel."""
        pixels, region = boxed(image)
        if np.count_nonzero(region) < 2:
            return undefined(len(self.features(params)), Reason.TOO_SMALL)
        values = pixels[region].astype(np.float64)
        centred = np.where(region, pixels - values.mean(), 0).astype(np.float32)
        return explained([value for size in bank(centred, params) for value in _statistics(size[region])])


def bank(pixels: Float32, params: GaborParams) -> Iterator[Float32]:
    """The magnitude of the image under each filter, float32 (rows, columns); zeros surround the image."""
    for frequency in params.frequencies:
        found: dict[int, Float32] = {}
        for n in range(params.orientations // 2 + 1):
            found[n], found[params.orientations - n] = _mirrored_pair(pixels, frequency, np.pi * n / params.orientations)
        yield from (found[n] for n in range(params.orientations))


def _mirrored_pair(pixels: Float32, frequency: float, angle: float) -> tuple[Float32, Float32]:
    """The magnitude under the filters along an angle and along its mirror image, 180° less the angle.

    exp(2πi f (x cos θ + y sin θ)) under a round Gaussian is the product of a filter of x and one of y; the mirror image has the
    conjugate filter of x.
    """
    sigma = _WIDTH / frequency
    cosine, sine = np.cos(angle), np.sin(angle)
    radius = int(np.ceil(max(3 * sigma * max(abs(cosine), abs(sine)), 1)))
    across, down = (_filters(frequency * turn, sigma, radius) for turn in (cosine, sine))
    one = np.ones(1)
    rows = [_along(pixels, x, one) for x in across]
    rr, ri, ir, ii = [_along(row, one, y) for row in rows for y in down]
    return _magnitude(rr - ii, ri + ir), _magnitude(np.add(rr, ii, out=rr), np.subtract(ri, ir, out=ri))


def _magnitude(real: Float32, imaginary: Float32) -> Float32:
    """Computed in place: most of the time of a large image is spent on fresh memory."""
    np.square(real, out=real)
    np.add(real, np.square(imaginary, out=imaginary), out=real)
    return np.sqrt(real, out=real)


def _filters(frequency: float, sigma: float, radius: int) -> tuple[Float64, Float64]:
    """Real and imaginary part of a filter along one axis, float64 (2 radius + 1,)."""
    place = np.arange(-radius, radius + 1)
    envelope = np.exp(-0.5 * (place / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)
    return envelope * np.cos(2 * np.pi * frequency * place), envelope * np.sin(2 * np.pi * frequency * place)


def _along(pixels: Float32, across: Float64, down: Float64) -> Any:
    if min(np.abs(across).max(), np.abs(down).max()) < 1e-12:
        return np.zeros_like(pixels)
    return cv2.sepFilter2D(pixels, cv2.CV_32F, across, down, borderType=cv2.BORDER_CONSTANT)


def _statistics(size: Float32) -> tuple[float, float, float]:
    mean, energy = float(size.mean(dtype=np.float64)), float(np.square(size).mean(dtype=np.float64))
    return mean, float(np.sqrt(max(energy - mean * mean, 0))), energy


GABOR = Gabor()
