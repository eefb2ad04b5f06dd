"""Colour (PS3.3 C.7.6.3.1.2): what the three samples of a pixel are, YBR → RGB, RGB → luminance.

Equal samples give equal bits, however they lie in memory: no result here depends on the order in which a library adds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medray.compiled import compiled
from medray.data.dicom.blocks import by_blocks
from medray.data.dicom.codestream import CodeStream
from medray.data.dicom.dataset import PixelModule
from medray.data.dicom.syntaxes import JPEG_XL_LOSSLESS
from medray.types import Float32

Pixels = NDArray[Any]

YBR_FULL = frozenset({"YBR_FULL", "YBR_FULL_422"})
TRANSFORMED = frozenset({"YBR_RCT", "YBR_ICT", "YBR_PARTIAL_420", "XYB"})
"""Photometric interpretations that only exist inside the code streams of one codec."""
_STATED = {
    "RGB": frozenset({"RGB"}),
    "YBR": YBR_FULL,
    "YBR_RCT": frozenset({"YBR_RCT"}),
    "YBR_ICT": frozenset({"YBR_ICT"}),
    "": frozenset({"RGB", *YBR_FULL}),
}
_LOSSY_XL = frozenset({"RGB", "XYB", *YBR_FULL})  # PS3.5 8.2.15; YBR where a JPEG was compressed again
_RED_OF_CR, _BLUE_OF_CB = 1402, 1772  # in thousandths (ITU-T T.871 section 7)
_GREEN_OF_CB, _GREEN_OF_CR, _GREEN_WHOLE = 114 * 1772, 299 * 1402, 587 * 1000


def is_ybr(stated: CodeStream, header: PixelModule) -> bool:
    """Whether the components that a decoder gives are luminance and colour differences.

    What the code stream says of itself comes before the header (PS3.5 8.2.1, 8.2.4). Where it says nothing, the header decides; a
    JPEG whose header names a transform of another codec is YCbCr, as libjpeg has it, and so is a subsampled one.
    """
    if header.samples != 3 or stated.colour:
        return stated.colour == "YBR"
    return header.photometric in YBR_FULL or (stated.codec == "JPEG" and header.photometric in TRANSFORMED)


def differs(stated: CodeStream, header: PixelModule) -> bool:
    """Whether Photometric Interpretation contradicts what the code stream says of its three components."""
    if header.samples != 3:
        return False
    if stated.codec == "JPEG XL" and header.transfer_syntax != JPEG_XL_LOSSLESS:
        return header.photometric not in _LOSSY_XL
    return header.photometric not in _STATED[stated.colour]


def rgb_of(ybr: Pixels, bits: int) -> Pixels:
    """YBR_FULL → RGB of the same unsigned type, rounded half up and clipped (PS3.3 C.7.6.3.1.2); exact, in whole numbers.

    Args:
        ybr: (rows, columns, 3) of values from 0 to 2**bits - 1.
        bits: of a sample.
    """

    dtype = np.dtype(np.int32 if bits <= 12 else np.int64)

    def converted(block: Pixels) -> Pixels:
        luma, blue, red = (np.ascontiguousarray(block[..., index], dtype) for index in range(3))
        for difference in (blue, red):
            difference -= 1 << (bits - 1)
        rgb: Pixels = np.empty(block.shape, block.dtype)
        green = blue * -_GREEN_OF_CB - red * _GREEN_OF_CR
        for index, (values, whole) in enumerate(((red * _RED_OF_CR, 1000), (green, _GREEN_WHOLE), (blue * _BLUE_OF_CB, 1000))):
            values += whole // 2
            values //= whole
            values += luma
            rgb[..., index] = np.clip(values, 0, (1 << bits) - 1, out=values)
        return rgb

    return by_blocks(converted, ybr)


def channels_of(rgb: Pixels) -> Float32:
    """RGB values (rows, columns, 3) by plane, float32 (3, rows, columns), in their units."""
    return np.ascontiguousarray(np.moveaxis(rgb, -1, 0), np.float32)


def luminance(rgb: Pixels) -> Float32:
    """Luma Y' (BT.601) of RGB values (…, 3) in their units, float32 (…): the float32 nearest to (299 R + 587 G + 114 B) / 1000.

    The sum is exact, so equal values give equal bits in whatever order they lie, and R = G = B gives that very value.
    """
    luma: Float32 = np.empty(rgb.shape[:-1], np.float32)
    planes = np.moveaxis(rgb, -1, 0)
    is_planar = planes.flags.c_contiguous
    flat = (planes if is_planar else np.ascontiguousarray(rgb)).reshape(-1).view()
    flat.flags.writeable = False  # one type for the compiler, whatever the image lies in
    _weigh(flat, is_planar, luma.reshape(-1))
    return luma


@compiled
def _weigh(flat, is_planar, luma):  # type: ignore[no-untyped-def]
    """ITU-R BT.601-7, section 2.5.1, of values by plane or by pixel. Two loops, so that each has fixed steps."""
    count = len(luma)
    if is_planar:
        red, green, blue = flat[:count], flat[count : 2 * count], flat[2 * count :]
        for at in range(count):
            luma[at] = (299 * np.int32(red[at]) + 587 * np.int32(green[at]) + 114 * np.int32(blue[at])) / 1000.0
    else:
        for at in range(count):
            first = np.uintp(3) * np.uintp(at)
            red_green = 299 * np.int32(flat[first]) + 587 * np.int32(flat[first + np.uintp(1)])
            luma[at] = (red_green + 114 * np.int32(flat[first + np.uintp(2)])) / 1000.0
