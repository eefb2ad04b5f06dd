"""Makers of the bad, hostile and odd files: functions that return bytes.

Elements are cut and pasted, so that a file is as odd as it is meant to be and no more.
"""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from itertools import islice
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from hostile.layout import ITEM, LONG_VRS, PIXEL_DATA, UNDEFINED, Part, layout
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.encaps import generate_frames

PYDICOM = Path(pydicom.__file__).parent / "data"
META_START = 132
_NUMBERS = {"US": "<H", "SS": "<h", "UL": "<I", "FL": "<f", "FD": "<d"}
Value = bytes | int | float | str | None


# --- files that exist ----------------------------------------------------------------------------------------------------------


@cache
def p(name: str) -> bytes:
    """A test file of the pydicom wheel."""
    return (PYDICOM / ("charset_files" if name.startswith("chr") else "test_files") / name).read_bytes()


@cache
def d(name: str) -> bytes:
    """A test file of the pydicom-data package."""
    found = get_testdata_file(name, download=False)
    assert isinstance(found, str), f"{name} needs the package pydicom-data"
    return Path(found).read_bytes()


def mr() -> bytes:
    """The small MR image, explicit little endian, 64 × 64, 16 bits, signed; without the TIFF header in its preamble."""
    return bytes(128) + p("MR_small.dcm")[128:]


# --- cut and paste -------------------------------------------------------------------------------------------------------------


def element(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    """An element in explicit VR little endian; ``length`` where it lies."""
    stated = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    return head + (b"\0\0" + struct.pack("<I", stated) if vr.encode() in LONG_VRS else struct.pack("<H", stated)) + value


def item(content: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content) if length is None else length) + content


SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
ITEM_END = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)


def top(data: bytes) -> list[Part]:
    """The elements outside of sequences."""
    return [part for part in layout(data) if part.depth == 0]


def whole(data: bytes, tag: int) -> tuple[int, int]:
    """(start, end) of an element with all that is in it; the place where it would stand when it is missing."""
    parts = [part for part in top(data) if part.tag >> 16 != 0xFFFE]
    for number, part in enumerate(parts):
        after = parts[number + 1].start if number + 1 < len(parts) else len(data)
        if part.tag == tag:
            return part.start, after
        if part.tag > tag:
            return part.start, part.start
    return len(data), len(data)


def put(data: bytes, tag: int, new: bytes) -> bytes:
    """The file with an element replaced or added; the group length of the file meta information follows."""
    start, end = whole(data, tag)
    changed = data[:start] + new + data[end:]
    group = next((part for part in top(data) if part.tag == 0x00020000), None)
    if tag >> 16 != 2 or tag == 0x00020000 or group is None:
        return changed
    stated = struct.unpack_from("<I", data, group.value)[0] + len(changed) - len(data)
    return changed[: group.value] + struct.pack("<I", stated) + changed[group.end :]


def change(data: bytes, **values: Value) -> bytes:
    """An explicit little endian file with other values, raw: bytes as they are, None removes the element."""
    for keyword, value in values.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None, keyword
        vr = dictionary_VR(tag).split(" or ")[0]
        data = put(data, tag, b"" if value is None else element(tag, vr, _encoded(vr, value)))
    return data


def _encoded(vr: str, value: bytes | int | float | str) -> bytes:
    if isinstance(value, bytes):
        return value
    if vr in _NUMBERS:
        return struct.pack(_NUMBERS[vr], value)
    text = str(value).encode()
    return text + (b"\0" if vr == "UI" else b" ") * (len(text) % 2)


def syntax(data: bytes, uid: str) -> bytes:
    """The file with another transfer syntax UID."""
    return change(data, TransferSyntaxUID=uid)


def meta(data: bytes) -> bytes:
    """Everything before the data set."""
    return data[: [part.end for part in top(data) if part.tag >> 16 == 2][-1]]


def pixels_start(data: bytes) -> int:
    """Where the value of the pixel data starts."""
    return next(part.value for part in top(data) if part.tag == PIXEL_DATA)


def grey(pixels: NDArray[np.integer], bits: int, **values: Value) -> bytes:
    """The MR image with these pixels."""
    signed = int(np.issubdtype(pixels.dtype, np.signedinteger))
    described = change(
        mr(),
        Rows=pixels.shape[0],
        Columns=pixels.shape[1],
        BitsAllocated=8 * pixels.itemsize,
        BitsStored=bits,
        HighBit=bits - 1,
        PixelRepresentation=signed,
        SmallestImagePixelValue=None,
        LargestImagePixelValue=None,
        PixelPaddingValue=None,
        WindowCenter=None,
        WindowWidth=None,
        DataSetTrailingPadding=None,
    )
    raw = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    raw += b"\0" * (len(raw) % 2)
    return change(put(described, PIXEL_DATA, element(PIXEL_DATA, "OW" if pixels.itemsize > 1 else "OB", raw)), **values)


def ramp(rows: int = 16, columns: int = 16, kind: str = "u2", bits: int = 12) -> NDArray[np.integer]:
    return (np.arange(rows * columns).reshape(rows, columns) * 7 % (1 << bits)).astype(kind)


# --- encapsulated pixel data ---------------------------------------------------------------------------------------------------


def frame_of(data: bytes) -> bytes:
    """The code stream of a file of one compressed frame."""
    found = pydicom.dcmread(io.BytesIO(data))
    return bytes(next(generate_frames(found.PixelData, number_of_frames=1)))


def fragments(data: bytes, *pieces: bytes, table: bytes = b"", end: bytes = SEQUENCE_END) -> bytes:
    """A compressed file with this offset table and these fragments."""
    padded = [piece + b"\0" * (len(piece) % 2) for piece in pieces]
    value = item(table) + b"".join(map(item, padded)) + end
    without_padding = put(data, 0xFFFCFFFC, b"")
    return put(without_padding, PIXEL_DATA, element(PIXEL_DATA, "OB", value, UNDEFINED))


def not_delimited(data: bytes) -> bytes:
    """A compressed file of one frame without the sequence delimiter at its end."""
    return fragments(data, frame_of(data), end=b"")


def appended(data: bytes, *elements: bytes) -> bytes:
    """The file without trailing padding and with elements at its end."""
    return put(data, 0xFFFCFFFC, b"") + b"".join(elements)


def split(stream: bytes, count: int) -> list[bytes]:
    step = max(2, -(-len(stream) // count) // 2 * 2)
    return [stream[at : at + step] for at in range(0, len(stream), step)]


def j2k() -> bytes:
    return p("MR_small_jp2klossless.dcm")


def rle(table: bytes | None = None, segments: bytes | None = None) -> bytes:
    """The RLE file of the MR image with another header or other segments (PS3.5 G.5)."""
    stream = frame_of(p("MR_small_RLE.dcm"))
    return fragments(p("MR_small_RLE.dcm"), (table or stream[:64]) + (segments or stream[64:]))


def rle_table(count: int, *offsets: int) -> bytes:
    return struct.pack("<16I", count, *offsets, *[0] * (15 - len(offsets)))


def rle_short_segment() -> bytes:
    """The third segment of six ends in no-operations (PS3.5 G.3.2) and so is 1000 bytes short; the others are whole."""
    stream = bytearray(frame_of(p("SC_rgb_rle_16bit.dcm")))
    _, _, _, third, fourth, *_ = struct.unpack_from("<16I", stream)
    stream[fourth - 20 : fourth] = b"\x80" * 20
    assert third < fourth - 20
    return fragments(p("SC_rgb_rle_16bit.dcm"), bytes(stream))


def htj2k(pixels: NDArray[np.integer]) -> bytes:
    made = syntax(grey(pixels, 8 * pixels.itemsize), "1.2.840.10008.1.2.4.201")
    return fragments(made, bytes(imagecodecs.htj2k_encode(pixels)))


def short_qcd() -> bytes:
    """HTJ2K whose quantization segment is shorter than its levels ask for (ITU-T T.800 A.6.4): OpenJPH crashes on it."""
    whole_file = htj2k(ramp(48, 40, "u1", 8))
    at = whole_file.index(b"\xff\x5c\x00\x13")
    return whole_file[: at + 3] + b"\x03" + whole_file[at + 4 :]


def siz(rows: int, columns: int) -> bytes:
    """The JPEG 2000 file of the MR image with another size of image and tile in its SIZ marker segment (ITU-T T.800 A.5.1)."""
    stream = bytearray(frame_of(j2k()))
    at = stream.index(b"\xff\x51")
    struct.pack_into(">II", stream, at + 6, columns, rows)
    struct.pack_into(">II", stream, at + 22, columns, rows)
    return fragments(j2k(), bytes(stream))


def sof(name: str, marker: int, size: int) -> bytes:
    """A file of JPEG or JPEG-LS whose frame header (ITU-T T.81 B.2.2) and DICOM header say ``size`` rows and columns."""
    data = d(name)
    stream = bytearray(frame_of(data))
    at = stream.index(bytes((0xFF, marker)))
    struct.pack_into(">HH", stream, at + 5, size, size)
    return change(fragments(data, bytes(stream)), Rows=size, Columns=size)


def jxl(size: int) -> bytes:
    """A JPEG XL file whose code stream (ISO/IEC 18181-1 D.2) and DICOM header say ``size`` rows and columns."""
    stream = bytes(imagecodecs.jpegxl_encode(np.zeros((64, 64), np.uint16), lossless=True, bitspersample=12))
    rest = int.from_bytes(stream[2:], "little") >> 9  # one bit, five of eight rows, three of a square
    longer = (2 << 1 | (size - 1) << 3 | 1 << 21) | rest << 24
    bare = stream[:2] + longer.to_bytes(len(stream) + 2, "little")
    return alone("1.2.840.10008.1.2.4.110", bare, size)


def alone(uid: str, stream: bytes, size: int) -> bytes:
    """The MR image with another frame, of ``size`` rows and columns, in a transfer syntax of its own."""
    grey16 = change(syntax(j2k(), uid), Rows=size, Columns=size, PixelRepresentation=0, BitsStored=12, HighBit=11)
    return fragments(grey16, stream)


def deflated_frame(length: int, size: int) -> bytes:
    """A frame that inflates to ``length`` zeros."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return alone("1.2.840.10008.1.2.8.1", packer.compress(bytes(length)) + packer.flush(), size)


def multi_frame(*frames: bytes, number: int | str | None = None, table: bytes = b"") -> bytes:
    """A JPEG 2000 file of some frames; ``number`` is what it says."""
    return change(fragments(j2k(), *frames, table=table), NumberOfFrames=str(len(frames) if number is None else number))


# --- the cases -----------------------------------------------------------------------------------------------------------------


def png() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + bytes(imagecodecs.png_encode(ramp(64, 64, "u1", 8)))[8:]


def random_bytes() -> bytes:
    return np.random.default_rng(2).bytes(4096)


def group_length(value: int) -> bytes:
    return put(mr(), 0x00020000, element(0x00020000, "UL", struct.pack("<I", value)))


def preamble(start: bytes) -> bytes:
    """A file that is another format's, too."""
    return start.ljust(128, b"\0") + mr()[128:]


def zip_polyglot() -> bytes:
    """A DICOM file whose tail is a zip archive; a zip reader finds it from the end."""
    import zipfile

    buffer = io.BytesIO(mr())
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("run.sh", "echo")
    return b"PK\x03\x04".ljust(128, b"\0") + buffer.getvalue()[128:]


def cut_header() -> bytes:
    """The MR image cut inside an element of its header."""
    rows = next(part for part in top(mr()) if part.tag == 0x00280010)
    return mr()[: rows.value + 1]


def with_pixel_bytes(data: bytes, raw: bytes) -> bytes:
    return put(data, PIXEL_DATA, element(PIXEL_DATA, "OW", raw))


def mr_pixels() -> bytes:
    return mr()[pixels_start(mr()) :][: 64 * 64 * 2]


def twice() -> bytes:
    return with_pixel_bytes(mr(), mr_pixels() * 2)


def dicomdir(*file_id: str) -> bytes:
    """A DICOMDIR with one record, an image in the file of these components (PS3.3 F.3)."""
    name = "\\".join(file_id).encode()
    record = element(0x00041400, "UL", bytes(4)) + element(0x00041410, "US", b"\xff\xff") + element(0x00041420, "UL", bytes(4))
    record += element(0x00041430, "CS", b"IMAGE ") + element(0x00041500, "CS", name + b" " * (len(name) % 2))
    record += element(0x00041510, "UI", b"1.2.840.10008.5.1.4.1.1.4\0") + element(0x00041511, "UI", b"1.2.3.4\0")
    directory = element(0x00041130, "CS", b"A ") + element(0x00041200, "UL", struct.pack("<I", 0))
    directory += element(0x00041202, "UL", struct.pack("<I", 0)) + element(0x00041212, "US", bytes(2))
    return meta(p("dicomdirtests/DICOMDIR")) + directory + element(0x00041220, "SQ", item(record))


def circular_dicomdir() -> bytes:
    """A DICOMDIR whose first record comes after itself and is its own child."""
    data = dicomdir("IMAGE")
    at = next(part.start for part in layout(data) if part.tag == ITEM)
    for tag in (0x00041200, 0x00041202, 0x00041400, 0x00041420):
        part = next(part for part in layout(data) if part.tag == tag)
        data = data[: part.value] + struct.pack("<I", at) + data[part.end :]
    return data


def deflated(data_set: bytes) -> bytes:
    """A deflated file of this data set (PS3.5 A.5)."""
    packer = zlib.compressobj(9, wbits=-15)
    stream = packer.compress(data_set) + packer.flush()
    return meta(p("image_dfl.dcm")) + stream + b"\0" * (len(stream) % 2)


def deflate_bomb(private: bytes = b"") -> bytes:
    """4 MiB that inflate to 4 GiB; private file meta information can hide from a naive look what it is."""
    start = meta(p("image_dfl.dcm"))
    if private:
        start = put(start, 0x00020102, element(0x00020102, "OB", private))
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(bytes(16 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    first = zlib.compressobj(9, wbits=-15)
    lead = first.compress(element(0x00080060, "CS", b"US") + element(PIXEL_DATA, "OB", b"", 0xFFFFFFF0))
    return start + lead + first.flush(zlib.Z_FULL_FLUSH) + block * 256


def corrupt_deflate() -> bytes:
    """A deflated file whose first block is of the reserved type (RFC 1951, 3.2.3)."""
    start = len(meta(p("image_dfl.dcm")))
    return p("image_dfl.dcm")[:start] + b"\x07" + p("image_dfl.dcm")[start + 1 :]


def cut_deflate() -> bytes:
    return p("image_dfl.dcm")[:3000]


def nested(depth: int) -> bytes:
    """Referenced Image Sequences in each other, of undefined lengths."""
    opening = (element(0x00081140, "SQ", b"", UNDEFINED) + item(b"", UNDEFINED)) * depth
    return put(mr(), 0x00081140, opening + (ITEM_END + SEQUENCE_END) * depth)


def nested_known(depth: int) -> bytes:
    """The same of known lengths."""
    content = b""
    for _ in range(depth):
        content = element(0x00081140, "SQ", item(content))
    return put(mr(), 0x00081140, content)


def past_the_end() -> bytes:
    return put(mr(), 0x00204000, element(0x00204000, "UT", b"abc ", 0x7FFFFFFF))


def many_elements() -> bytes:
    """400,000 private elements in ascending order between the header and the pixels."""
    tags = (group << 16 | number for group in range(0x0029, 0x0041, 2) for number in range(0x1000, 0xFFFF))
    private = b"".join(element(tag, "UN", b"") for tag in islice(tags, 400_000))
    return put(mr(), 0x00291000, private)


def circular_reference() -> bytes:
    """An image that says it was made from itself."""
    uid = pydicom.dcmread(io.BytesIO(mr())).SOPInstanceUID.encode()
    reference = element(0x00081150, "UI", b"1.2.840.10008.5.1.4.1.1.4\0") + element(
        0x00081155, "UI", uid + b"\0" * (len(uid) % 2)
    )
    return put(mr(), 0x00082112, element(0x00082112, "SQ", item(reference)))


def duplicate_rows() -> bytes:
    """Rows twice: 64, then 32. A reader takes the one or the other."""
    _, end = whole(mr(), 0x00280010)
    return mr()[:end] + element(0x00280010, "US", struct.pack("<H", 32)) + mr()[end:]


def unordered() -> bytes:
    """Columns before Rows."""
    start, middle = whole(mr(), 0x00280010)
    _, end = whole(mr(), 0x00280011)
    return mr()[:start] + mr()[middle:end] + mr()[start:middle] + mr()[end:]


def bad_vr() -> bytes:
    part = next(part for part in top(mr()) if part.tag == 0x00280010)
    return mr()[: part.start + 4] + b"ZZ" + mr()[part.start + 6 :]


def broken_sequence(tag: int, name: str = "") -> bytes:
    """A sequence of known length whose item is longer than it."""
    return put(mr(), tag, element(tag, "SQ", item(element(0x00080100, "SH", b"abcd"), 200)))


def float_pixels() -> bytes:
    """A parametric map with Float Pixel Data and no Pixel Data (PS3.3 A.75)."""
    uid = "1.2.840.10008.5.1.4.1.1.30"
    found = change(grey(ramp(), 12), SOPClassUID=uid, BitsAllocated=32, BitsStored=None, HighBit=None, PixelRepresentation=None)
    found = put(found, PIXEL_DATA, element(0x7FE00008, "OF", ramp().astype("<f4").tobytes()))
    return change(found, MediaStorageSOPClassUID=uid)


def of_class(uid: str, base: bytes | None = None) -> bytes:
    """An object of another SOP class without pixels."""
    found = change(base or mr(), SOPClassUID=uid, PixelData=None, DataSetTrailingPadding=None)
    return change(found, MediaStorageSOPClassUID=uid)


def with_file_meta(data_set: bytes, sop_class: str, instance: str) -> bytes:
    """A file from a naked data set in implicit little endian."""
    body = element(0x00020001, "OB", b"\0\1") + element(0x00020002, "UI", _encoded("UI", sop_class))
    body += element(0x00020003, "UI", _encoded("UI", instance)) + element(0x00020010, "UI", b"1.2.840.10008.1.2\0")
    return bytes(128) + b"DICM" + element(0x00020000, "UL", struct.pack("<I", len(body))) + body + data_set


def rtstruct() -> bytes:
    """pydicom's structure set, which has no file meta information, with one."""
    found = pydicom.dcmread(PYDICOM / "test_files" / "rtstruct.dcm", force=True)
    return with_file_meta(p("rtstruct.dcm"), found.SOPClassUID, found.SOPInstanceUID)


def ct(**values: Value) -> bytes:
    return change(p("CT_small.dcm"), **values)


def colour(pixels: NDArray[np.uint8], photometric: str, planar: int = 0) -> bytes:
    """Uncompressed colour, (rows, columns, 3)."""
    stored = np.moveaxis(pixels, -1, 0) if planar else pixels
    found = grey(pixels[..., 0], 8, SamplesPerPixel=3, PhotometricInterpretation=photometric, PlanarConfiguration=planar)
    return put(found, PIXEL_DATA, element(PIXEL_DATA, "OB", np.ascontiguousarray(stored).tobytes()))


def lut_item(entries: int, first: int, bits: int, values: NDArray[np.uint16]) -> bytes:
    """An item of a Modality or VOI LUT Sequence (PS3.3 C.11.1.1)."""
    descriptor = struct.pack("<HHH", entries & 0xFFFF, first & 0xFFFF, bits)
    return item(
        element(0x00283002, "US", descriptor)
        + element(0x00283004, "LO", b"UNSPECIFIED ")
        + element(0x00283006, "OW", values.astype("<u2").tobytes())
    )


def modality_lut(entries: int, values: int, bits: int = 16) -> bytes:
    """A modality LUT that says ``entries`` and holds ``values``."""
    table = (np.arange(values) * 3 % 65536).astype(np.uint16)
    sequence = element(0x00283000, "SQ", lut_item(entries, 0, bits, table))
    return put(grey(ramp(), 12, RescaleSlope=None, RescaleIntercept=None), 0x00283000, sequence)


def voi_lut(entries: int, values: int) -> bytes:
    table = np.linspace(0, 255, values).astype(np.uint16)
    return put(grey(ramp(), 12), 0x00283010, element(0x00283010, "SQ", lut_item(entries, 0, 8, table)))


def overlay_in_high_bits() -> bytes:
    """12 stored bits and an overlay plane in bit 15 (PS3.5 8.1.2, retired)."""
    found = grey(ramp() | np.uint16(0x8000), 12)
    plane = element(0x60000010, "US", struct.pack("<H", 16)) + element(0x60000011, "US", struct.pack("<H", 16))
    plane += element(0x60000100, "US", struct.pack("<H", 16)) + element(0x60000102, "US", struct.pack("<H", 15))
    return put(found, 0x60000010, plane)


def palette() -> bytes:
    return p("examples_palette.dcm")


def with_pixels(name: str) -> bytes:
    """A character-set file that has no pixels, with some."""
    found = p(name)
    described = grey(ramp(32, 32, "u2", 12), 12)
    wanted = "SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation"
    source = pydicom.dcmread(io.BytesIO(described))
    for keyword in wanted.split():
        found = change(found, **{keyword: getattr(source, keyword)})
    instance = pydicom.dcmread(io.BytesIO(found)).SOPInstanceUID
    return put(change(found, MediaStorageSOPInstanceUID=instance), PIXEL_DATA, element(PIXEL_DATA, "OW", source.PixelData))
