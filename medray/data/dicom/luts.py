"""Lookup tables of DICOM (PS3.3 C.11.1, C.11.2, C.7.6.3.1.5): modality LUT, palette colour, VOI LUT."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medray.data.dicom import tags
from medray.data.dicom.blocks import by_blocks
from medray.data.dicom.colour import luminance
from medray.data.dicom.dataset import DataSet, DicomFile
from medray.data.dicom.header import mirror_sum, rescale
from medray.data.dicom.lookup import Table, first_lut, first_voi_lut, is_readable, table
from medray.errors import Quarantined
from medray.types import Float32, Float64, Header, VoiLut

_EXACT = 1 << 24
"""float32 holds every whole number up to here."""


def modality_values(stored: NDArray[Any], file: DicomFile, header: Header, frame: int) -> Float32:
    """Stored values (rows, columns) → modality values, float32 (rows, columns); MONOCHROME1 mirrored.

    Rescaled values are the float64 results of PS3.3 C.11.1, rounded to float32.

    Raises:
        Quarantined: PIXELS_LUT, PIXELS_NOT_FINITE, PIXELS_RESCALE.
    """
    inverted = header.photometric == "MONOCHROME1"
    if (item := first_lut(file.dataset, tags.MODALITY_LUT_SEQUENCE)) is not None:
        lut = table(item, tags.LUT_DESCRIPTOR, tags.LUT_DATA, signed=header.signed)
        values: Float32 = lut.values.astype(np.float32)
        return lut.look_up((1 << lut.bits) - 1 - values if inverted else values, stored)
    if inverted:
        stored = np.subtract(stored.dtype.type(-1 if header.signed else (1 << header.bits_stored) - 1), stored)
    slope, intercept = rescale(file.dataset, frame) or (1.0, 0.0)
    if slope == 0:
        raise Quarantined("PIXELS_RESCALE", "the rescale slope is 0")
    return rescaled(stored, slope, intercept)


def rescaled(stored: NDArray[Any], slope: float, intercept: float) -> Float32:
    """float32(slope * stored + intercept), computed in float64 where float32 would round on the way.

    Raises:
        Quarantined: PIXELS_NOT_FINITE.
    """
    largest = float(1 << min(8 * stored.itemsize, 32))
    reach = abs(slope) * largest + abs(intercept)
    if not reach < float(np.finfo(np.float32).max):
        raise Quarantined("PIXELS_NOT_FINITE", "the modality LUT gives values that are not finite")
    if slope.is_integer() and intercept.is_integer() and reach <= _EXACT:
        values: Float32 = stored.astype(np.float32) if slope == 1 else np.multiply(stored, np.float32(slope), dtype=np.float32)
        if intercept:
            values += np.float32(intercept)
        return values

    def in_float64(block: NDArray[Any]) -> Float32:
        wide: Float64 = np.multiply(block, slope, dtype=np.float64)
        wide += intercept
        return wide.astype(np.float32)

    return by_blocks(in_float64, stored)


def palette_channels(indices: NDArray[Any], dataset: DataSet, *, signed: bool) -> Float32:
    """Palette indices (rows, columns) → red, green and blue, in the units of the palette, float32 (3, rows, columns).

    Raises:
        Quarantined: PIXELS_LUT.
    """
    tables = _palette(dataset, signed=signed)
    return np.stack([one.look_up(one.values.astype(np.float32), indices) for one in tables])


def palette_luminance(indices: NDArray[Any], dataset: DataSet, *, signed: bool) -> Float32:
    """Palette indices (rows, columns) → luma of their colours, in the units of the palette, float32 (rows, columns).

    Raises:
        Quarantined: PIXELS_LUT.
    """
    tables = _palette(dataset, signed=signed)
    tones = luminance(np.stack([one.values for one in tables], axis=-1))
    return tables[0].look_up(tones, indices)


def _palette(dataset: DataSet, *, signed: bool) -> list[Table]:
    """The tables of red, green and blue, of one size."""
    tables = [
        table(dataset, descriptor, data, signed=signed, segmented=segments)
        for descriptor, data, segments in zip(tags.PALETTE_DESCRIPTORS, tags.PALETTE_DATA, tags.PALETTE_SEGMENTED, strict=True)
    ]
    if len({(len(one.values), one.first) for one in tables}) > 1:
        raise Quarantined("PIXELS_LUT", "the three tables of the palette differ in size")
    return tables


def voi_lut(file: DicomFile, header: Header, frame: int) -> VoiLut | None:
    """The first VOI LUT of a frame; mirrored with the pixels of MONOCHROME1, so that larger is brighter.

    It is for display alone: a broken one is left out, and flagged in the header as a broken window is.
    """
    dataset = file.dataset
    item = first_voi_lut(dataset, frame)
    if item is None or not is_readable(item):
        return None
    lut = table(item, tags.LUT_DESCRIPTOR, tags.LUT_DATA, signed=_can_be_negative(dataset, header, frame))
    values = np.minimum(lut.values / np.float32((1 << lut.bits) - 1), np.float32(1)).astype(np.float32)
    if header.photometric != "MONOCHROME1":
        return VoiLut(float(lut.first), values)
    return VoiLut(mirror_sum(dataset, frame) - (lut.first + len(values) - 1), 1 - values[::-1])


def _can_be_negative(dataset: DataSet, header: Header, frame: int) -> bool:
    """Whether modality values can: then the first value of a VOI LUT is signed (PS3.3 C.11.2.1.1)."""
    if first_lut(dataset, tags.MODALITY_LUT_SEQUENCE) is not None:
        return False
    slope, intercept = rescale(dataset, frame) or (1.0, 0.0)
    low, high = (-(1 << (header.bits_stored - 1)), 0) if header.signed else (0, (1 << header.bits_stored) - 1)
    return min(slope * low, slope * high) + intercept < 0
