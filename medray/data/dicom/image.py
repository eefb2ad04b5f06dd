"""Parsed DICOM file → image record: stored values, modality LUT, luminance, padding, VOI LUT."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medray.data.dicom import tags
from medray.data.dicom.colour import channels_of, luminance
from medray.data.dicom.dataset import DataSet, DicomFile
from medray.data.dicom.header import mirror_sum, rescale
from medray.data.dicom.lookup import first_lut
from medray.data.dicom.luts import modality_values, palette_channels, palette_luminance, voi_lut
from medray.data.dicom.pixels import decode_stored
from medray.data.dicom.real_world import pixel_maps, stored_maps
from medray.data.dicom.suv import suv_of
from medray.types import Bool, Header, Image, RealWorldMap


def image_of(file: DicomFile, header: Header, frame: int, *, colour: bool = False) -> Image:
    """One frame as an image, in grey unless it is asked for and stored in colour.

    Args:
        file: an image that :func:`medray.data.dicom.checks.classify` let pass.
        header: of the file and the frame.
        frame: counted from 0.
        colour: whether RGB and palette ones keep their colours.

    Returns:
        The image. Pixels are float32 (rows, columns): grey ones in modality units (PS3.3 C.11.1), MONOCHROME1 mirrored with its
        VOI LUT and window so that larger is brighter, which leaves it without units; RGB and palette ones as luminance (BT.601)
        in the units of the colours, or (3, rows, columns), red, green and blue, in the same units. Pixel padding (PS3.3
        C.7.5.1.1.2) is marked invalid.
        The flag PIXELS_CONSTANT and those of :func:`medray.data.dicom.pixels.decode_stored` are added.

    Raises:
        Excluded, Quarantined: as :func:`medray.data.dicom.pixels.stored_values` and :mod:`medray.data.dicom.luts` do.
    """
    stored, flags = decode_stored(file, header, frame)
    valid = None
    if stored.ndim == 3:
        pixels = channels_of(stored) if colour else luminance(stored)
    elif header.photometric == "PALETTE COLOR":
        pixels = (palette_channels if colour else palette_luminance)(stored, file.dataset, signed=header.signed)
    else:
        valid = _not_padding(stored, file.dataset, signed=header.signed)
        pixels = modality_values(stored, file, header, frame)
    if _is_constant(stored, valid):
        flags = (*flags, "PIXELS_CONSTANT")
    if flags:
        header = replace(header, flags=tuple(sorted({*header.flags, *flags})))
    lut, maps = voi_lut(file, header, frame), _real_world(file, header, frame)
    channels = 3 if pixels.ndim == 3 else 1
    return Image(pixels, valid, header, lut, frame=frame, real_world=maps, suv=suv_of(file, header), channels=channels)


def _real_world(file: DicomFile, header: Header, frame: int) -> tuple[RealWorldMap, ...]:
    """The real-world value mappings of the pixels of a grey image; none behind a modality LUT, which has no inverse."""
    found = file.dataset
    if not header.real_world_units or not header.photometric.startswith("MONOCHROME"):
        return ()
    if first_lut(found, tags.MODALITY_LUT_SEQUENCE) is not None:
        return ()
    slope, intercept = rescale(found, frame) or (1.0, 0.0)
    if header.photometric == "MONOCHROME1":
        slope, intercept = -slope, mirror_sum(found, frame) - intercept
    return pixel_maps(stored_maps(found, frame)[0], slope, intercept, bits=header.bits_stored, signed=header.signed)


def _not_padding(stored: NDArray[Any], dataset: DataSet, *, signed: bool) -> Bool | None:
    """bool (rows, columns), False on padding; None where there is none."""
    value = _stored_value(dataset, tags.PIXEL_PADDING_VALUE, signed=signed)
    if value is None:
        return None
    limit = _stored_value(dataset, tags.PIXEL_PADDING_RANGE_LIMIT, signed=signed)
    if limit is None or limit == value:
        valid = stored != value
    else:
        low, high = sorted((value, limit))
        valid = (stored < low) | (stored > high)
    return None if valid.all() else np.asarray(valid)


def _stored_value(dataset: DataSet, tag: int, *, signed: bool) -> int | None:
    """A value of the type of the stored values: US or SS, as Pixel Representation says (PS3.5 6.2)."""
    value = dataset.whole(tag)
    return value - (1 << 16) if value is not None and signed and value >= 1 << 15 else value


def _is_constant(values: NDArray[Any], valid: Bool | None) -> bool:
    """Whether all valid pixels are equal, (rows, columns) or (rows, columns, samples); so where none is valid."""
    if valid is not None:
        values = values[valid]
        return bool(len(values) == 0 or (values == values[0]).all())
    first = values[0, 0]
    return bool((values[0] == first).all() and (values == first).all())
