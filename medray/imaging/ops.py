"""Preprocessing ops: each is one frozen spec and one pure function ``(image, spec) -> image``.

Every op keeps the pixels float32 and the mask of valid pixels in step with them. Pixels must be finite. An op that
changes the units of the pixels drops ``header.voi_window`` and ``voi_lut``, and one that changes their size in mm scales
``header.spacing_mm``, so that neither is ever stale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

import cv2
import numpy as np
from pydantic import Field, model_validator

from medray.errors import Excluded, Quarantined
from medray.spec import Spec
from medray.types import Bool, Float32, Image, VoiLut

Pixels = Annotated[int, Field(ge=1, le=16384)]


class Window(Spec):
    """Map to [0, 1] by this window, else the image's own VOI LUT or window, else the full range of its valid pixels."""

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
        return _unitless(image, _voi_linear(image.pixels, spec.centre, spec.width))
    if image.voi_lut is not None:
        return _unitless(image, _voi_table(image.pixels, image.voi_lut))
    if image.header.voi_window is not None:
        return _unitless(image, VOI_FUNCTIONS[image.header.voi_function](image.pixels, *image.header.voi_window))
    values = _valid_pixels(image)
    return _unitless(image, _stretch(image.pixels, float(values.min()), float(values.max())))


def _voi_linear(pixels: Float32, centre: float, width: float) -> Float32:
    if not width >= 1:
        raise Quarantined("VOI_WINDOW_WIDTH", f"window width {width:g} is below 1")
    low = centre - 0.5 - (width - 1) / 2
    return _stretch(pixels, low, low + width - 1)


def _voi_linear_exact(pixels: Float32, centre: float, width: float) -> Float32:
    _check_positive(width)
    return _stretch(pixels, centre - width / 2, centre + width / 2)


def _voi_sigmoid(pixels: Float32, centre: float, width: float) -> Float32:
    _check_positive(width)
    exponent = np.clip(-4 * (pixels - np.float64(centre)) / width, -700, 700)  # exp overflows beyond
    return _float32(1 / (1 + np.exp(exponent)))


def _check_positive(width: float) -> None:
    if not width > 0:
        raise Quarantined("VOI_WINDOW_WIDTH", f"window width {width:g} is not above 0")


def _voi_table(pixels: Float32, lut: VoiLut) -> Float32:
    """Pixels that are no whole numbers take the nearest entry."""
    indices = np.clip(np.rint(pixels - np.float64(lut.first)), 0, len(lut.values) - 1)
    return _float32(lut.values[indices.astype(np.intp)])


VOI_FUNCTIONS: Mapping[str, Callable[[Float32, float, float], Float32]] = {
    "LINEAR": _voi_linear,
    "LINEAR_EXACT": _voi_linear_exact,
    "SIGMOID": _voi_sigmoid,
}
"""VOI LUT Function (0028,1056) → (pixels, centre, width) → values from 0 to 1."""


class Percentile(Spec):
    """Map the range between two percentiles of the valid pixels to [0, 1]."""

    op: Literal["percentile"] = "percentile"
    low: float = Field(0.5, ge=0, le=100, description="percentile that becomes 0")
    high: float = Field(99.5, ge=0, le=100, description="percentile that becomes 1")

    @model_validator(mode="after")
    def _low_below_high(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self


def percentile(image: Image, spec: Percentile) -> Image:
    """Stretch and clip to [0, 1]; equal percentiles give a step just above them, so a constant image gives zeros."""
    low, high = np.percentile(_valid_pixels(image), [spec.low, spec.high])
    return _unitless(image, _stretch(image.pixels, float(low), float(high)))


class ForegroundCrop(Spec):
    """Crop to the bounding box of the largest bright component."""

    op: Literal["foreground_crop"] = "foreground_crop"
    threshold: float = Field(0.05, ge=0, lt=1, description="fraction of the range of the valid pixels; brighter is foreground")
    margin: int = Field(0, ge=0, le=16384, description="pixels to keep around the box")


def foreground_crop(image: Image, spec: ForegroundCrop) -> Image:
    """The image cropped to its foreground, of 8-connected pixels; unchanged where there is none (a constant image)."""
    values = _valid_pixels(image)
    low, high = float(values.min()), float(values.max())
    foreground = image.pixels > low + spec.threshold * (high - low)
    if image.valid is not None:
        foreground &= image.valid
    count, _, stats, _ = cv2.connectedComponentsWithStats(foreground.astype(np.uint8), connectivity=8)
    if count < 2:
        return image
    left, top, width, height, _ = stats[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))].tolist()
    rows = slice(max(top - spec.margin, 0), top + height + spec.margin)
    columns = slice(max(left - spec.margin, 0), left + width + spec.margin)
    valid = None if image.valid is None else image.valid[rows, columns].copy()
    return image.with_pixels(image.pixels[rows, columns].copy(), valid)


class Denoise(Spec):
    """Median or Gaussian filter."""

    op: Literal["denoise"] = "denoise"
    method: Literal["median", "gaussian"] = "median"
    kernel: Literal[3, 5, 7, 9, 11] = Field(3, description="side of the filter in pixels; 3 or 5 for the median")

    @model_validator(mode="after")
    def _small_median(self) -> Self:
        if self.method == "median" and self.kernel > 5:
            raise ValueError("kernel must be 3 or 5 for the median")
        return self


def denoise(image: Image, spec: Denoise) -> Image:
    """The filtered image; the Gaussian has sigma = 0.3 ((kernel - 1) / 2 - 1) + 0.8 pixels.

    The Gaussian leaves invalid pixels out of its mean, the median takes them as they are.
    """
    if spec.method == "median":
        return image.with_pixels(_float32(cv2.medianBlur(image.pixels, spec.kernel)), image.valid)
    size = (spec.kernel, spec.kernel)
    pixels, _ = _valid_mean(image, lambda array: _float32(cv2.GaussianBlur(array, size, 0)))
    return image.with_pixels(pixels, image.valid)


class Clahe(Spec):
    """Contrast-limited adaptive histogram equalisation of an image in [0, 1]."""

    op: Literal["clahe"] = "clahe"
    clip_limit: float = Field(2.0, gt=0, le=255, description="height limit of a bin, in multiples of the mean height")
    tiles: int = Field(8, ge=1, le=64, description="tiles along each side")


def clahe(image: Image, spec: Clahe) -> Image:
    """CLAHE (Zuiderveld, Graphics Gems IV, 1994) over 256 grey levels; pixels outside [0, 1] are clipped.

    OpenCV's 65,536-level variant has fewer pixels than levels in any usual tile and rounds its clip limit to whole
    counts, so the limit asked for would mean nothing there.
    """
    levels = np.rint(np.clip(image.pixels, 0, 1) * 255).astype(np.uint8)
    equalised = cv2.createCLAHE(spec.clip_limit, (spec.tiles, spec.tiles)).apply(levels)
    return image.with_pixels(_float32(equalised) / np.float32(255), image.valid)


class Resize(Spec):
    """Resample to rows x columns, or to the largest size of the same aspect that fits inside."""

    op: Literal["resize"] = "resize"
    rows: Pixels
    columns: Pixels
    keep_aspect: bool = False


def resize(image: Image, spec: Resize) -> Image:
    """The image resampled along each axis: area means where it shrinks (nothing aliases), linear where it grows.

    Invalid pixels have no weight; a pixel is valid where at least half its weight is.
    """
    rows, columns = _resized(image.pixels.shape, spec)
    pixels, weight = _valid_mean(image, lambda array: _resample(array, rows, columns))
    valid = None if weight is None else weight >= 0.5
    header = image.header
    if header.spacing_mm is not None:
        scale = image.pixels.shape[0] / rows, image.pixels.shape[1] / columns
        header = replace(header, spacing_mm=(header.spacing_mm[0] * scale[0], header.spacing_mm[1] * scale[1]))
    return replace(image.with_pixels(pixels, valid), header=header)


def _resized(shape: tuple[int, ...], spec: Resize) -> tuple[int, int]:
    if not spec.keep_aspect:
        return spec.rows, spec.columns
    scale = min(spec.rows / shape[0], spec.columns / shape[1])
    return max(round(shape[0] * scale), 1), max(round(shape[1] * scale), 1)


def _resample(array: Float32, rows: int, columns: int) -> Float32:
    shrunk = min(array.shape[0], rows), min(array.shape[1], columns)
    array = _float32(cv2.resize(array, shrunk[::-1], interpolation=cv2.INTER_AREA))
    return _float32(cv2.resize(array, (columns, rows), interpolation=cv2.INTER_LINEAR))


class Pad(Spec):
    """Pad around the centre to rows x columns; padded pixels are invalid."""

    op: Literal["pad"] = "pad"
    rows: Pixels
    columns: Pixels
    value: float = 0.0


def pad(image: Image, spec: Pad) -> Image:
    """The padded image.

    Raises:
        Excluded: IMAGE_LARGER_THAN_PAD where the image does not fit; a resize with ``keep_aspect`` before makes it fit.
    """
    rows, columns = image.pixels.shape
    if rows > spec.rows or columns > spec.columns:
        raise Excluded("IMAGE_LARGER_THAN_PAD", f"{rows} x {columns} pixels cannot be padded to {spec.rows} x {spec.columns}")
    top, left = (spec.rows - rows) // 2, (spec.columns - columns) // 2
    inside = slice(top, top + rows), slice(left, left + columns)
    pixels = np.full((spec.rows, spec.columns), spec.value, np.float32)
    pixels[inside] = image.pixels
    valid = np.zeros(pixels.shape, bool)
    valid[inside] = True if image.valid is None else image.valid
    return image.with_pixels(pixels, valid)


Op = Window | Percentile | ForegroundCrop | Denoise | Clahe | Resize | Pad

OPS: Mapping[str, Callable[[Image, Any], Image]] = {
    "window": window,
    "percentile": percentile,
    "foreground_crop": foreground_crop,
    "denoise": denoise,
    "clahe": clahe,
    "resize": resize,
    "pad": pad,
}


def _float32(array: Any) -> Float32:
    return np.asarray(array, dtype=np.float32)


def _unitless(image: Image, pixels: Float32) -> Image:
    return replace(image.with_pixels(pixels, image.valid), header=replace(image.header, voi_window=None), voi_lut=None)


def _valid_pixels(image: Image) -> Float32:
    """The valid pixels, float32 (n,); raises Quarantined where there are none."""
    values = image.pixels.ravel() if image.valid is None else image.pixels[image.valid]
    if values.size == 0:
        raise Quarantined("IMAGE_NO_VALID_PIXELS", "every pixel is padding")
    return values


def _stretch(pixels: Float32, low: float, high: float) -> Float32:
    """Map low to 0 and high to 1, and clip; a step just above ``low`` where the range is empty."""
    if high <= low:
        return (pixels > low).astype(np.float32)
    return _float32(np.clip((pixels - np.float64(low)) / (high - low), 0, 1))


def _valid_mean(image: Image, smooth: Callable[[Float32], Float32]) -> tuple[Float32, Float32 | None]:
    """A linear filter over the valid pixels alone, and their weight (normalised convolution: Knutsson, CVPR 1993).

    Where no valid pixel reaches, the plain filter stands.
    """
    if image.valid is None:
        return smooth(image.pixels), None
    weight = smooth(image.valid.astype(np.float32))
    total = smooth(np.where(image.valid, image.pixels, np.float32(0)))
    reached: Bool = weight > 1e-6
    return np.where(reached, total / np.where(reached, weight, 1), smooth(image.pixels)).astype(np.float32), weight
