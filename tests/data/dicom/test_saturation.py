"""Values that overshoot after a lossy codec stay at the limits of Bits Stored; what lossless ones hold above it is masked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import pytest
import syntax_matrix as matrix
from pydicom import uid

from medray.data.dicom import codestream, decode, syntaxes

Pixels = np.ndarray[Any, Any]
Stored = Callable[..., tuple[Pixels, tuple[str, ...]]]


def extremes(low: int, high: int, dtype: str, *, colour: bool = False, seed: int = 0) -> Pixels:
    """Random black and white, which every lossy codec overshoots."""
    shape = (matrix.ROWS, matrix.COLUMNS, 3) if colour else (matrix.ROWS, matrix.COLUMNS)
    return np.random.default_rng(seed).choice([low, high], shape).astype(dtype)


def stored(stream: bytes, syntax: str, like: Pixels, bits: int, **changes: Any) -> Pixels:
    return matrix.stored(file_of(stream, syntax, like, bits, **changes))


def file_of(stream: bytes, syntax: str, like: Pixels, bits: int, **changes: Any) -> bytes:
    """A file of one code stream whose header states the type of ``like`` and some bits stored."""
    photometric = changes.pop("PhotometricInterpretation", "MONOCHROME2" if like.ndim == 2 else "RGB")
    kind = matrix.Kind(photometric, bits, signed=like.dtype.kind == "i")
    made = matrix.dataset(matrix.Syntax(syntax, lambda *_: stream, matrix.any_kind), kind, like, **changes)
    made.BitsAllocated = 8 * like.itemsize
    return matrix.file_bytes(made)


def jpeg12(values: Pixels, level: int) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(values, level, bitspersample=12))


# --- unsigned ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [9, 10, 11])
@pytest.mark.parametrize("level", [50, 75, 95])
def test_twelve_bit_jpeg_of_fewer_bits_stored(level: int, bits: int) -> None:
    values = extremes(0, (1 << bits) - 1, "u2")
    stream = jpeg12(values, level)
    raw = imagecodecs.jpeg8_decode(stream).astype(int)
    assert raw.max() >= 1 << bits
    found = stored(stream, uid.JPEGExtended12Bit, values, bits)
    np.testing.assert_array_equal(found, raw.clip(0, (1 << bits) - 1))
    assert np.abs(found - values.astype(int)).max() <= np.abs(raw - values).max()


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_eight_bit_jpeg_of_seven_bits_stored(photometric: str) -> None:
    values = extremes(0, 127, "u1")
    stream = bytes(imagecodecs.jpeg8_encode(values, 60))
    raw = imagecodecs.jpeg8_decode(stream)
    assert raw.max() > 127
    data = file_of(stream, uid.JPEGBaseline8Bit, values, 7, PhotometricInterpretation=photometric)
    np.testing.assert_array_equal(matrix.stored(data), raw.clip(0, 127))
    mirrored = 127 - raw.clip(0, 127) if photometric == "MONOCHROME1" else raw.clip(0, 127)
    np.testing.assert_array_equal(decode(data).pixels, mirrored)


def test_colour_jpeg_of_seven_bits_stored() -> None:
    values = extremes(0, 127, "u1", colour=True)
    stream = bytes(imagecodecs.jpeg8_encode(values, 60, colorspace=matrix.RGB, outcolorspace=matrix.RGB))
    raw = imagecodecs.jpeg8_decode(stream, colorspace=matrix.RGB, outcolorspace=matrix.RGB)
    assert raw.max() > 127
    np.testing.assert_array_equal(stored(stream, uid.JPEGBaseline8Bit, values, 7), raw.clip(0, 127))


@pytest.mark.parametrize(("bits", "colour"), [(12, False), (10, False), (15, False), (12, True)])
def test_near_lossless_jpeg_ls_of_fewer_bits_stored(bits: int, colour: bool) -> None:
    values = extremes(0, (1 << bits) - 1, "u2", colour=colour)
    stream = bytes(imagecodecs.jpegls_encode(values, 4))
    assert codestream.read(stream).near == 4
    raw = imagecodecs.jpegls_decode(stream)
    assert raw.max() >= 1 << bits
    found = stored(stream, uid.JPEGLSNearLossless, values, bits)
    np.testing.assert_array_equal(found, raw.clip(0, (1 << bits) - 1))
    assert np.abs(found.astype(int) - values).max() <= 4


WAVELETS = {
    "irreversible": lambda values: imagecodecs.jpeg2k_encode(values, 45, codecformat="j2k", reversible=False),
    "reversible, cut to a rate": lambda values: imagecodecs.jpeg2k_encode(values, 45, codecformat="j2k", reversible=True),
    "high throughput": lambda values: imagecodecs.htj2k_encode(values, 0.01, reversible=False),
}


@pytest.mark.parametrize("name", WAVELETS)
def test_lossy_jpeg_2000_of_a_greater_depth(name: str) -> None:
    values = extremes(0, 1023, "u2")
    stream = bytes(WAVELETS[name](values))
    raw = imagecodecs.jpeg2k_decode(stream)
    assert raw.max() > 1023
    data = file_of(stream, uid.HTJ2K if name == "high throughput" else uid.JPEG2000, values, 10)
    np.testing.assert_array_equal(matrix.stored(data), raw.clip(0, 1023))
    assert "J2K_DEPTH_DIFFERS" in decode(data).header.flags


def test_values_beyond_bits_stored_are_not_mirrored_beyond_black() -> None:
    values = np.full((matrix.ROWS, matrix.COLUMNS), 1100, "u2")
    stream = matrix.j2k(True)(values, matrix.Kind("MONOCHROME1", 16))
    data = file_of(stream, uid.JPEG2000Lossless, values, 10, PhotometricInterpretation="MONOCHROME1")
    assert (decode(data).pixels == 0).all()


@pytest.mark.parametrize("syntax", [syntaxes.JPEG_XL_ANY, syntaxes.JPEG_XL_RECOMPRESSION, syntaxes.JPEG_XL_LOSSLESS])
def test_lossy_jpeg_xl_of_a_greater_depth(syntax: str) -> None:
    values = extremes(0, 1023, "u2")
    stream = bytes(imagecodecs.jpegxl_encode(values, distance=2.0, bitspersample=12))
    raw = imagecodecs.jpegxl_decode(stream)
    assert raw.max() > 1023
    np.testing.assert_array_equal(stored(stream, syntax, values, 10), raw.clip(0, 1023))


# --- signed --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_signed_values_as_twos_complement_of_the_code_streams_depth(seed: int) -> None:
    values = extremes(-2048, 2047, "i2", seed=seed)
    stream = bytes(imagecodecs.jpegls_encode(values.view("u2"), 4))
    data = file_of(stream, uid.JPEGLSNearLossless, values, 12)
    np.testing.assert_array_equal(matrix.stored(data), imagecodecs.jpegls_decode(stream).view("i2").clip(-2048, 2047))
    assert np.abs(matrix.stored(data).astype(int) - values).max() <= 4
    assert "LOSSY_SIGN" not in decode(data).header.flags


def test_signed_twelve_bit_jpeg_of_fewer_bits_stored() -> None:
    values = extremes(-512, 511, "i2")
    stream = jpeg12(values.view("u2") & 0xFFF, 90)
    raw = imagecodecs.jpeg8_decode(stream).astype(int)
    whole = np.where(raw >= 2048, raw - 4096, raw)
    np.testing.assert_array_equal(stored(stream, uid.JPEGExtended12Bit, values, 10), whole.clip(-512, 511))


@pytest.mark.parametrize("bits", [10, 11, 12])
def test_signed_values_of_which_none_is_negative(bits: int) -> None:
    values = extremes(0, (1 << (bits - 1)) - 1, "i2")
    stream = jpeg12(values.view("u2"), 70)
    raw = imagecodecs.jpeg8_decode(stream)
    assert raw.max() >= 1 << (bits - 1)
    data = file_of(stream, uid.JPEGExtended12Bit, values, bits)
    np.testing.assert_array_equal(matrix.stored(data), raw.clip(0, (1 << (bits - 1)) - 1))
    assert "LOSSY_SIGN" in decode(data).header.flags


@pytest.mark.parametrize("bits", [12, 16])
def test_the_lowest_value_as_padding_of_positive_ones_stays_the_lowest(bits: int) -> None:
    values = np.full((matrix.ROWS, matrix.COLUMNS), -(1 << (bits - 1)), "i2")
    values[10:30, 10:40] = 500
    stream = bytes(imagecodecs.jpegls_encode(values.view("u2") & ((1 << bits) - 1), 2))
    data = file_of(stream, uid.JPEGLSNearLossless, values, bits)
    assert np.abs(matrix.stored(data).astype(int) - values).max() <= 2
    assert "LOSSY_SIGN" in decode(data).header.flags


@pytest.mark.parametrize("near", [1, 2, 4, 9])
@pytest.mark.parametrize("bits", [12, 16])
def test_signed_values_of_near_lossless_jpeg_ls_of_which_none_is_negative(bits: int, near: int) -> None:
    for seed in range(5):
        values = extremes(0, (1 << (bits - 1)) - 1, "i2", seed=seed)
        stream = bytes(imagecodecs.jpegls_encode(values.view("u2"), near))
        found = stored(stream, uid.JPEGLSNearLossless, values, bits)
        assert np.abs(found.astype(int) - values).max() <= near


def test_signed_eight_bit_jpeg_of_which_no_value_is_negative() -> None:
    values = extremes(0, 127, "i1")
    stream = bytes(imagecodecs.jpeg8_encode(values.view("u1"), 60))
    np.testing.assert_array_equal(stored(stream, uid.JPEGBaseline8Bit, values, 8), imagecodecs.jpeg8_decode(stream).clip(0, 127))


@pytest.mark.parametrize("bits", [10, 11, 12])
def test_signed_jpeg_of_which_only_the_bits_stored_were_coded(bits: int) -> None:
    end = 1 << bits
    pattern = extremes(end // 2 + end // 8, end - 1, "u2")  # all negative, and the largest overshoot
    stream = jpeg12(pattern, 80)
    raw = imagecodecs.jpeg8_decode(stream).astype(int)
    found = stored(stream, uid.JPEGExtended12Bit, pattern.view("i2"), bits)
    np.testing.assert_array_equal(found, np.where(raw >= end // 2, raw.clip(0, end - 1) - end, raw))


def test_signed_values_of_which_only_the_bits_stored_were_coded() -> None:
    values = np.random.default_rng(0).integers(-1500, 1500, (matrix.ROWS, matrix.COLUMNS)).astype("i2")
    stream = bytes(imagecodecs.jpegls_encode(values.view("u2") & 0xFFF, 3))
    data = file_of(stream, uid.JPEGLSNearLossless, values, 12)
    assert np.abs(matrix.stored(data).astype(int) - values).max() <= 3
    assert "LOSSY_SIGN" in decode(data).header.flags


def test_signed_jpeg_2000_in_a_signed_code_stream_of_a_greater_depth() -> None:
    values = extremes(-512, 511, "i2")
    stream = bytes(imagecodecs.jpeg2k_encode(values, 45, codecformat="j2k", reversible=False))
    raw = imagecodecs.jpeg2k_decode(stream)
    assert raw.max() > 511
    np.testing.assert_array_equal(stored(stream, uid.JPEG2000, values, 10), raw.clip(-512, 511))


@pytest.mark.parametrize(("low", "high", "of_header", "of_stream"), [(0, 1023, "u2", "i2"), (-512, 511, "i2", "u2")])
def test_lossy_jpeg_2000_of_the_other_sign(low: int, high: int, of_header: str, of_stream: str) -> None:
    values = extremes(low, high, of_header)
    stream = bytes(imagecodecs.jpeg2k_encode(values.view(of_stream), 60, codecformat="j2k", reversible=False))
    raw = imagecodecs.jpeg2k_decode(stream)
    whole = raw.astype(int) if low == 0 else raw.view("i2")
    data = file_of(stream, uid.JPEG2000, values, 10)
    np.testing.assert_array_equal(matrix.stored(data), whole.clip(low, high))
    assert "J2K_SIGN_DIFFERS" in decode(data).header.flags


# --- without loss --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u2", "i2"])
@pytest.mark.parametrize("name", ["JPEG lossless", "JPEG-LS", "JPEG XL", "RLE", "deflate", "native frame", "native"])
def test_what_a_lossless_code_stream_holds_above_bits_stored_is_masked(name: str, dtype: str) -> None:
    values = np.random.default_rng(1).integers(0, 1 << 16, (matrix.ROWS, matrix.COLUMNS)).astype("u2").view(dtype)
    whole = matrix.Kind("MONOCHROME2", 16, signed=dtype == "i2")
    syntax, encode = {
        "JPEG lossless": (uid.JPEGLosslessSV1, matrix.lossless_jpeg(1)),
        "JPEG-LS": (uid.JPEGLSLossless, matrix.jpeg_ls(0)),
        "JPEG XL": (syntaxes.JPEG_XL_LOSSLESS, matrix.jpeg_xl),
        "RLE": (uid.RLELossless, None),
        "deflate": (syntaxes.DEFLATED_FRAME, matrix.deflated),
        "native frame": (syntaxes.ENCAPSULATED_UNCOMPRESSED, matrix.raw),
        "native": (uid.ExplicitVRLittleEndian, None),
    }[name]
    made = matrix.dataset(matrix.Syntax(syntax, encode, matrix.any_kind), whole, values)
    made.BitsStored, made.HighBit = 12, 11
    low = values.astype(int) & 0xFFF
    expected = low - (low >> 11 << 12) if dtype == "i2" else low
    np.testing.assert_array_equal(matrix.stored(matrix.file_bytes(made)), expected)


def test_near_is_the_largest_of_all_scans() -> None:
    plain = bytes(imagecodecs.jpegls_encode(matrix.values_of(matrix.Kind("RGB", 8)), 0))
    assert codestream.read(plain).near == 0
    at = plain.index(b"\xff\xda")
    other = bytearray(plain[at : at + 14])
    other[11] = 3
    assert codestream.read(plain[:-2] + bytes(other) + plain[-2:]).near == 3
    assert codestream.read(plain[: at + 4]).near == 0


@pytest.mark.parametrize("near", [0, 1, 9])
def test_near_of_the_one_scan_of_one_component(near: int) -> None:
    stream = bytes(imagecodecs.jpegls_encode(matrix.values_of(matrix.Kind("MONOCHROME2", 12)), near))
    at = stream.index(b"\xff\xda")
    assert codestream.read(stream).near == near
    assert codestream.read(stream[:at] + b"\xff\xff" + stream[at:]).near == near  # fill bytes (ITU-T T.81 B.1.1.2)
    for end in range(at + 8):
        assert codestream.read(stream[:end]).near in (0, near)
