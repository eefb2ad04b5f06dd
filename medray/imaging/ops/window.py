"""Intensity window: DICOM's VOI functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from medray.errors import Quarantined
from medray.imaging.op import OpSpec, float32, stretch, unitless, valid_pixels
from medray.types import Float32, Image, VoiLut


class Window(OpSpec):
    """Map to [0, 1] by this window, else the image's own VOI LUT or window, else the full range of its valid pixels."""

    source: ClassVar[str] = "DICOM PS3.3 C.11.2.1"
    op: Literal["window"] = "window"
    centre: float | None = Field(None, description="window centre in the units of the pixels")
    width: float | None = Field(None, ge=1, description="window width in the units of the pixels, at least 1")

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.centre is None) != (self.width is None):
            raise ValueError("centre and width must be given together")
        return self


def window(image: Image, spec: Window) -> Image:
    """The window of the spec by the linear VOI function, else the image's VOI LUT, else its window by its own VOI function.

    Formulas of DICOM PS3.3 C.11.2.1.1 to C.11.2.1.3, with outputs from 0 to 1.

    Raises:
        Quarantined: VOI_WINDOW_WIDTH where the image's own window is narrower than 1, or than its function allows.
    """
    if spec.centre is not None and spec.width is not None:
        return unitless(image, _voi_linear(image.pixels, spec.centre, spec.width))
    if image.voi_lut is not None:
        return unitless(image, _voi_table(image.pixels, image.voi_lut))
    if image.header.voi_window is not None:
        return unitless(image, VOI_FUNCTIONS[image.header.voi_function](image.pixels, *image.header.voi_window))
    values = valid_pixels(image)
    return unitless(image, stretch(image.pixels, float(values.min()), float(values.max())))


def _voi_linear(pixels: Float32, centre: float, width: float) -> Float32:
    if not width >= 1:
        raise Quarantined("VOI_WINDOW_WIDTH", f"window width {width:g} is below 1")
    low = centre - 0.5 - (width - 1) / 2
    return stretch(pixels, low, low + width - 1)


def _voi_linear_exact(pixels: Float32, centre: float, width: float) -> Float32:
    _check_positive(width)
    return stretch(pixels, centre - width / 2, centre + width / 2)


def _voi_sigmoid(pixels: Float32, centre: float, width: float) -> Float32:
    _check_positive(width)
    exponent = np.clip(-4 * (pixels - np.float64(centre)) / width, -700, 700)  # exp overflows beyond
    return float32(1 / (1 + np.exp(exponent)))


def _check_positive(width: float) -> None:
    if not width > 0:
        raise Quarantined("VOI_WINDOW_WIDTH", f"window width {width:g} is not above 0")


def _voi_table(pixels: Float32, lut: VoiLut) -> Float32:
    """Pixels that are no whole numbers take the nearest entry."""
    indices = np.clip(np.rint(pixels - np.float64(lut.first)), 0, len(lut.values) - 1)
    return float32(lut.values[indices.astype(np.intp)])


VOI_FUNCTIONS: Mapping[str, Callable[[Float32, float, float], Float32]] = {
    "LINEAR": _voi_linear,
    "LINEAR_EXACT": _voi_linear_exact,
    "SIGMOID": _voi_sigmoid,
}
"""VOI LUT Function (0028,1056) → (pixels, centre, width) → values from 0 to 1."""
