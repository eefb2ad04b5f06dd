"""Seeded mutations of good files. A mutation is its seed: the same seed gives the same bytes in any process."""

from __future__ import annotations

import functools
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from hostile.layout import ITEM, PIXEL_DATA, UNDEFINED, Part, layout
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.uid import UID, AllTransferSyntaxes, HTJ2KLossless

from medray.data.dicom.syntaxes import COMPRESSED as COMPRESSED_SYNTAXES
from medray.data.dicom.syntaxes import DEFLATED_FRAME, ENCAPSULATED_UNCOMPRESSED, JPEG_XL_ANY

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
GOOD = (
    "MR_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "image_dfl.dcm",
    "MR_small_RLE.dcm",
    "SC_rgb_rle_16bit.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_dcmtk_+eb+cr.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "JPGExtended.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "JPEGLSNearLossless_16.dcm",
    "SC_rgb_jls_lossy_sample.dcm",
    "MR_small_jp2klossless.dcm",
    "JPEG2000.dcm",
    "693_J2KI.dcm",
    "SC_rgb_gdcm_KY.dcm",
    "htj2k",
    "htj2k-colour",
    "htj2k-fragments",
    "jxl",
    "jxl-colour",
    "jxl-fragments",
    "deflate",
    "deflate-colour",
    "uncompressed",
    "SC_rgb_small_odd.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "CT_small.dcm",
    "dicomdirtests/77654033/CR1/6154",
)
"""Small files of every transfer syntax; those of HTJ2K, JPEG XL and of deflated and uncompressed frames are made here."""
COMPRESSED = GOOD[GOOD.index("MR_small_RLE.dcm") : GOOD.index("SC_rgb_small_odd.dcm")]
VRS = "AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV ZZ"
LENGTHS = (0, 1, 2, 3, 7, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)


@dataclass(frozen=True)
class Mutation:
    """``data`` is the file ``name`` after edits of these ``kinds``."""

    seed: int
    name: str
    kinds: tuple[str, ...]
    data: bytes


def mutation(seed: int, *, of_pixels: bool = False) -> Mutation:
    """The mutation of a seed: one to three edits of one good file; with ``of_pixels`` in the pixel data of a compressed one."""
    rng = random.Random(seed)
    names = COMPRESSED if of_pixels else GOOD
    name = names[seed % len(names)]
    data, kinds = good(name), []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        kind = rng.choice(PIXEL_KINDS if of_pixels else tuple(KINDS))
        data = KINDS[kind](rng, data, _parts(name))
        kinds.append(kind)
    return Mutation(seed, name, tuple(kinds), data)


@functools.cache
def good(name: str) -> bytes:
    """A good file: of pydicom, or one made here; every one has the UIDs that an image needs."""
    if (codec := name.partition("-")[0]) in ENCODERS:
        return _made(codec, colour=name.endswith("colour"), fragments=5 if name.endswith("fragments") else 1)
    data = (FILES / name).read_bytes()
    return _with_uids(data) if name in ("JPEGLSNearLossless_16.dcm", "SC_rgb_jls_lossy_sample.dcm") else data


def _deflated(pixels: NDArray[Any]) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(pixels.tobytes()) + packer.flush()


def _jxl(pixels: NDArray[Any]) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(pixels, lossless=pixels.ndim == 2, usecontainer=pixels.ndim == 3))


ENCODERS: dict[str, tuple[str, Callable[[NDArray[Any]], bytes]]] = {
    "htj2k": (HTJ2KLossless, lambda pixels: bytes(imagecodecs.htj2k_encode(pixels))),
    "jxl": (JPEG_XL_ANY, _jxl),
    "deflate": (DEFLATED_FRAME, _deflated),
    "uncompressed": (ENCAPSULATED_UNCOMPRESSED, lambda pixels: pixels.tobytes()),
}


def _made(codec: str, *, colour: bool, fragments: int) -> bytes:
    shape = (48, 40, 3) if colour else (48, 40)
    pixels = np.random.default_rng(1).integers(0, 200, shape).astype(np.uint8 if colour else np.uint16)
    made = pydicom.dcmread(FILES / ("SC_rgb_jpeg_dcmtk.dcm" if colour else "MR_small.dcm"))
    made.Rows, made.Columns = shape[:2]
    if colour:
        made.PhotometricInterpretation, made.PlanarConfiguration = "RGB", 0
    else:
        made.PixelRepresentation = 0
    made.file_meta.TransferSyntaxUID, encode = ENCODERS[codec]
    made.PixelData = encapsulate([encode(pixels)], fragments_per_frame=fragments, has_bot=False)
    made["PixelData"].is_undefined_length = True
    buffer = pydicom.filebase.DicomBytesIO()
    pydicom.dcmwrite(buffer, made, implicit_vr=False, little_endian=True, force_encoding=True)
    return bytes(buffer.getvalue())


def _with_uids(data: bytes) -> bytes:
    made = pydicom.dcmread(pydicom.filebase.DicomBytesIO(data))
    made.StudyInstanceUID, made.SeriesInstanceUID = UID("1.2.3"), UID("1.2.3.4")
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return _written(made)


def _written(made: pydicom.Dataset) -> bytes:
    buffer = pydicom.filebase.DicomBytesIO()
    pydicom.dcmwrite(buffer, made)
    return bytes(buffer.getvalue())


@functools.cache
def _parts(name: str) -> tuple[Part, ...]:
    return tuple(layout(good(name)))


# --- the kinds of edits: (random, data, parts of the good file) → data ---------------------------------------------------------

Edit = Callable[[random.Random, bytes, tuple[Part, ...]], bytes]


def _put(data: bytes, at: int, new: bytes, end: int | None = None) -> bytes:
    return data[:at] + new + data[at + len(new) if end is None else end :]


def _flips(rng: random.Random, data: bytes, start: int, end: int) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 4, 16, 64))):
        if start < min(end, len(changed)):
            changed[rng.randrange(start, min(end, len(changed)))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def flip_anywhere(rng: random.Random, data: bytes, parts: tuple[Part, ...]) -> bytes:
    return _flips(rng, data, 132, len(data))


def flip_header(rng: random.Random, data: bytes, parts: tuple[Part, ...]) -> bytes:
    return _flips(rng, data, 132, _pixels_start(parts, data))


def flip_pixels(rng: random.Random, data: bytes, parts: tuple[Part, ...]) -> bytes:
    start = _pixels_start(parts, data)
    return _flips(rng, data, start, len(data) if rng.random() < 0.5 else start + 200)  # the first bytes steer a code stream


def byte_run(rng: random.Random, data: bytes, parts: tuple[Part, ...]) -> bytes:
    at, length = rng.randrange(132, max(133, len(data))), rng.choice((1, 2, 4, 8, 64, 512))
    new = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))
    return _put(data, at, new)[: len(data)]


def pixel_bytes(rng: random.Random, data: bytes, parts: tuple[Part, ...]) -> bytes:
    start = _pixels_start(parts, data)
    at = min(len(data), start + rng.randrange(rng.choice((60, 200, max(1, len(data) - start), 2000))))
    return _put(data, at, rng.choice((b"\xff", b"\x00", b"\xff\xff", rng.randbytes(1), rng.randbytes(2))))[: len(data)]


def truncate(rng: random.Random, data: bytes, parts: tuple[Part, ...]) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def length_edit(rng: random.Random, data: bytes, parts: tuple[Part, ...]) -> bytes:
    part = rng.choice(parts)
    new = rng.choice((*LENGTHS, part.length + 1, part.length + 2, part.length * 2, max(0, part.length - 2), rng.getrandbits(32)))
    return _put(data, part.length_at, struct.pack("<I", new & UNDEFINED)[: part.length_bytes])


def tag_swap(rng: random.Random, data: bytes, parts: tuple[Part, ...]) -> bytes:
    one, other = rng.choice(parts), rng.choice(parts)
    first, second = data[one.start : one.start + 4], data[other.start : other.start + 4]
    return _put(_put(data, one.start, second), other.start, first)


def vr_swap(rng: random.Random, data: bytes, parts: tuple[Part, ...]) -> bytes:
    explicit = [part for part in parts if part.vr]
    return _put(data, rng.choice(explicit).start + 4, rng.choice(VRS.split()).encode())


def value_edit(rng: random.Random, data: bytes, parts: tuple[Part, ...]) -> bytes:
    """Another value of the same length in a header element: the geometry and depth above all."""
    short = [part for part in parts if part.tag != ITEM and 0 < part.length <= 64]
    described = [part for part in short if part.tag >> 16 == 0x0028]
    part = rng.choice(described or short)
    new = rng.choice((rng.randbytes(part.length), bytes(part.length), b"\xff" * part.length, b"-1\\9e999 "[: part.length]))
    return _put(data, part.value, new)


def insert_chunk(rng: random.Random, data: bytes, parts: tuple[Part, ...]) -> bytes:
    at = rng.choice((rng.choice(parts).start, rng.randrange(132, max(133, len(data)))))
    start = rng.randrange(len(data) or 1)
    return data[:at] + rng.choice((rng.randbytes(8), data[start : start + rng.choice((8, 64, 1024))])) + data[at:]


def delete_chunk(rng: random.Random, data: bytes, parts: tuple[Part, ...]) -> bytes:
    part = rng.choice(parts)
    if rng.random() < 0.5:
        return data[: part.start] + data[max(part.end, part.start + 8) :]
    at = rng.randrange(132, max(133, len(data)))
    return data[:at] + data[at + rng.choice((1, 2, 8, 64, 1024)) :]


def repeat_element(rng: random.Random, data: bytes, parts: tuple[Part, ...]) -> bytes:
    part = rng.choice(parts)
    return data[: part.end] + data[part.start : part.end] * rng.choice((1, 2, 50)) + data[part.end :]


def other_syntax(rng: random.Random, data: bytes, parts: tuple[Part, ...]) -> bytes:
    part = next(part for part in parts if part.tag == 0x00020010)
    new = str(rng.choice([*AllTransferSyntaxes, *sorted(COMPRESSED_SYNTAXES)])).encode()
    new += b"\0" * (len(new) % 2)
    return data[: part.length_at] + struct.pack("<H", len(new)) + new + data[part.end :]


def reorder_fragments(rng: random.Random, data: bytes, parts: tuple[Part, ...]) -> bytes:
    """Fragments, or where there are none elements, in another order."""
    fragments = [part for part in parts if part.tag == ITEM and part.depth == 1 and part.start > _pixels_start(parts, data) - 1]
    chosen = fragments if len(fragments) > 1 else [part for part in parts if part.depth == 0 and part.tag != PIXEL_DATA][-6:]
    pieces = [data[part.start : part.end] for part in chosen]
    rng.shuffle(pieces)
    return data[: chosen[0].start] + b"".join(pieces) + data[chosen[-1].end :]


KINDS: dict[str, Edit] = {
    "flip anywhere": flip_anywhere,
    "flip header": flip_header,
    "flip pixels": flip_pixels,
    "byte run": byte_run,
    "pixel bytes": pixel_bytes,
    "truncate": truncate,
    "length": length_edit,
    "tag swap": tag_swap,
    "VR swap": vr_swap,
    "value": value_edit,
    "insert": insert_chunk,
    "delete": delete_chunk,
    "repeat": repeat_element,
    "transfer syntax": other_syntax,
    "reorder": reorder_fragments,
}


PIXEL_KINDS = ("flip pixels", "pixel bytes")


def _pixels_start(parts: tuple[Part, ...], data: bytes) -> int:
    return next((part.value for part in parts if part.tag == PIXEL_DATA and part.depth == 0), len(data) // 8)
