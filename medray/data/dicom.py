"""DICOM bytes → header or image. Every failure leaves as a typed error: :class:`Excluded` or :class:`Quarantined`."""

from __future__ import annotations

import io
import logging
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.filereader import read_dataset, read_partial
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.uid import DeflatedExplicitVRLittleEndian

from medray.data import codecs
from medray.data.header import check_pixel_length, classify, header_of, is_padding
from medray.errors import InputError, Quarantined
from medray.types import Float32, Header, Image

PIXEL_TAGS = {0x7FE00008, 0x7FE00009, 0x7FE00010}  # float, double, integer
MAX_INFLATED_BYTES = 1 << 30
UNREADABLE = "DICOM_UNREADABLE"
_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601-7, section 2.5.1


@contextmanager
def _boundary() -> Iterator[None]:
    """pydicom raises StopIteration, RecursionError, MemoryError, … on hostile files: here all of them become typed errors."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except Exception as error:
        detail = f"{type(error).__name__}: {str(error).strip().splitlines()[-1][:160] if str(error).strip() else ''}"
        raise Quarantined(UNREADABLE, f"cannot be decoded ({detail})", "look at the file with a DICOM viewer") from error
    finally:
        logger.setLevel(level)


def inspect(head: bytes, size_bytes: int) -> Header | None:
    """The header of an image from the first bytes of its file, without its pixels.

    Args:
        head: the first bytes of the file.
        size_bytes: size of the whole file.

    Returns:
        The header, or None when ``head`` ends before the pixel data starts and more of the file is needed.

    Raises:
        Excluded: a valid object that is no 2-D image.
        Quarantined: not DICOM, broken, or contradictory.
    """
    whole = len(head) >= size_bytes
    try:
        with _boundary():
            _check_magic(head)
            if not whole and _is_deflated(head):
                return None
            dataset, pixels = _parse(head)
    except Quarantined as error:
        if whole or error.code != UNREADABLE:
            raise
        return None  # the head may end inside an element
    if pixels is None and not whole:
        return None
    with _boundary():
        classify(dataset, has_pixels=pixels is not None)
        if pixels is not None:
            check_pixel_length(dataset, pixels.length_bytes, size_bytes - pixels.start)
        return header_of(dataset)


def decode(source: bytes | str | Path) -> Image:
    """Decode one 2-D DICOM image.

    Modality LUT applied (PS3.3 C.11.1), colour as luminance (BT.601), MONOCHROME1 mirrored so that larger is brighter
    (with its VOI window), pixel padding (PS3.3 C.7.5.1.1.2) marked invalid.

    Args:
        source: the bytes of a DICOM file, or the path of a local one.

    Returns:
        The image; pixels are float32 (rows, columns) in the units of the modality LUT.

    Raises:
        Excluded: a valid object that is no 2-D image (SR, SEG, multi-frame, …).
        Quarantined: not DICOM, truncated, contradictory, or not decodable.
    """
    data = source if isinstance(source, bytes) else Path(source).read_bytes()
    inspect(data, len(data))
    with _boundary():
        codecs.register()
        dataset = pydicom.dcmread(io.BytesIO(data))
        if "PixelData" not in dataset:  # pydicom drops an encapsulated element that has no end
            raise Quarantined("PIXELS_TRUNCATED", "the pixel data is cut off", "fetch it again from its source")
        return _image(dataset)


def _check_magic(head: bytes) -> None:
    if not head:
        raise Quarantined("DICOM_EMPTY", "the file is empty", "remove it or fetch it again")
    if head[128:132] != b"DICM":
        raise Quarantined("DICOM_NOT_DICOM", "no DICM prefix: this is not a DICOM file", "remove it from the archive")


@dataclass(frozen=True)
class PixelElement:
    """Where the pixel data element has its value, and how long it says that it is (0xFFFFFFFF: encapsulated)."""

    start: int
    length_bytes: int


def _meta(head: bytes) -> tuple[pydicom.Dataset, int]:
    """The file meta information (PS3.10 7.1) as pydicom reads it, and where the data set starts."""
    stream = io.BytesIO(head)
    stream.seek(132)
    return read_dataset(stream, False, True, stop_when=lambda tag, _vr, _length: int(tag) >> 16 != 2), stream.tell()


def _is_deflated(head: bytes) -> bool:
    return bool(_meta(head)[0].get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian)


def _parse(head: bytes) -> tuple[pydicom.Dataset, PixelElement | None]:
    """The data set before the pixel data (of a deflated file: with it) and, where there is pixel data, its element."""
    if _is_deflated(head):
        _check_inflated_size(head)
        dataset: pydicom.Dataset = pydicom.dcmread(io.BytesIO(head))
        return dataset, PixelElement(0, len(dataset.PixelData)) if "PixelData" in dataset else None
    length_bytes: int | None = None

    def at_pixels(tag: int, _vr: str | None, length: int) -> bool:
        nonlocal length_bytes
        if int(tag) not in PIXEL_TAGS:
            return False
        length_bytes = length
        return True

    stream = io.BytesIO(head)
    dataset = read_partial(stream, stop_when=at_pixels)
    if length_bytes is None:
        return dataset, None
    header_bytes = 8 if dataset.original_encoding[0] else 12  # implicit or explicit VR (PS3.5 7.1.2, 7.1.3)
    return dataset, PixelElement(stream.tell() + header_bytes, length_bytes)


def _check_inflated_size(data: bytes) -> None:
    """Refuse a deflate bomb before memory grows (PS3.5 A.5: a raw RFC 1951 stream follows the file meta information)."""
    inflater, total, chunk = zlib.decompressobj(-zlib.MAX_WBITS), 0, data[_meta(data)[1] :]
    while chunk and not inflater.eof:
        total += len(inflater.decompress(chunk, 1 << 20))
        chunk = inflater.unconsumed_tail
        if total > MAX_INFLATED_BYTES:
            raise Quarantined("DICOM_INFLATES", f"inflates to more than {MAX_INFLATED_BYTES} bytes", "remove it")


def _image(dataset: pydicom.Dataset) -> Image:
    header = header_of(dataset)
    stored = _stored_values(dataset)
    padding = is_padding(dataset, stored) if stored.ndim == 2 else None
    pixels = _luminance(dataset, stored) if stored.ndim == 3 or _is_palette(dataset) else _modality_values(dataset, stored)
    if not np.isfinite(pixels).all():
        raise Quarantined("PIXELS_NOT_FINITE", "the modality LUT gives values that are not finite", "check the rescale slope")
    valid = None if padding is None or not padding.any() else ~padding
    return Image(pixels=pixels, valid=valid, header=header)


def _stored_values(dataset: pydicom.Dataset) -> NDArray[np.integer]:
    """Stored pixel values: integer (rows, columns), or RGB (rows, columns, 3)."""
    syntax = dataset.file_meta.TransferSyntaxUID
    plugin = codecs.PLUGIN if codecs.is_available(syntax) else ""
    array, _ = get_decoder(syntax).as_array(dataset, decoding_plugin=plugin)
    shape = (dataset.Rows, dataset.Columns) + ((dataset.SamplesPerPixel,) if dataset.SamplesPerPixel > 1 else ())
    if array.shape != shape:
        raise Quarantined("PIXELS_SIZE", f"decodes to {array.shape}, the header says {shape}", "fetch it again from its source")
    return array


def _is_palette(dataset: pydicom.Dataset) -> bool:
    return bool(dataset.PhotometricInterpretation == "PALETTE COLOR")


def _luminance(dataset: pydicom.Dataset, stored: NDArray[np.integer]) -> Float32:
    """Luma Y' of RGB values, in the units of the stored values."""
    rgb = apply_color_lut(stored, dataset)[..., :3] if _is_palette(dataset) else stored
    return np.asarray(rgb.astype(np.float32) @ _LUMINANCE, dtype=np.float32)


def _modality_values(dataset: pydicom.Dataset, stored: NDArray[np.integer]) -> Float32:
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        stored = _mirror(dataset)(stored)
    return np.asarray(apply_modality_lut(stored, dataset), dtype=np.float32)


def _mirror(dataset: pydicom.Dataset) -> Callable[[NDArray[np.integer]], NDArray[np.integer]]:
    """v → last - v over the range of BitsStored, so that the smallest value, shown white, becomes the largest."""
    last = -1 if dataset.PixelRepresentation else (1 << dataset.BitsStored) - 1
    return lambda stored: (last - stored.astype(np.int64)).astype(stored.dtype)
