"""Code streams: what they state is read, compared with the header and only then decoded; broken ones never give pixels."""

from __future__ import annotations

import contextlib
import struct
from dataclasses import replace
from typing import Any

import imagecodecs
import numpy as np
import pytest
import syntax_matrix as matrix
from hypothesis import given
from hypothesis import strategies as st
from pydicom import uid

from medray.data.dicom import codestream
from medray.data.dicom.codecs import decode_frame
from medray.data.dicom.syntaxes import check_syntax
from medray.errors import Excluded, InputError, Quarantined
from medray.types import Header

Pixels = np.ndarray[Any, Any]
GREY = matrix.values_of(matrix.Kind("MONOCHROME2", 12))
COLOUR = matrix.values_of(matrix.Kind("RGB", 8))
STREAMS: dict[str, tuple[str, Pixels, bytes]] = {
    "jpeg": (uid.JPEGBaseline8Bit, COLOUR, bytes(imagecodecs.jpeg8_encode(COLOUR))),
    "jpeg 12": (uid.JPEGExtended12Bit, GREY, bytes(imagecodecs.jpeg8_encode(GREY, bitspersample=12))),
    "lossless jpeg": (uid.JPEGLosslessSV1, GREY, matrix.lossless_jpeg(1)(GREY, matrix.Kind("MONOCHROME2", 12))),
    "jpeg-ls": (uid.JPEGLSLossless, GREY, bytes(imagecodecs.jpegls_encode(GREY))),
    "j2k": (uid.JPEG2000Lossless, GREY, bytes(imagecodecs.jpeg2k_encode(GREY, codecformat="j2k", reversible=True, level=0))),
    "jp2": (uid.JPEG2000Lossless, COLOUR, bytes(imagecodecs.jpeg2k_encode(COLOUR, codecformat="jp2", reversible=True, level=0))),
    "htj2k": (uid.HTJ2KLossless, GREY, bytes(imagecodecs.htj2k_encode(GREY, reversible=True))),
    "lossy htj2k": (uid.HTJ2K, COLOUR, bytes(imagecodecs.htj2k_encode(COLOUR, reversible=False))),
}


def header(syntax: str, values: Pixels) -> Header:
    rows, columns, samples = (*values.shape, 1)[:3]
    bits = 8 * values.itemsize
    return Header(
        rows=rows, columns=columns, samples=samples, bits_allocated=bits, bits_stored=bits,
        photometric="YBR_FULL" if samples == 3 else "MONOCHROME2", transfer_syntax=syntax,
    )  # fmt: skip


def code_of(data: bytes, about: Header) -> str:
    with pytest.raises(Quarantined) as caught:
        decode_frame(data, about)
    return caught.value.code


@pytest.mark.parametrize(("syntax", "values", "data"), STREAMS.values(), ids=STREAMS)
def test_the_size_that_a_code_stream_states(syntax: str, values: Pixels, data: bytes) -> None:
    stated = codestream.read(data)
    assert (stated.rows, stated.columns, stated.samples) == (*values.shape, 1)[:3]
    assert stated.bits in (8, 12, 16)
    assert decode_frame(data, header(syntax, values))[0].shape == values.shape


@given(st.binary(max_size=80), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff\xc0", b"\xff\x4f\xff\x51"]))
def test_any_bytes_state_a_size_or_none(tail: bytes, start: bytes) -> None:
    assert isinstance(codestream.read(start + tail), codestream.CodeStream)


@pytest.mark.parametrize("name", STREAMS)
def test_another_size_or_codec_than_the_header_says_is_refused_before_it_is_decoded(name: str) -> None:
    syntax, values, data = STREAMS[name]
    about = header(syntax, values)
    for field in ("rows", "columns"):
        assert code_of(data, replace(about, **{field: 7})) == "PIXELS_SIZE"
    other = uid.JPEGLSLossless if name != "jpeg-ls" else uid.JPEGBaseline8Bit
    assert code_of(data, replace(about, transfer_syntax=other)) == "PIXELS_CODEC"
    assert code_of(b"", about) == "PIXELS_CODEC"
    if values.itemsize == 2:
        assert code_of(data, replace(about, bits_allocated=8)) == "PIXELS_SIZE"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("name", STREAMS)
def test_a_short_code_stream_is_never_filled_up(name: str, share: float) -> None:
    syntax, values, data = STREAMS[name]
    assert code_of(data[: int(share * len(data))], header(syntax, values)) in ("PIXELS_CODEC", "PIXELS_TRUNCATED")


@given(st.sampled_from(sorted(STREAMS)), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=5))
def test_mutated_code_streams_give_the_stated_size_or_a_typed_error(name: str, edits: list[tuple[float, int]]) -> None:
    syntax, values, data = STREAMS[name]
    mutated = bytearray(data)
    for where, value in edits:
        mutated[int(where * (len(data) - 1))] = value
    try:
        found = decode_frame(bytes(mutated), header(syntax, values))[0]
    except InputError:
        return
    assert found.shape == values.shape


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
def test_a_jpeg_that_was_ended_too_soon_is_truncated(bits: int, share: float) -> None:
    kind = matrix.Kind("MONOCHROME2", bits)
    values = matrix.values_of(kind)
    stream = matrix.jpeg(values, kind)
    assert stream is not None
    about = header(uid.JPEGExtended12Bit, values)
    assert code_of(stream[: int(share * len(stream))] + b"\xff\xd9", about) == "PIXELS_TRUNCATED"
    decode_frame(stream, about)


@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
def test_a_colour_jpeg_that_was_ended_too_soon_is_truncated(subsampling: str) -> None:
    values = matrix.values_of(matrix.Kind("RGB", 8))
    stream = bytes(imagecodecs.jpeg8_encode(values, 90, subsampling=subsampling))
    about = replace(header(uid.JPEGBaseline8Bit, values), photometric="YBR_FULL")
    assert code_of(stream[: int(0.8 * len(stream))] + b"\xff\xd9", about) == "PIXELS_TRUNCATED"
    decode_frame(stream, about)


@pytest.mark.parametrize("shape", [(64, 64), (61, 67), (64, 64, 3)])
def test_a_whole_jpeg_may_end_in_medium_grey(shape: tuple[int, ...]) -> None:
    values = np.full(shape, 128, np.uint8)
    values[:20] = 7
    stream = bytes(imagecodecs.jpeg8_encode(values, 95))
    about = replace(header(uid.JPEGBaseline8Bit, values), photometric="MONOCHROME2" if len(shape) == 2 else "YBR_FULL")
    found, _ = decode_frame(stream, about)
    assert (found[-1, -1] == 128).all()
    assert (decode_frame(stream + b"\0\0", about)[0] == found).all()


def test_saturated_colours_of_lossy_htj2k_are_clipped_and_not_wrapped() -> None:
    values = np.zeros((64, 96, 3), np.uint8)
    values[10:50, 10:80], values[20:40, 30:60] = (255, 0, 0), (0, 255, 255)
    data = bytes(imagecodecs.htj2k_encode(values, 0.01, reversible=False))
    found = decode_frame(data, header(uid.HTJ2K, values))[0]
    assert np.abs(found.astype(int) - values).max() < 20  # OpenJPH through imagecodecs is off by 255 here


def test_jpeg_colour_is_what_the_code_stream_says_before_the_header() -> None:
    plain = bytes(imagecodecs.jpeg8_encode(COLOUR, 98, colorspace=matrix.RGB, outcolorspace=matrix.RGB))
    jfif = bytes(imagecodecs.jpeg8_encode(COLOUR, 98))
    about = header(uid.JPEGBaseline8Bit, COLOUR)
    for data in (plain, jfif):
        for photometric in ("RGB", "YBR_FULL"):
            found = decode_frame(data, replace(about, photometric=photometric))[0]
            assert np.abs(found.astype(int) - COLOUR).max() < 16


def with_precincts(data: bytes, precinct: int, layers: int) -> bytes:
    """The JPEG 2000 code stream with precincts of one size (ITU-T T.800 table A.21) and some number of layers in its header."""
    at = data.index(b"\xff\x52")
    length, levels = int.from_bytes(data[at + 2 : at + 4], "big"), data[at + 9]
    style = bytearray(data[at + 4 : at + 2 + length])
    style[0] |= 1
    style[2:4] = layers.to_bytes(2, "big")
    style += bytes([precinct] * (levels + 1))
    return data[: at + 2] + (2 + len(style)).to_bytes(2, "big") + bytes(style) + data[at + 2 + length :]


@pytest.mark.parametrize("encode", [matrix.j2k(True), matrix.htj2k(True)])
@pytest.mark.parametrize(("precinct", "layers"), [(0x11, 1), (0x55, 65535)])
def test_small_blocks_of_a_large_image_are_refused_before_they_are_allocated(encode: Any, precinct: int, layers: int) -> None:
    values = np.zeros((2048, 2048), np.uint8)  # OpenJPEG takes 2.3 GB for its precincts of 2 × 2
    data = with_precincts(encode(values, matrix.Kind("MONOCHROME2", 8)), precinct, layers)
    assert code_of(data, header(uid.HTJ2K, values)) == "PIXELS_TOO_MANY"


def test_usual_blocks_are_no_bomb() -> None:
    values = np.zeros((2048, 2048), np.uint8)
    data = with_precincts(matrix.j2k(True)(values, matrix.Kind("MONOCHROME2", 8)), 0x77, 12)
    assert codestream.read(data).decoder_bytes < 1 << 26


# --- RLE -----------------------------------------------------------------------------------------------------------------------

RLE = replace(header(uid.RLELossless, np.zeros((10, 10), np.uint8)))


def rle(*segments: bytes, count: int | None = None, offsets: list[int] | None = None) -> bytes:
    starts = offsets or [64 + sum(map(len, segments[:index])) for index in range(len(segments))]
    table = [len(segments) if count is None else count, *starts]
    return struct.pack("<16I", *table, *[0] * (16 - len(table))) + b"".join(segments)


def run(length: int, value: int = 7) -> bytes:
    return b"".join(bytes([257 - n, value]) for n in [128] * (length // 128) + [length % 128] if n > 1)


@pytest.mark.parametrize("segment", [run(100), b"\x80" + run(100), run(100) + b"\0", run(104)])
def test_rle_of_odd_encoders(segment: bytes) -> None:
    assert (decode_frame(rle(segment), RLE)[0] == 7).all()


def test_rle_segments_may_be_padded_with_any_byte() -> None:
    """The standard asks for 0 (PS3.5 G.3.1); every other byte reads as the start of a run that has no bytes."""
    odd = b"\x00\x07" + run(97) + b"\x01\x07\x07"  # a literal run of three bytes at its end makes it odd
    for value in range(256):
        padded = odd + bytes([value])
        assert (decode_frame(rle(padded), RLE)[0] == 7).all()
        deep = decode_frame(rle(padded, padded), replace(RLE, bits_allocated=16))[0]
        assert (deep == 0x0707).all()
    assert code_of(rle(odd[:-3] + b"\xff"), RLE) == "PIXELS_TRUNCATED"


def test_rle_segments_are_the_bytes_of_a_sample_from_the_high_one() -> None:
    found = decode_frame(rle(run(100, 1), run(104, 2)), replace(RLE, bits_allocated=16))[0]
    assert (found == 0x0102).all()
    colour = decode_frame(rle(run(100, 1), run(100, 2), run(100, 3)), replace(RLE, samples=3, photometric="RGB"))[0]
    assert (colour == [1, 2, 3]).all()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "PIXELS_TRUNCATED"),
        (rle(run(90)), "PIXELS_TRUNCATED"),
        (rle(run(100))[:65], "PIXELS_CODEC"),
        (rle(b"\x7f" + bytes(20)), "PIXELS_CODEC"),
        (rle(run(1000)), "PIXELS_CODEC"),
        (rle(run(100), count=2), "PIXELS_CODEC"),
        (rle(run(100), count=0), "PIXELS_CODEC"),
        (rle(run(100), offsets=[0]), "PIXELS_CODEC"),
        (rle(run(100), offsets=[1 << 31]), "PIXELS_CODEC"),
    ],
)
def test_rle_that_lies_is_refused(data: bytes, code: str) -> None:
    assert code_of(data, RLE) in (code, "PIXELS_TRUNCATED")
    assert code_of(rle(run(90, 1), run(110, 2)), replace(RLE, bits_allocated=16)) == "PIXELS_TRUNCATED"
    assert code_of(rle(run(100), run(100), offsets=[80, 64]), replace(RLE, bits_allocated=16)) == "PIXELS_CODEC"


# --- policy --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("syntax", "code"),
    [
        (uid.MPEG2MPML, "PIXELS_VIDEO"),
        (uid.MPEG4HP41F, "PIXELS_VIDEO"),
        (uid.HEVCMP51, "PIXELS_VIDEO"),
        (uid.JPIPHTJ2KReferenced, "PIXELS_ELSEWHERE"),
        (uid.JPEG2000MC, "PIXELS_MULTI_COMPONENT"),
        ("1.2.840.10008.1.2.4.55", "DICOM_UNKNOWN_TRANSFER_SYNTAX"),
    ],
)
def test_transfer_syntaxes_that_are_not_decoded_have_a_code(syntax: str, code: str) -> None:
    with pytest.raises((Excluded, Quarantined)) as caught:
        check_syntax(syntax)
    assert caught.value.code == code
    assert caught.value.hint


def test_every_transfer_syntax_of_the_standard_is_decoded_or_excluded() -> None:
    for syntax in uid.AllTransferSyntaxes:
        with contextlib.suppress(Excluded):
            check_syntax(syntax)
