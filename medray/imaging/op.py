"""Shared by all preprocessing ops: the base of the specs, and the treatment of invalid pixels.

An op is one file in :mod:`medray.imaging.ops`: a frozen spec and a pure function ``(image, spec) -> image``, listed in
:mod:`medray.imaging.table`. Pixels are finite float32 before and after; the masks of valid pixels and of the region of interest
stay in step with them. An op that changes the units of the pixels drops them with the VOI window and LUT, one that changes their
size in mm changes the spacing, one that moves the first pixel changes the position, so that none of them is ever stale.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import cv2
import numpy as np
from pydantic import Field

from medray.compiled import compiled
from medray.errors import Excluded, Quarantined
from medray.spec import Spec
from medray.types import Bool, Float32, Image

Shape = tuple[int, int] | None
"""(rows, columns) of every plane, or None where it depends on the image."""

Pixels = Annotated[int, Field(ge=1, le=16384)]
"""A size of an image along one axis."""

Level = Annotated[float, Field(ge=-1e30, le=1e30)]
"""A value of a pixel, well inside the range of float32."""

MAX_PIXELS = 1 << 28
"""Of one image or volume that is processed: 16,384 x 16,384."""

MAX_SIDE = 65535
"""Of one image or volume along each axis: what Rows and Columns of DICOM can hold."""

_BLOCK = 1 << 14

LARGEST = 3.4028234663852886e38
"""Of float32."""


class OpSpec(Spec):
    """Base of the specs of ops; the first paragraph of the docstring of each says what the op does."""

    op: str
    source: ClassVar[str] = ""
    """Where the formula comes from: a section of the standard, or a paper."""
    dimensions: ClassVar[tuple[int, ...]] = (2,)
    """Planes (2), volumes (3) or both."""
    takes_colour: ClassVar[bool] = False
    """Whether the op takes images of several channels as well."""
    takes_unit_range: ClassVar[bool] = False
    """Whether the op takes pixels in [0, 1] and clips others."""
    brings_units: ClassVar[bool] = False
    """Whether the op brings every image that it does not refuse to the same units."""

    def shape_after(self, before: Shape) -> Shape:
        """The size of every image after the op."""
        return before

    def largest_after(self, before: Shape) -> Shape:
        """The largest size of an image after the op; None where there is no bound."""
        return before

    def unit_range_after(self, before: bool) -> bool:
        """Whether the pixels are meant to lie in [0, 1] after the op."""
        return before


class UnitRangeSpec(OpSpec):
    """Base of the specs of ops whose results lie in [0, 1]."""

    def unit_range_after(self, before: bool) -> bool:
        """Always."""
        return True


def check_size(shape: Sequence[int]) -> None:
    """Raise Excluded: IMAGE_TOO_LARGE for more than MAX_PIXELS pixels, or MAX_SIDE along an axis."""
    if math.prod(shape) > MAX_PIXELS or max(shape) > MAX_SIDE:
        sizes = " x ".join(map(str, shape))
        raise Excluded(
            "IMAGE_TOO_LARGE", f"an image of {sizes} pixels; at most {MAX_PIXELS} are processed, {MAX_SIDE} along an axis"
        )


def float32(array: Any) -> Float32:
    """The array as float32."""
    return np.asarray(array, dtype=np.float32)


def finite(array: Any) -> Float32:
    """The array as float32, cut to its range where a value lies beyond."""
    return float32(np.clip(array, -LARGEST, LARGEST))


def unitless(image: Image, pixels: Float32) -> Image:
    """The image with pixels in no units, to which its VOI window and LUT do not apply."""
    return in_units(image, pixels, "")


def in_units(image: Image, pixels: Float32, units: str) -> Image:
    """The image with pixels in other units, to which its VOI window and LUT and other mappings do not apply."""
    header = image.header
    if header.voi_window is not None or header.units != units:
        header = replace(header, voi_window=None, units=units)
    return replace(image, pixels=np.ascontiguousarray(pixels, np.float32), header=header, voi_lut=None, real_world=(), suv=None)


def check_hounsfield(image: Image, what: str) -> None:
    """Raise Excluded (UNITS_DIFFER) for pixels that are known to be in other units than Hounsfield's."""
    if image.header.units not in ("HU", ""):
        raise Excluded("UNITS_DIFFER", f"{what} is in Hounsfield units, the pixels are in {image.header.units}")


def flagged(image: Image, flag: str) -> Image:
    """The image with one more flag (see :data:`medray.remedies.FLAGS`)."""
    flags = tuple(sorted({*image.header.flags, flag}))
    return replace(image, header=replace(image.header, flags=flags))


def luminance(image: Image) -> Image:
    """A colour image in grey: luma Y' = (299 R + 587 G + 114 B) / 1000 (ITU-R BT.601-7, 2.5.1); a grey image as it is.

    Of an image as decoded it is that image decoded in grey, bit for bit.
    """
    if image.channels == 1:
        return image
    red, green, blue = image.pixels
    luma = (np.float64(299) * red + np.float64(587) * green + np.float64(114) * blue) / 1000
    return replace(image, pixels=float32(luma), channels=1)


def by_channel(image: Image, smooth: Callable[[Float32], Float32], pixels: Float32) -> Float32:
    """What a filter of a plane or volume makes of pixels of the image, channel by channel."""
    return smooth(pixels) if image.channels == 1 else np.stack([smooth(channel) for channel in pixels])


def valid_pixels(image: Image) -> Float32:
    """The valid pixels, float32 (n,); of colour those of all channels.

    Raises:
        Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    if image.valid is None:
        values = image.pixels.ravel()
    else:
        values = image.pixels[image.valid] if image.channels == 1 else image.pixels[:, image.valid].ravel()
    if values.size == 0:
        raise Quarantined("IMAGE_NO_VALID_PIXELS", "every pixel is padding")
    return values


def is_constant(image: Image) -> bool:
    """Whether all valid pixels are equal, or none is valid; read up to the first that differs."""
    if image.channels > 1:
        return all(is_constant(replace(image, pixels=channel, channels=1)) for channel in image.pixels)
    pixels = image.pixels.ravel()
    valid = None if image.valid is None else image.valid.ravel()
    first = None
    for start in range(0, pixels.size, _BLOCK):
        block = pixels[start : start + _BLOCK]
        if valid is not None:
            block = block[valid[start : start + _BLOCK]]
        if not block.size:
            continue
        first = block[0] if first is None else first
        if (block != first).any():
            return False
    return True


def extent(values: Float32) -> tuple[float, float]:
    """The smallest and the largest of values, at least one."""
    low, high, _, _ = cv2.minMaxLoc(values.reshape(1, -1))
    return float(low), float(high)


def stretch(pixels: Float32, low: float, high: float) -> Float32:
    """Map low to 0 and high to 1, and clip; a step just above ``low`` where the range is empty."""
    if high <= low:
        return (pixels > low).astype(np.float32)
    if not (abs(low) < 1e30 and 1e-30 < high - low < 1e30):
        return float32(np.clip((pixels - np.float64(low)) / (high - low), 0, 1))
    near, factor = np.float32(low), np.float32(1 / (high - low))
    rest = np.float32(low - float(near))
    if (np.float32(high) - near - rest) * factor < 1:
        factor = np.nextafter(factor, np.float32(np.inf))
    flat = np.ascontiguousarray(pixels, np.float32).ravel()
    result = np.empty(pixels.shape, np.float32)
    _stretch(flat, result.ravel(), near, rest, factor)
    return result


@compiled
def _stretch(pixels: Float32, result: Float32, low: np.float32, rest: np.float32, factor: np.float32) -> None:
    """Two differences of float32 are as exact as one of float64 where it matters, near ``low``, and twice as fast."""
    black, white = np.float32(0), np.float32(1)
    for i in range(pixels.size):
        value = ((pixels[i] - low) - rest) * factor
        value = value if value > black else black
        result[i] = value if value < white else white


def extended(image: Image) -> Float32:
    """The pixels, with the nearest valid one in the place of each that is not: what a filter sees beyond the border, too.

    Raises:
        Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    if image.valid is None or image.valid.all():
        return image.pixels
    valid_pixels(image)
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(~image.valid, return_distances=False, return_indices=True)
    return float32(image.pixels[(..., *nearest)])


def over_valid(image: Image, smooth: Callable[[Float32], Float32]) -> Image:
    """The image filtered: invalid pixels keep their values, and the nearest valid one stands for each of them in the filter.

    Channels are filtered one by one.

    Raises:
        Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    pixels = by_channel(image, smooth, extended(image))
    return image.with_pixels(pixels if image.valid is None else float32(np.where(image.valid, pixels, image.pixels)))


def bordered(pixels: Float32, width: int) -> Float32:
    """A plane with ``width`` pixels more on each side, copies of its border."""
    return float32(cv2.copyMakeBorder(pixels, width, width, width, width, cv2.BORDER_REPLICATE))


def valid_mean(image: Image, smooth: Callable[[Float32], Float32]) -> tuple[Float32, Float32 | None]:
    """A linear filter over the valid pixels alone, and their weight (normalised convolution: Knutsson, CVPR 1993).

    Where no valid pixel reaches, the plain filter stands. Channels are filtered one by one and have one weight.
    """
    if image.pixels.max() > LARGEST / 1024 or image.pixels.min() < -LARGEST / 1024:
        pixels, weight = valid_mean(image.with_pixels(float32(image.pixels / 1024)), smooth)
        return finite(pixels * np.float64(1024)), weight
    if image.valid is None:
        return by_channel(image, smooth, image.pixels), None
    weight = smooth(image.valid.astype(np.float32))
    total = by_channel(image, smooth, np.where(image.valid, image.pixels, np.float32(0)))
    reached: Bool = weight > 1e-6
    plain = by_channel(image, smooth, image.pixels)
    return np.where(reached, total / np.where(reached, weight, 1), plain).astype(np.float32), weight
