"""Masks: the table that names them, and SEG and PNG against pydicom and imagecodecs."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import PIL.Image
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.pixels import pack_bits
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage, generate_uid

from medray.data.dicom import decode
from medray.data.mask_table import read_masks
from medray.data.masks import decode_mask
from medray.errors import Quarantined
from medray.types import Bool, Header, Image

ROWS, COLUMNS = 7, 9  # frames do not end with a byte


def image(sop_uid: str = "1.2.3", rows: int = ROWS, columns: int = COLUMNS) -> Image:
    return Image(np.zeros((rows, columns), np.float32), header=Header(sop_uid=sop_uid))


def frames(count: int, seed: int = 0) -> Bool:
    return np.random.default_rng(seed).random((count, ROWS, COLUMNS)) < 0.3


def segmentation(planes: Bool, references: list[str] | None = None, kind: str = "BINARY") -> bytes:
    """A SEG object of some frames, each of which may refer to an image."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    found.SOPClassUID = meta.MediaStorageSOPClassUID = SegmentationStorage
    found.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = generate_uid()
    found.StudyInstanceUID, found.SeriesInstanceUID, found.Modality = generate_uid(), generate_uid(), "SEG"
    found.NumberOfFrames, found.Rows, found.Columns = planes.shape
    found.SamplesPerPixel, found.PhotometricInterpretation, found.PixelRepresentation = 1, "MONOCHROME2", 0
    found.SegmentationType = kind
    if kind == "BINARY":
        found.BitsAllocated, found.BitsStored, found.HighBit = 1, 1, 0
        found.PixelData = pack_bits(planes.astype(np.uint8))
    else:
        found.BitsAllocated, found.BitsStored, found.HighBit = 8, 8, 7
        found.PixelData = (planes * np.uint8(255)).tobytes() + bytes(planes.size % 2)
    found["PixelData"].VR = "OB"
    if references is not None:
        found.PerFrameFunctionalGroupsSequence = [groups(uid) for uid in references]
    buffer = io.BytesIO()
    found.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def groups(sop_uid: str) -> Dataset:
    source, derivation, item = Dataset(), Dataset(), Dataset()
    source.ReferencedSOPInstanceUID = sop_uid
    derivation.SourceImageSequence = [source]
    item.DerivationImageSequence = [derivation]
    return item


def png(values: NDArray[np.uint8 | np.uint16]) -> bytes:
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(values)))


def test_every_mask_of_busi_is_what_pydicom_reads(busi: Path) -> None:
    masks = read_masks(str(busi / "labels.csv")).to_pylist()
    assert len(masks) == len(list((busi / "masks").iterdir()))
    for row in masks[:40]:
        expected = pydicom.dcmread(row["mask"]).pixel_array
        found = decode_mask(Path(row["mask"]).read_bytes(), decode(busi / "images" / f"{row['sop_uid']}.dcm"))
        assert np.array_equal(found, expected.reshape(-1, *found.shape).any(0))
        assert found.any()


def test_frames_that_might_be_of_several_images_are_not_united() -> None:
    planes = frames(3)
    data = segmentation(planes)
    assert np.array_equal(pydicom.dcmread(io.BytesIO(data)).pixel_array > 0, planes)
    with pytest.raises(Quarantined) as caught:
        decode_mask(data, image())
    assert caught.value.code == "MASK_GEOMETRY"


def test_only_the_frames_of_the_image_count() -> None:
    planes = frames(3)
    data = segmentation(planes, ["1.2.3", "1.2.4", "1.2.3"])
    assert np.array_equal(decode_mask(data, image("1.2.3")), planes[0] | planes[2])
    assert np.array_equal(decode_mask(data, image("1.2.4")), planes[1])
    assert not decode_mask(data, image("1.2.5")).any(), "a plane without the segment has no frame"


def test_png_masks() -> None:
    marked = frames(1)[0]
    for values in (marked * np.uint8(255), marked.astype(np.uint8), np.dstack([marked * np.uint8(9)] * 3)):
        assert np.array_equal(decode_mask(png(values), image()), marked)
    opaque = np.full(marked.shape, 255, np.uint8)
    assert np.array_equal(decode_mask(png(np.dstack([marked * np.uint8(9)] * 3 + [opaque])), image()), marked)


COLOURS = [200, 10, 10, 0, 0, 0, 0, 255, 0] + [7] * 9
"""Of a palette whose index 0 is red and whose index 1 is black."""


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("transparent", [None, 0, b"\xff\x00\x80"])
def test_the_index_0_of_a_palette_is_background_whatever_its_colour(bits: int, transparent: int | bytes | None) -> None:
    values = np.random.default_rng(6).integers(0, 2 if bits == 1 else 3, (ROWS, COLUMNS)).astype(np.uint8)
    data = indexed(values, bits, transparent)
    assert (data[24], data[25]) == (bits, 3)
    assert np.array_equal(decode_mask(data, image()), values > 0)
    assert np.array_equal(decode_mask(data, image(), segment=1), values == 1)
    assert not decode_mask(data, image(), segment=9).any()


def indexed(values: NDArray[np.uint8], bits: int, transparent: int | bytes | None = None) -> bytes:
    found, buffer = PIL.Image.fromarray(values).convert("P"), io.BytesIO()
    found.putpalette((COLOURS * 43)[: 3 << bits])
    found.save(buffer, "PNG", bits=bits, **({} if transparent is None else {"transparency": transparent}))
    return buffer.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of(rows: int, columns: int, depth: int, colour: int, lines: bytes, *, interlaced: int = 0, extra: bytes = b"") -> bytes:
    """A PNG by hand: each line is its filter and its packed samples."""
    described = chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, depth, colour, 0, 0, interlaced))
    return b"\x89PNG\r\n\x1a\n" + described + extra + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def test_an_interlaced_palette_is_read() -> None:
    values = np.arange(64, dtype=np.uint8).reshape(8, 8) % 3
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    lines = b"".join(b"\0" + line.tobytes() for top, left, down, along in passes for line in values[top::down, left::along])
    data = png_of(8, 8, 8, 3, lines, interlaced=1, extra=chunk(b"PLTE", bytes(COLOURS)))
    assert np.array_equal(decode_mask(data, image(rows=8, columns=8)), values > 0)


@pytest.mark.parametrize(("depth", "line"), [(1, b"\0\x50"), (2, b"\0\x1b"), (4, b"\0\x01\x23")])
def test_values_of_few_bits_are_labels_as_they_are(depth: int, line: bytes) -> None:
    values = np.unpackbits(np.frombuffer(line[1:], np.uint8)).reshape(-1, depth) @ (1 << np.arange(depth)[::-1])
    data = png_of(1, 4, depth, 0, line)
    one = image(rows=1, columns=4)
    assert np.array_equal(decode_mask(data, one)[0], values[:4] > 0)
    assert np.array_equal(decode_mask(data, one, segment=1)[0], values[:4] == 1)


def test_labels_are_chosen_from_one_channel() -> None:
    values = np.random.default_rng(6).integers(0, 400, (ROWS, COLUMNS)).astype(np.uint16)
    for data in (png(values), png(np.dstack([values, np.full_like(values, 65535)]))):
        assert np.array_equal(decode_mask(data, image()), values > 0)
        assert np.array_equal(decode_mask(data, image(), segment=int(values[3, 3])), values == values[3, 3])
    colours = png(np.dstack([values.astype(np.uint8)] * 3))
    for data, segment in ((colours, 1), (png(values), 0)):
        with pytest.raises(Quarantined) as caught:
            decode_mask(data, image(), segment=segment)
        assert caught.value.code == "MASK_UNREADABLE"


def test_any_channel_counts_and_alpha_does_not() -> None:
    marked = frames(3)
    colours = np.moveaxis(marked * np.array([1, 9, 255], np.uint8)[:, None, None], 0, -1)
    opaque = np.random.default_rng(7).integers(0, 256, (ROWS, COLUMNS)).astype(np.uint8)
    for values in (colours, np.dstack([colours, opaque])):
        assert np.array_equal(decode_mask(png(values), image()), marked.any(0))
    assert np.array_equal(decode_mask(png(np.dstack([colours[..., 0], opaque])), image()), marked[0])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (segmentation(frames(1)), "MASK_SIZE"),
        (png(np.zeros((ROWS, COLUMNS), np.uint8)), "MASK_SIZE"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 4, "MASK_SIZE"),
    ],
)
def test_a_mask_of_another_size_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(Quarantined) as caught:
        decode_mask(data, image(rows=ROWS + 1))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a mask",
        segmentation(frames(1))[:-4],
        segmentation(frames(1))[:400],
        segmentation(frames(1), kind="FRACTIONAL"),
        png(np.zeros((ROWS, COLUMNS), np.uint8))[:-30],
        indexed(np.eye(ROWS, COLUMNS, dtype=np.uint8), 8)[:-30],
        indexed(np.eye(ROWS, COLUMNS, dtype=np.uint8), 8)[:60],
    ],
)
def test_an_unreadable_mask_is_quarantined(data: bytes) -> None:
    with pytest.raises(Quarantined) as caught:
        decode_mask(data, image())
    assert caught.value.code == "MASK_UNREADABLE"


def test_an_image_is_no_mask(archive: Path) -> None:
    data = next((archive / "images").rglob("*.dcm")).read_bytes()
    with pytest.raises(Quarantined, match="neither a DICOM segmentation nor a PNG"):
        decode_mask(data, decode(data))
