"""Correct the bias field of MR."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from medray.errors import Excluded
from medray.extras import needed
from medray.imaging.crop import above, li
from medray.imaging.op import OpSpec, finite, float32, valid_pixels
from medray.types import Bool, Float32, Image

SMALLEST = 8
"""Pixels along each axis that are left after shrinking, at least: the spline's control points need some."""


class BiasField(OpSpec):
    """Divide MR by its smooth bias field (N4), which is estimated on a shrunk image from the pixels above Li's threshold.

    The mean of those pixels stays. Needs SimpleITK (``pip install 'medray[mr]'``). An axis that would have fewer than 8 pixels is
    shrunk less; an image with fewer is excluded as IMAGE_TOO_SMALL; one without pixels above zero and the threshold (a constant
    one) stays as it is.
    """

    source: ClassVar[str] = "Tustison 2010, IEEE TMI 29:1310 (N4ITK)"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    op: Literal["bias_field"] = "bias_field"
    shrink: int = Field(4, ge=1, le=16, description="by which the image is shrunk along each axis for the estimate")
    levels: int = Field(3, ge=1, le=6, description="fitting levels; each doubles the control points")
    iterations: int = Field(30, ge=1, le=200, description="at each level, at most")
    threshold: float = Field(0.001, ge=1e-6, le=0.1, description="change of the field at which a level ends")


def bias_field(image: Image, spec: BiasField) -> Image:
    """The corrected image.

    Raises:
        ConfigError: EXTRA_MISSING without SimpleITK; Excluded: IMAGE_TOO_SMALL; Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    if min(image.pixels.shape) < SMALLEST:
        raise Excluded("IMAGE_TOO_SMALL", f"{' x '.join(map(str, image.pixels.shape))} pixels show no bias field")
    tissue = above(image, max(li(valid_pixels(image)), 0.0))
    if not tissue.any():
        return image
    flat = image.pixels / np.exp(np.clip(_log_field(image, tissue, spec), -80, 80, dtype=np.float64))
    return image.with_pixels(finite(flat * (image.pixels[tissue].mean(dtype=np.float64) / flat[tissue].mean())))


def _log_field(image: Image, tissue: Bool, spec: BiasField) -> Float32:
    """The logarithm of the bias field at every pixel; its spline has the same control points whatever the spacing."""
    sitk = needed("SimpleITK", "mr", "bias_field")
    pixels, mask = sitk.GetImageFromArray(image.pixels), sitk.GetImageFromArray(tissue.astype(np.uint8))
    by = [max(min(spec.shrink, size // SMALLEST), 1) for size in reversed(image.pixels.shape)]
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetNumberOfThreads(1)
    n4.SetMaximumNumberOfIterations([spec.iterations] * spec.levels)
    n4.SetConvergenceThreshold(spec.threshold)
    n4.Execute(sitk.Shrink(pixels, by), sitk.Shrink(mask, by))
    return float32(sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(pixels)))
