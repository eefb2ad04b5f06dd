"""Headers of JPEG XL, bare and in a container: read as libjxl reads them, before anything is decoded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import imagecodecs
import numpy as np
import pytest
import syntax_matrix as matrix
from hypothesis import given
from hypothesis import strategies as st

from medray.data.dicom import codestream, jpegxl, syntaxes
from medray.data.dicom.codecs import decode_frame
from medray.data.dicom.dataset import ImagePixel
from medray.errors import InputError, Quarantined

GREY = matrix.values_of(matrix.Kind("MONOCHROME2", 12))
STREAM = matrix.jpeg_xl(GREY, matrix.Kind("MONOCHROME2", 12))
HEADER = ImagePixel(syntaxes.JPEG_XL_LOSSLESS, matrix.ROWS, matrix.COLUMNS, 1, 1, "MONOCHROME2", 16, 12, signed=False)


def encoded(values: np.ndarray[Any, Any], **options: Any) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(values, effort=1, **options))


def code_of(data: bytes, header: ImagePixel = HEADER) -> str:
    with pytest.raises(Quarantined) as caught:
        decode_frame(data, header)
    return caught.value.code


@pytest.mark.parametrize("in_container", [True, False])
@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize(
    "shape", [(64, 64), (40, 60), (300, 17), (110, 132), (9, 16), (90, 160, 3), (80, 64, 3), (9000, 2), (46, 62, 3)]
)
def test_the_header_of_what_libjxl_writes(shape: tuple[int, ...], lossless: bool, in_container: bool) -> None:
    for bits in (1, 7, 8, 10, 12, 16):
        values = np.random.default_rng(bits).integers(0, 1 << bits, shape).astype(np.uint16 if bits > 8 else np.uint8)
        found = jpegxl.read(encoded(values, lossless=lossless, bitspersample=bits, usecontainer=in_container))
        assert found is not None
        assert (found.rows, found.columns, found.samples, found.bits) == (*shape[:2], 3 if len(shape) == 3 else 1, bits)
        assert found.is_plain
        assert found.is_xyb != lossless


@pytest.mark.parametrize("in_container", [True, False])
def test_the_header_of_a_compressed_jpeg(in_container: bool) -> None:
    for kind in (matrix.Kind("MONOCHROME2", 8), matrix.Kind("YBR_FULL_422", 8)):
        jpeg = matrix.jpeg(matrix.values_of(kind), kind)
        found = jpegxl.read(bytes(imagecodecs.jpegxl_encode_jpeg(jpeg, usecontainer=in_container)))
        assert found is not None
        assert (found.rows, found.columns, found.samples, found.bits) == (
            matrix.ROWS,
            matrix.COLUMNS,
            kind.samples,
            8,
        )


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (np.zeros((3, matrix.ROWS, matrix.COLUMNS, 3), np.uint8), "PIXELS_CODEC"),  # an animation
        (np.zeros((matrix.ROWS, matrix.COLUMNS), np.float32), "PIXELS_CODEC"),
        (np.zeros((matrix.ROWS, matrix.COLUMNS, 4), np.uint8), "PIXELS_SIZE"),  # alpha
        (np.zeros((matrix.ROWS, matrix.COLUMNS, 3), np.uint8), "PIXELS_SIZE"),
        (np.zeros((matrix.ROWS, matrix.COLUMNS + 1), np.uint8), "PIXELS_SIZE"),
    ],
)
def test_what_is_no_single_picture_of_the_header_is_refused(values: np.ndarray[Any, Any], code: str) -> None:
    assert code_of(encoded(values, lossless=True)) == code


def test_more_bits_than_are_allocated_are_refused() -> None:
    assert code_of(STREAM, replace(HEADER, bits_allocated=8, bits_stored=8)) == "PIXELS_SIZE"


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.95, 1.0])
@pytest.mark.parametrize("in_container", [True, False])
def test_a_short_image_is_never_filled_up(in_container: bool, share: float) -> None:
    data = encoded(GREY, lossless=True, bitspersample=12, usecontainer=in_container)
    assert code_of(data[: int(share * (len(data) - 1))]) == "PIXELS_TRUNCATED"


def test_a_picture_that_needs_too_much_memory_is_refused_before_it_is_decoded() -> None:
    wide = replace(HEADER, rows=1 << 14, columns=1 << 14)
    data = _with_size(STREAM, 1 << 14)
    assert (codestream.read(data).rows, codestream.read(data).columns) == (1 << 14, 1 << 14)
    assert code_of(data, wide) == "PIXELS_TOO_MANY"


def _with_size(bare: bytes, size: int) -> bytes:
    """The code stream with another size in its header, which ends at another bit: what follows is moved."""
    bits = int.from_bytes(bare[2:], "little")
    bits >>= 1 + 2 + 9 + 3 + 2 + 9  # of 46 × 62: a length of 9 bits each, and no ratio
    header, count = 0, 0
    for value, width in ((0, 1), (2, 2), (size - 1, 18), (1, 3)):
        header |= value << count
        count += width
    return bare[:2] + (header | bits << count).to_bytes(len(bare) + 4, "little")


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=5))
def test_mutated_images_give_the_stated_size_or_a_typed_error(edits: list[tuple[float, int]]) -> None:
    mutated = bytearray(STREAM)
    for where, value in edits:
        mutated[int(where * (len(STREAM) - 1))] = value
    try:
        assert decode_frame(bytes(mutated), HEADER)[0].shape == GREY.shape
    except InputError:
        return


@given(
    st.binary(max_size=80),
    st.sampled_from([b"\xff\x0a", STREAM[:9], b"\0\0\0\x0cJXL \r\n\x87\n", b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\0jxlc\xff\x0a"]),
)
def test_any_bytes_state_a_size_or_none(tail: bytes, start: bytes) -> None:
    assert isinstance(codestream.read(start + tail), codestream.CodeStream)
