"""The power spectrum: shares of the image by frequency and direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from medray.compiled import compiled
from medray.features.family import Extracted, Feature, Reason, explained, joined, undefined
from medray.features.region import boxed
from medray.spec import Spec
from medray.types import Bool, Float32, Float64, Image

_DESCRIPTORS = "Peeters 2004, CUIDADO report, 6.1, of the radial spectrum"
_CYCLES = "cycles / pixel"

SPECTRUM = (
    Feature("fourier_centroid", "mean radial frequency, weighted by power", _DESCRIPTORS, _CYCLES),
    Feature("fourier_spread", "standard deviation of the same", _DESCRIPTORS, _CYCLES),
    Feature("fourier_entropy", "entropy of the shares of the rings, divided by its maximum", "Shannon 1948"),
    Feature(
        "fourier_slope",
        "least squares slope of log power on log frequency, over the mean power at each whole number of cycles in the box",
        "Field 1987, JOSA A 4(12)",
    ),
    Feature(
        "fourier_anisotropy",
        "length of the mean of exp(2iθ), weighted by power: 0 for no direction, 1 for one",
        "Mardia and Jupp 2000, Directional Statistics, 2.3",
    ),
)


class FourierParams(Spec):
    """How the spectrum is divided."""

    family: Literal["fourier"] = "fourier"
    rings: int = Field(default=8, ge=2, le=64, description="rings of equal width from 0 to 0.5 cycles per pixel")
    wedges: int = Field(default=8, ge=2, le=36, description="wedges of equal angle over 180 degrees")


class Fourier:
    """Shares of the power spectrum in rings and wedges, and what describes it as a whole.

    The region is taken in its bounding box: its mean subtracted, 0 outside, and a Hann window against the edges of the box.
    Frequencies above 0.5 cycles per pixel (the corners) and the mean do not count. Scale and offset of the grey levels
    have no effect.
    """

    name = "fourier"
    params: type[Spec] = FourierParams
    dimensions: ClassVar[tuple[int, ...]] = (2,)
    unit_range: ClassVar[bool] = False

    def features(self, params: FourierParams) -> tuple[Feature, ...]:
        """Rings, wedges, then the whole."""
        source = "Weszka, Dyer and Rosenfeld 1976, IEEE SMC 6(4)"
        width, angle = 0.5 / params.rings, 180 / params.wedges
        rings = (
            Feature(
                f"fourier_ring_{n}", f"share of the power from {n * width:.4g} to {(n + 1) * width:.4g} cycles per pixel", source
            )
            for n in range(params.rings)
        )
        wedges = (
            Feature(
                f"fourier_wedge_{n}",
                f"share of the power from {n * angle:g}° to {(n + 1) * angle:g}° to the columns' axis",
                source,
            )
            for n in range(params.wedges)
        )
        return (*rings, *wedges, *SPECTRUM)

    def extract(self, image: Image, params: FourierParams) -> Extracted:
        """See the class; NaN where nothing varies, and without a slope where the box is too small for three frequencies."""
        pixels, region = boxed(image)
        found = _gathered(power_spectrum(pixels, region), pixels.shape, params)
        total = found.sums[0]
        if total <= 0:
            return undefined(len(self.features(params)), Reason.CONSTANT)
        share = found.rings / total
        _, first, second, cosine, sine = found.sums / total
        entropy = -np.sum(share * np.log(np.where(share > 0, share, 1))) / np.log(params.rings)
        parts = [*share, *(found.wedges / total), first, np.sqrt(max(second - first**2, 0)), entropy]
        return joined(
            [explained(parts), explained([_slope(found.cycles)], Reason.TOO_SMALL), explained([np.hypot(cosine, sine)])]
        )


def power_spectrum(pixels: Float32, region: Bool) -> Float32:
    """Power of the windowed region, float32 (rows, columns // 2 + 1), as :func:`scipy.fft.rfft2` lays it out."""
    from scipy.fft import rfft2

    mean = np.float32(pixels[region].mean(dtype=np.float64))
    down, across = (np.sin(np.pi * (np.arange(side) + 0.5) / side).astype(np.float32) ** 2 for side in pixels.shape)
    windowed = np.where(region, pixels - mean, np.float32(0)) * down[:, None] * across
    spectrum = rfft2(windowed)
    return np.asarray(spectrum.real**2 + spectrum.imag**2, dtype=np.float32)


@dataclass(frozen=True)
class _Gathered:
    """Sums of the power over parts of the spectrum.

    Attributes:
        rings, wedges: float64 (rings,), (wedges,).
        sums: float64 (5,); the power times 1, f, f², cos 2θ and sin 2θ.
        cycles: float64 (2, n); power and samples at each whole number of cycles along the longer side.
    """

    rings: Float64
    wedges: Float64
    sums: Float64
    cycles: Float64


def _gathered(power: Float32, shape: tuple[int, ...], params: FourierParams) -> _Gathered:
    found = _Gathered(np.zeros(params.rings), np.zeros(params.wedges), np.zeros(5), np.zeros((2, max(shape) // 2 + 1)))
    bounds = np.pi * np.arange(1, params.wedges) / params.wedges
    _gather(power, shape[1], np.cos(bounds), np.sin(bounds), found.rings, found.wedges, found.sums, found.cycles)
    return found


@compiled
def _gather(power: Any, columns: int, cosine: Any, sine: Any, rings: Any, wedges: Any, sums: Any, cycles: Any) -> None:
    """Fill the sums from half a spectrum; ``cosine`` and ``sine`` are of the angles between the wedges."""
    rows, half = power.shape
    longer = max(rows, columns)
    for row in range(rows):
        for column in range(half):
            down, across = (row if 2 * row <= rows else row - rows) / rows, column / columns
            square = down * down + across * across
            if square == 0 or square > 0.25:
                continue
            twice = 1 if column == 0 or 2 * column == columns else 2
            weight = np.float64(power[row, column]) * twice
            frequency = np.sqrt(square)
            rings[min(int(frequency * 2 * len(rings)), len(rings) - 1)] += weight
            if down < 0:
                down, across = -down, -across
            wedge = 0
            for bound in range(len(cosine)):
                wedge += cosine[bound] * down >= sine[bound] * across
            wedges[wedge] += weight
            sums[0] += weight
            sums[1] += weight * frequency
            sums[2] += weight * square
            sums[3] += weight * (across * across - down * down) / square
            sums[4] += weight * 2 * across * down / square
            cycle = int(frequency * longer + 0.5)
            if cycle < cycles.shape[1]:
                cycles[0, cycle] += weight
                cycles[1, cycle] += twice


def _slope(cycles: Float64) -> float:
    """Least squares slope of log mean power on log cycles; NaN with fewer than three."""
    power, samples = cycles
    place = np.flatnonzero(power > 0)
    if len(place) < 3:
        return float("nan")
    x, y = np.log(place), np.log(power[place] / samples[place])
    x = x - x.mean()
    return float(np.sum(x * y) / np.sum(x * x))


FOURIER = Fourier()
