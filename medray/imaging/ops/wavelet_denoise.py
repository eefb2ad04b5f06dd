"""Wavelet shrinkage."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from medray.imaging.op import OpSpec, finite, over_valid
from medray.types import Float32, Float64, Image


class WaveletDenoise(OpSpec):
    """Shrink wavelet coefficients at the level of the noise towards 0."""

    source: ClassVar[str] = "bayes: Chang, Yu & Vetterli 2000, IEEE TIP 9; visu: Donoho & Johnstone 1994, Biometrika 81"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    takes_colour: ClassVar[bool] = True
    op: Literal["wavelet_denoise"] = "wavelet_denoise"
    wavelet: Literal["haar", "db2", "db4", "db8", "sym4", "sym8", "coif1", "coif2", "bior2.2", "bior4.4"] = Field(
        "db2", description="name in PyWavelets"
    )
    levels: int = Field(3, ge=1, le=10, description="levels of the decomposition; fewer where the image is too small for them")
    threshold: Literal["bayes", "visu"] = Field(
        "bayes", description="noise variance / signal deviation in each band, or noise deviation * sqrt(2 ln pixels) in all"
    )
    mode: Literal["soft", "hard"] = Field("soft", description="larger coefficients lose the threshold, or stay")
    noise: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="standard deviation of the noise in the units of the pixels; else from the finest diagonal band",
    )


def wavelet_denoise(image: Image, spec: WaveletDenoise) -> Image:
    """The denoised image, by the wavelet transform along all its axes; unchanged where one is shorter than the wavelet.

    The noise is the median of the finest diagonal coefficients that are not 0, over 0.6745 (Donoho & Johnstone 1994).
    The nearest valid pixel stands for one that is not.

    Raises:
        Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    import pywt

    levels = min(spec.levels, pywt.dwtn_max_level(image.shape, spec.wavelet))

    def smooth(pixels: Float32) -> Float32:
        if levels == 0:
            return pixels
        coarse, *bands = pywt.wavedecn(pixels.astype(np.float64), spec.wavelet, level=levels)
        noise = _noise(bands[-1]["d" * pixels.ndim]) if spec.noise is None else spec.noise
        shrunk = [{key: _shrunk(band, noise, pixels.size, spec) for key, band in level.items()} for level in bands]
        result = pywt.waverecn([coarse, *shrunk], spec.wavelet)
        return finite(result[tuple(slice(size) for size in pixels.shape)])

    return over_valid(image, smooth)


def _noise(diagonal: Float64) -> float:
    """Standard deviation of the Gaussian noise that has this median of absolute values: 0.6745 is the normal quantile 0.75."""
    found = np.abs(diagonal[diagonal != 0])
    return float(np.median(found)) / 0.6744897501960817 if found.size else 0.0


def _shrunk(band: Float64, noise: float, pixels: int, spec: WaveletDenoise) -> Any:
    import pywt

    if spec.threshold == "visu":
        threshold = noise * np.sqrt(2 * np.log(pixels))
    else:
        signal = float(np.mean(band * band)) - noise * noise
        threshold = noise * noise / np.sqrt(signal) if signal > 0 else np.inf
    if threshold == 0:
        return band
    return pywt.threshold(band, threshold, spec.mode) if np.isfinite(threshold) else np.zeros_like(band)
