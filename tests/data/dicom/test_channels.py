"""``decode(…, colour=True)``: what is stored in colour comes back as red, green and blue; grey stays grey."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import syntax_matrix as matrix
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image as Pillow
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_color_lut, pixel_array

import medray
from medray.data.dicom import decode
from medray.data.masks import decode_mask
from medray.errors import Quarantined
from medray.imaging.op import luminance
from medray.types import Image

NATIVE = matrix.SYNTAXES[1]


def is_grey(kind: matrix.Kind) -> bool:
    return kind.photometric.startswith("MONOCHROME")


def both(data: bytes, frame: int | None = None) -> tuple[Image, Image]:
    """In colour and in grey; the grey one is the luminance of the other, with the same header."""
    image, grey = decode(data, frame, colour=True), decode(data, frame)
    assert image.header == grey.header
    assert image.valid is None
    assert (image.channels, image.shape) == (3, grey.shape)
    assert image.pixels.dtype == np.float32
    assert image.pixels.flags.c_contiguous
    assert luminance(image).pixels.tobytes() == grey.pixels.tobytes()
    return image, grey


@pytest.mark.parametrize("syntax", matrix.SYNTAXES, ids=lambda syntax: syntax.uid)
def test_colours_of_every_transfer_syntax_are_the_stored_values(syntax: matrix.Syntax) -> None:
    for kind in matrix.KINDS:
        if kind.samples == 3 and syntax.defined(kind):
            data = matrix.file_bytes(matrix.dataset(syntax, kind, matrix.values_of(kind)))
            image, _ = both(data)
            np.testing.assert_array_equal(np.moveaxis(image.pixels, 0, -1), matrix.stored(data), err_msg=kind.title)
            assert image.header.photometric == kind.photometric


@pytest.mark.parametrize("kind", [kind for kind in matrix.KINDS if is_grey(kind)], ids=lambda kind: kind.title)
def test_a_grey_image_stays_grey(kind: matrix.Kind) -> None:
    data = matrix.file_bytes(matrix.dataset(NATIVE, kind, matrix.values_of(kind)))
    asked, plain = decode(data, colour=True), decode(data)
    assert (asked.channels, asked.header) == (1, plain.header)
    assert asked.pixels.tobytes() == plain.pixels.tobytes()


@settings(deadline=None, max_examples=30)
@given(st.sampled_from([np.uint8, np.uint16]).flatmap(lambda dtype: arrays(dtype, (matrix.ROWS, matrix.COLUMNS, 3))))
def test_planes_and_pixels_give_the_same_image(values: Any) -> None:
    kind = matrix.Kind("RGB", 8 * values.itemsize)
    by_pixel = matrix.dataset(NATIVE, kind, values)
    by_plane = matrix.dataset(NATIVE, kind, values, PlanarConfiguration=1)
    by_plane.PixelData = np.ascontiguousarray(np.moveaxis(values, -1, 0)).tobytes()
    for made in (by_pixel, by_plane):
        np.testing.assert_array_equal(both(matrix.file_bytes(made))[0].pixels, np.moveaxis(values, -1, 0))


@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette_gives_its_colours(bits: int) -> None:
    kind = matrix.Kind("PALETTE COLOR", bits)
    indices = matrix.values_of(kind)
    made = matrix.dataset(NATIVE, kind, indices)
    image, _ = both(matrix.file_bytes(made))
    np.testing.assert_array_equal(np.moveaxis(image.pixels, 0, -1), apply_color_lut(indices, made))


@pytest.mark.parametrize("name", ["examples_palette.dcm", "OBXXXX1A.dcm", "gdcm-US-ALOKA-16.dcm"])
def test_palettes_of_real_files_give_pydicoms_colours(name: str) -> None:
    path = str(get_testdata_file(name))
    found = pydicom.dcmread(path)
    image, _ = both(Path(path).read_bytes())
    np.testing.assert_array_equal(np.moveaxis(image.pixels, 0, -1), apply_color_lut(found.pixel_array, found))


@pytest.mark.parametrize("name", ["SC_rgb_rle.dcm", "SC_rgb_small_odd.dcm", "examples_rgb_color.dcm"])
def test_colours_of_real_files_are_pydicoms(name: str) -> None:
    path = str(get_testdata_file(name))
    image, _ = both(Path(path).read_bytes())
    np.testing.assert_array_equal(np.moveaxis(image.pixels, 0, -1), pixel_array(path))


def test_a_frame_of_a_cine_keeps_its_colours() -> None:
    values = np.stack([matrix.values_of(matrix.Kind("RGB", 8)), matrix.values_of(matrix.Kind("RGB", 8))[::-1]])
    made = matrix.dataset(NATIVE, matrix.Kind("RGB", 8), values[0], NumberOfFrames=2)
    made.PixelData = values.tobytes()
    data = matrix.file_bytes(made)
    for frame in (0, 1):
        image, _ = both(data, frame)
        np.testing.assert_array_equal(np.moveaxis(image.pixels, 0, -1), values[frame])
        assert image.frame == frame


def test_a_broken_palette_is_as_broken_in_colour() -> None:
    kind = matrix.Kind("PALETTE COLOR", 8)
    made = matrix.dataset(NATIVE, kind, matrix.values_of(kind))
    made.GreenPaletteColorLookupTableDescriptor = [128, 0, 16]
    for colour in (False, True):
        with pytest.raises(Quarantined, match="PIXELS_LUT"):
            decode(matrix.file_bytes(made), colour=colour)


def test_one_colour_is_flagged_as_constant() -> None:
    kind = matrix.Kind("RGB", 8)
    values = np.broadcast_to(np.uint8([200, 10, 30]), (matrix.ROWS, matrix.COLUMNS, 3))
    image, _ = both(matrix.file_bytes(matrix.dataset(NATIVE, kind, values)))
    assert "PIXELS_CONSTANT" in image.header.flags


def test_a_mask_of_an_image_in_colour_is_a_plane() -> None:
    kind = matrix.Kind("RGB", 8)
    image = medray.decode(matrix.file_bytes(matrix.dataset(NATIVE, kind, matrix.values_of(kind))), colour=True)
    drawn = np.zeros((matrix.ROWS, matrix.COLUMNS), np.uint8)
    drawn[3:9, 4:7] = 255
    png = io.BytesIO()
    Pillow.fromarray(drawn).save(png, "png")
    np.testing.assert_array_equal(decode_mask(png.getvalue(), image), drawn > 0)
