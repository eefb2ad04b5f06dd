"""Frames that lie alone in fragments as native or deflated bytes, single bits among them; and pixels that are elsewhere."""

from __future__ import annotations

import io
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
import syntax_matrix as matrix
from hostile import samples
from pydicom import uid
from pydicom.encaps import encapsulate

from medray.data.dicom import decode, syntaxes
from medray.data.dicom.checks import check_pixel_length
from medray.data.dicom.dataset import image_pixel
from medray.data.dicom.parse import parse
from medray.data.dicom.pixels import stored_values
from medray.errors import Excluded, Quarantined

Pixels = np.ndarray[Any, Any]
ROWS, COLUMNS = 7, 5  # 35 bits: a frame does not end at a byte
BITS = np.random.default_rng(0).integers(0, 2, (4, ROWS, COLUMNS)).astype(np.uint8)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def packed(frame: Pixels) -> bytes:
    return np.packbits(frame, bitorder="little").tobytes()


ENCODERS = {
    "uncompressed": (syntaxes.ENCAPSULATED_UNCOMPRESSED, packed),
    "deflated": (syntaxes.DEFLATED_FRAME, lambda frame: raw_deflate(packed(frame))),
    "RLE of packed bits": (uid.RLELossless, lambda frame: matrix.rle_of_bits(np.packbits(frame, bitorder="little"))),
    "RLE of bytes": (uid.RLELossless, lambda frame: matrix.rle_of_bits(frame)),
    "JPEG 2000": (
        uid.JPEG2000Lossless,
        lambda frame: bytes(imagecodecs.jpeg2k_encode(frame, 0, codecformat="j2k", reversible=True, bitspersample=1)),
    ),
}


def multi_frame(syntax: str, frames: list[bytes], kind: matrix.Kind, values: Pixels, **changes: Any) -> bytes:
    made = matrix.dataset(matrix.SYNTAXES[1], kind, values, Rows=values.shape[0], Columns=values.shape[1], **changes)
    made.NumberOfFrames = len(frames)
    made.PixelData = encapsulate(frames)
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    return matrix.file_bytes(made)


@pytest.mark.parametrize("name", ENCODERS)
def test_single_bits_are_read_frame_by_frame(name: str) -> None:
    syntax, encode = ENCODERS[name]
    data = multi_frame(syntax, [encode(frame) for frame in BITS], matrix.Kind("MONOCHROME2", 1), BITS[0])
    for number, frame in enumerate(BITS):
        np.testing.assert_array_equal(matrix.stored(data, number), frame)


@pytest.mark.parametrize("name", ENCODERS)
def test_single_bits_of_a_segmentation(name: str) -> None:
    syntax, encode = ENCODERS[name]
    streams = [encode(frame) for frame in BITS]
    data = multi_frame(syntax, streams, matrix.Kind("MONOCHROME2", 1), BITS[0], SOPClassUID=uid.SegmentationStorage)
    file = parse(data, len(data))
    assert file is not None
    check_pixel_length(file, len(data))
    for number, frame in enumerate(BITS):
        np.testing.assert_array_equal(stored_values(file, image_pixel(file), number), frame)


@pytest.mark.parametrize("encode", [bytes, raw_deflate])
@pytest.mark.parametrize(
    "kind",
    [matrix.Kind("MONOCHROME2", 8), matrix.Kind("MONOCHROME2", 12, signed=True), matrix.Kind("RGB", 8)],
)
def test_frames_of_an_odd_number_of_bytes(kind: matrix.Kind, encode: Any) -> None:
    frames = [np.roll(matrix.values_of(kind)[:ROWS, :COLUMNS], shift, axis=0) for shift in range(3)]
    syntax = syntaxes.ENCAPSULATED_UNCOMPRESSED if encode is bytes else syntaxes.DEFLATED_FRAME
    streams = [encode(np.ascontiguousarray(frame).tobytes()) for frame in frames]
    data = multi_frame(syntax, streams, kind, frames[0])
    for number, frame in enumerate(frames):
        np.testing.assert_array_equal(matrix.stored(data, number), frame)


def test_planes_and_ybr_in_a_frame_that_lies_alone() -> None:
    kind = matrix.Kind("RGB", 8)
    values = matrix.values_of(kind)
    planes = np.moveaxis(values, -1, 0).tobytes()
    for syntax, stream in ((syntaxes.ENCAPSULATED_UNCOMPRESSED, planes), (syntaxes.DEFLATED_FRAME, raw_deflate(planes))):
        data = multi_frame(syntax, [stream], kind, values, PlanarConfiguration=1)
        np.testing.assert_array_equal(matrix.stored(data), values)


# --- bad frames ----------------------------------------------------------------------------------------------------------------

GREY = matrix.values_of(matrix.Kind("MONOCHROME2", 8))
NATIVE = GREY.tobytes()
DEFLATED = raw_deflate(NATIVE)


@pytest.mark.parametrize(
    ("syntax", "stream", "code"),
    [
        (syntaxes.DEFLATED_FRAME, DEFLATED[:-20], "PIXELS_TRUNCATED"),
        (syntaxes.DEFLATED_FRAME, raw_deflate(NATIVE[:-2]), "PIXELS_TRUNCATED"),
        (syntaxes.DEFLATED_FRAME, raw_deflate(NATIVE + bytes(2)), "PIXELS_LENGTH"),
        (syntaxes.DEFLATED_FRAME, raw_deflate(NATIVE + bytes(1 << 20)), "PIXELS_LENGTH"),
        (syntaxes.DEFLATED_FRAME, DEFLATED + DEFLATED, "PIXELS_FRAGMENTS"),
        (syntaxes.DEFLATED_FRAME, b"\x07" + DEFLATED[1:], "PIXELS_CODEC"),
        (syntaxes.DEFLATED_FRAME, zlib.compress(NATIVE), "PIXELS_CODEC"),
        (syntaxes.ENCAPSULATED_UNCOMPRESSED, NATIVE[:-2], "PIXELS_TRUNCATED"),
        (syntaxes.ENCAPSULATED_UNCOMPRESSED, NATIVE + bytes(2), "PIXELS_LENGTH"),
        (syntaxes.ENCAPSULATED_UNCOMPRESSED, NATIVE + NATIVE, "PIXELS_LENGTH"),
    ],
)
def test_a_frame_of_another_length_is_refused(syntax: str, stream: bytes, code: str) -> None:
    with pytest.raises(Quarantined, match=code):
        decode(multi_frame(syntax, [stream], matrix.Kind("MONOCHROME2", 8), GREY))


def test_padding_after_a_deflated_frame_is_passed_over() -> None:
    data = multi_frame(syntaxes.DEFLATED_FRAME, [DEFLATED + b"\0\0"], matrix.Kind("MONOCHROME2", 8), GREY)
    np.testing.assert_array_equal(matrix.stored(data), GREY)


@pytest.mark.parametrize("octets", [ROWS * COLUMNS - 1, 6, 4, 0])
def test_rle_of_neither_bits_nor_bytes_is_refused(octets: int) -> None:
    stream = matrix.rle_of_bits(np.ones(octets, np.uint8)) if octets else bytes(64)
    with pytest.raises(Quarantined, match="PIXELS_"):
        decode(multi_frame(uid.RLELossless, [stream], matrix.Kind("MONOCHROME2", 1), BITS[0]))


def test_colours_of_a_codec_have_no_place_in_native_frames() -> None:
    kind = matrix.Kind("YBR_RCT", 8)
    values = matrix.values_of(kind)
    for syntax, stream in ((syntaxes.ENCAPSULATED_UNCOMPRESSED, values.tobytes()), (syntaxes.DEFLATED_FRAME, DEFLATED)):
        with pytest.raises(Quarantined, match="PIXELS_PHOTOMETRIC"):
            decode(multi_frame(syntax, [stream], kind, values))


# --- elsewhere -----------------------------------------------------------------------------------------------------------------

JPIP = [syntaxes.JPIP_REFERENCED, uid.JPIPHTJ2KReferenced]
JPIP_DEFLATED = [syntaxes.JPIP_REFERENCED_DEFLATE, uid.JPIPHTJ2KReferencedDeflate]


def of_syntax(syntax: str, data: bytes) -> bytes:
    return samples.syntax(data, syntax)


def without_pixels() -> bytes:
    """A JPIP reference names a server instead of its pixels (PS3.3 C.7.6.3.2)."""
    made = pydicom.dcmread(io.BytesIO(samples.mr()))
    del made.PixelData
    made.PixelDataProviderURL = "http://jpip.example/1"
    buffer = io.BytesIO()
    made.save_as(buffer)
    return buffer.getvalue()


def deflated_with(syntax: str, data: bytes) -> bytes:
    meta = samples.meta(of_syntax(syntax, data))
    return meta + raw_deflate(of_syntax(syntax, data)[len(meta) :])


@pytest.mark.parametrize("make", [without_pixels, samples.mr])
def test_pixels_on_a_jpip_server_are_elsewhere(make: Any) -> None:
    whole = [of_syntax(syntax, make()) for syntax in JPIP] + [deflated_with(syntax, make()) for syntax in JPIP_DEFLATED]
    for data in whole:
        with pytest.raises(Excluded, match="PIXELS_ELSEWHERE") as caught:
            decode(data)
        assert caught.value.header is not None


@pytest.mark.parametrize("syntax", [uid.MPEG2MPML, uid.HEVCMP51, *(f"1.2.840.10008.1.2.7.{number}" for number in (1, 2, 3))])
def test_video_is_video_with_pixel_data_or_without(syntax: str) -> None:
    for data in (samples.mr(), without_pixels()):
        with pytest.raises(Excluded, match="PIXELS_VIDEO"):
            decode(of_syntax(syntax, data))


def test_every_encapsulated_syntax_is_in_fragments() -> None:
    assert all(syntaxes.is_encapsulated(syntax) for syntax in syntaxes.COMPRESSED)
    assert not any(syntaxes.is_encapsulated(syntax) for syntax in syntaxes.NATIVE)
    for syntax in syntaxes.COMPRESSED:
        with pytest.raises(Quarantined, match=r"PIXELS_(FRAGMENTS|TRUNCATED)"):
            decode(of_syntax(syntax, samples.mr()))
