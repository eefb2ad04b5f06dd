"""Modality LUT, palette and VOI LUT: equal to pydicom's on its files and on made ones; corrupt tables are refused."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pydicom
import pytest
import syntax_matrix as matrix
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi, apply_windowing
from pydicom.sequence import Sequence

from medray.data.dicom import decode, inspect, tags
from medray.data.dicom.dataset import DataSet
from medray.data.dicom.luts import palette_luminance, rescaled
from medray.data.dicom.palette import expanded
from medray.errors import InputError, Quarantined
from medray.imaging.table import Window, window

LUMA = np.array([0.299, 0.587, 0.114])
GREY = matrix.Kind("MONOCHROME2", 12)
SIGNED = matrix.Kind("MONOCHROME2", 12, signed=True)


def made(kind: matrix.Kind = GREY, **changes: Any) -> pydicom.FileDataset:
    return matrix.dataset(matrix.SYNTAXES[1], kind, matrix.values_of(kind), **changes)


def lut(descriptor: list[int], data: bytes, *, signed: bool = False) -> Sequence:
    item = Dataset()
    item.add_new(0x00283002, "SS" if signed else "US", descriptor)
    item.add_new(0x00283004, "LO", "US")
    item.add_new(0x00283006, "OW", data)
    return Sequence([item])


def words(values: Any) -> bytes:
    return np.asarray(values).astype("<u2").tobytes()


def reread(found: pydicom.FileDataset) -> tuple[pydicom.FileDataset, bytes]:
    data = matrix.file_bytes(found)
    return pydicom.dcmread(io.BytesIO(data)), data


def code_of(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        decode(data)
    return caught.value.code


# --- modality ------------------------------------------------------------------------------------------------------------------


@given(
    st.integers(1, 10**9).map(lambda millionths: millionths / 10**6) | st.integers(-300, 300).map(float),
    st.integers(-(10**9), 10**9).map(lambda thousandths: thousandths / 1000) | st.integers(-5000, 5000).map(float),
    st.sampled_from(["u1", "i1", "u2", "i2", "u4"]),
)
def test_rescaled_values_are_pydicoms_rounded_to_float32(slope: float, intercept: float, dtype: str) -> None:
    info = np.iinfo(dtype)
    stored = np.linspace(info.min, info.max, 70_000).astype(dtype).reshape(100, 700)
    theirs = Dataset()
    theirs.RescaleSlope, theirs.RescaleIntercept = str(slope)[:16], str(intercept)[:16]
    expected = apply_modality_lut(stored, theirs).astype(np.float32)
    np.testing.assert_array_equal(rescaled(stored, float(theirs.RescaleSlope), float(theirs.RescaleIntercept)), expected)


def test_values_beyond_float32_are_refused() -> None:
    with pytest.raises(Quarantined, match="PIXELS_NOT_FINITE"):
        rescaled(np.ones((2, 2), np.uint16), 1e38, 0.0)


@pytest.mark.parametrize("name", ["mlut_18.dcm", "CT_small.dcm", "693_UNCI.dcm", "eCT_Supplemental.dcm", "JPEG-LL.dcm"])
def test_modality_values_of_files_are_pydicoms(name: str) -> None:
    path = get_testdata_file(name, download=False)
    found = pydicom.dcmread(path)
    shared = found.get("SharedFunctionalGroupsSequence")
    source = shared[0].PixelValueTransformationSequence[0] if shared else found
    stored = found.pixel_array[1] if shared else found.pixel_array
    ours = decode(path, frame=1 if shared else None)
    np.testing.assert_array_equal(ours.pixels, apply_modality_lut(stored, source).astype(np.float32))


@pytest.mark.parametrize(("kind", "first"), [(GREY, 1000), (SIGNED, -700)])
def test_a_modality_lut_maps_what_is_below_and_above_to_its_ends(kind: matrix.Kind, first: int) -> None:
    values = np.arange(500) * 7 + 3
    found = made(kind, ModalityLUTSequence=lut([500, first, 16], words(values), signed=kind.signed))
    image = decode(matrix.file_bytes(found))
    expected = values[np.clip(matrix.values_of(kind).astype(int) - first, 0, 499)]
    np.testing.assert_array_equal(image.pixels, expected)


def test_zero_entries_are_65536_and_bytes_may_be_packed() -> None:
    kind = matrix.Kind("MONOCHROME2", 16)
    squares = np.arange(65536) // 3
    image = decode(matrix.file_bytes(made(kind, ModalityLUTSequence=lut([0, 0, 16], words(squares)))))
    np.testing.assert_array_equal(image.pixels, squares[matrix.values_of(kind)])
    packed = bytes(range(255, -1, -1))
    eight = matrix.Kind("MONOCHROME2", 8)
    image = decode(matrix.file_bytes(made(eight, ModalityLUTSequence=lut([256, 0, 8], packed))))
    np.testing.assert_array_equal(image.pixels, 255 - matrix.values_of(eight).astype(int))


def test_the_output_of_a_modality_lut_is_mirrored_for_monochrome1() -> None:
    values = np.arange(4096) * 16
    inverse = matrix.Kind("MONOCHROME1", 12)
    image = decode(matrix.file_bytes(made(inverse, ModalityLUTSequence=lut([4096, 0, 16], words(values)))))
    np.testing.assert_array_equal(image.pixels, 65535 - values[matrix.values_of(inverse)])


CORRUPT = {
    "short": lut([500, 0, 16], words(range(499))),
    "3 bits": lut([500, 0, 3], words(range(500))),
    "no bits": lut([500, 0], words(range(500))),
    "no data": lut([0, 0, 16], b""),
}
KINDS = [matrix.Kind("MONOCHROME2", 12), matrix.Kind("MONOCHROME1", 12)]


@pytest.mark.parametrize("sequence", CORRUPT.values(), ids=CORRUPT)
def test_a_corrupt_modality_lut_is_refused(sequence: Sequence) -> None:
    assert code_of(matrix.file_bytes(made(ModalityLUTSequence=sequence))) == "PIXELS_LUT"


@pytest.mark.parametrize("sequence", CORRUPT.values(), ids=CORRUPT)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.title)
def test_a_corrupt_voi_lut_is_left_out_and_flagged_as_a_broken_window_is(sequence: Sequence, kind: matrix.Kind) -> None:
    """It is for display: the pixels are what they are without it. The head of the file says the same."""
    data = matrix.file_bytes(made(kind, VOILUTSequence=sequence))
    seen, found, plain = inspect(data[:8192], len(data)), decode(data), decode(matrix.file_bytes(made(kind)))
    assert seen == found.header
    assert (found.voi_lut, found.header.voi_window) == (None, plain.header.voi_window)
    assert set(found.header.flags) - set(plain.header.flags) == {"WINDOW_INVALID"}
    np.testing.assert_array_equal(found.pixels, plain.pixels)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.title)
@pytest.mark.parametrize("placeholder", [Sequence(), Sequence([Dataset()])], ids=["no item", "an empty item"])
def test_a_placeholder_for_a_lut_stands_for_none(placeholder: Sequence, kind: matrix.Kind) -> None:
    described = {"RescaleSlope": 2, "RescaleIntercept": -1024}
    plain = decode(matrix.file_bytes(made(kind, **described)))
    found = decode(matrix.file_bytes(made(kind, **described, ModalityLUTSequence=placeholder, VOILUTSequence=placeholder)))
    np.testing.assert_array_equal(found.pixels, plain.pixels)
    assert (found.header, found.voi_lut) == (plain.header, None)


def test_a_voi_lut_behind_a_placeholder_is_the_first() -> None:
    table = lut([4096, 0, 16], words(range(4096)))
    behind = Sequence([Dataset(), *table])
    found, plain = (decode(matrix.file_bytes(made(VOILUTSequence=sequence))).voi_lut for sequence in (behind, table))
    assert found is not None
    assert plain is not None
    assert found.first == plain.first
    np.testing.assert_array_equal(found.values, plain.values)


def test_a_palette_is_never_a_placeholder() -> None:
    kind = matrix.Kind("PALETTE COLOR", 8)
    assert code_of(matrix.file_bytes(made(kind, RedPaletteColorLookupTableData=b""))) == "PIXELS_LUT"


# --- palette -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["examples_palette.dcm", "OBXXXX1A.dcm", "OBXXXX1A_rle.dcm", "gdcm-US-ALOKA-16.dcm"])
def test_the_luminance_of_a_palette_is_that_of_pydicoms_colours(name: str) -> None:
    path = get_testdata_file(name, download=False)
    found = pydicom.dcmread(path)
    rgb = apply_color_lut(found.pixel_array, found).astype(float)
    np.testing.assert_allclose(decode(path).pixels, rgb @ LUMA, rtol=1e-5, atol=0.01)


@pytest.mark.parametrize(("big", "little"), [("OBXXXX1A_expb", "OBXXXX1A"), ("gdcm-US-ALOKA-16_big", "gdcm-US-ALOKA-16")])
def test_the_entries_of_a_big_endian_palette_are_swapped(big: str, little: str) -> None:  # pydicom does not
    ours, twin = (decode(get_testdata_file(f"{name}.dcm", download=False)).pixels for name in (big, little))
    np.testing.assert_array_equal(ours, twin)


SEGMENTS_16 = struct.pack("<12H", 0, 2, 10, 40, 1, 4, 400, 2, 1, 0, 0, 7)  # discrete, linear, the first again
SEGMENTS_8 = bytes([0, 2, 10, 40, 1, 4, 200, 2, 2, 0, 0, 0, 0, 9])


def test_segments_are_expanded() -> None:
    assert expanded(SEGMENTS_16[:-2], 16, little=True).tolist() == [10, 40, 130, 220, 310, 400, 10, 40]
    assert expanded(SEGMENTS_8, 8, little=True).tolist() == [10, 40, 80, 120, 160, 200, 10, 40, 80, 120, 160, 200]
    big = struct.pack(">11H", *struct.unpack("<11H", SEGMENTS_16[:22]))
    assert expanded(big, 16, little=False).tolist() == [10, 40, 130, 220, 310, 400, 10, 40]


def test_a_segmented_palette_is_read_where_there_is_no_other() -> None:
    descriptors = dict.fromkeys(tags.PALETTE_DESCRIPTORS, struct.pack("<3H", 8, 100, 16))
    segments = dict.fromkeys(tags.PALETTE_SEGMENTED, SEGMENTS_16)
    indices = np.array([[0, 100, 101], [105, 107, 65535]], np.uint16)
    found = palette_luminance(indices, DataSet({**descriptors, **segments}), signed=False)
    np.testing.assert_allclose(found, [[10, 10, 40], [400, 40, 40]], rtol=1e-5)
    placeholders = dict.fromkeys(tags.PALETTE_DATA, b"")
    again = palette_luminance(indices, DataSet({**descriptors, **placeholders, **segments}), signed=False)
    np.testing.assert_array_equal(again, found)
    wrong = {**descriptors, tags.PALETTE_DESCRIPTORS[1]: struct.pack("<3H", 9, 100, 16)}
    with pytest.raises(Quarantined, match="PIXELS_LUT"):
        palette_luminance(indices, DataSet({**wrong, **segments}), signed=False)


@given(st.binary(max_size=64), st.sampled_from([8, 16]), st.booleans())
def test_any_segments_give_a_bounded_table_or_a_typed_error(raw: bytes, bits: int, little: bool) -> None:
    try:
        found = expanded(raw, bits, little=little)
    except Quarantined:
        return
    assert found.size <= 65536


# --- VOI -----------------------------------------------------------------------------------------------------------------------


def seen(data: bytes) -> np.ndarray[Any, Any]:
    return window(decode(data), Window()).pixels


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("kind", [GREY, SIGNED])
@pytest.mark.parametrize(("centre", "width"), [(600.5, 1200.0), (-100.0, 1.0), (3000.0, 333.3)])
def test_windows_are_pydicoms(function: str, kind: matrix.Kind, centre: float, width: float) -> None:
    found, data = reread(
        made(kind, WindowCenter=centre, WindowWidth=width, VOILUTFunction=function, RescaleSlope=2, RescaleIntercept=-1000)
    )
    modality = apply_modality_lut(found.pixel_array, found)
    theirs = apply_windowing(modality, found)
    low, high = (bound * 2 - 1000 for bound in ((-2048, 2047) if kind.signed else (0, 4095)))
    np.testing.assert_allclose(seen(data), (theirs - low) / (high - low), atol=1e-6)


def test_a_voi_lut_goes_before_a_window_and_is_pydicoms() -> None:
    tones = (np.arange(1000) ** 2 // 16).astype(int)
    for first, intercept in ((500, 0), (-300, -800)):
        sequence = lut([1000, first, 16], words(tones), signed=first < 0)
        found, data = reread(
            made(WindowCenter=40, WindowWidth=400, VOILUTSequence=sequence, RescaleSlope=1, RescaleIntercept=intercept)
        )
        theirs = tones[np.clip(found.pixel_array.astype(int) + intercept - first, 0, 999)]
        np.testing.assert_allclose(seen(data), theirs / 65535, atol=1e-6)
        assert window(decode(data), Window(centre=100, width=50)).voi_lut is None


def test_the_voi_lut_of_a_file_is_pydicoms() -> None:
    path = get_testdata_file("vlut_04.dcm", download=False)
    found = pydicom.dcmread(path)
    image = decode(path)
    assert image.voi_lut is not None
    bits = found.VOILUTSequence[0].LUTDescriptor[2]
    theirs = apply_voi(apply_modality_lut(found.pixel_array, found).astype(int), found)
    np.testing.assert_allclose(window(image, Window()).pixels, theirs / ((1 << bits) - 1), atol=1e-6)


@pytest.mark.parametrize("modality_lut", [False, True])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID", "LUT"])
def test_monochrome1_is_shown_as_the_negative_of_monochrome2(function: str, modality_lut: bool) -> None:
    shown = []
    for photometric in ("MONOCHROME2", "MONOCHROME1"):
        kind = matrix.Kind(photometric, 12)
        about: dict[str, Any] = {"RescaleSlope": 3, "RescaleIntercept": -500}
        if modality_lut:
            about = {"ModalityLUTSequence": lut([4096, 0, 12], words(np.arange(4096)))}
        if function == "LUT":
            about["VOILUTSequence"] = lut([2000, 1000, 16], words(np.arange(2000) ** 2 // 64))
        else:
            about |= {"WindowCenter": 1500, "WindowWidth": 2000, "VOILUTFunction": function}
        shown.append(seen(matrix.file_bytes(made(kind, **about))))
    np.testing.assert_allclose(shown[1], 1 - shown[0], atol=1e-6)


# --- padding and flags ---------------------------------------------------------------------------------------------------------


def test_padding_of_signed_values_is_found() -> None:
    found = made(SIGNED)
    least = int(matrix.values_of(SIGNED).min())
    found.add_new(0x00280120, "SS", least)
    found.add_new(0x00280121, "SS", least + 200)
    image = decode(matrix.file_bytes(found))
    assert image.valid is not None
    np.testing.assert_array_equal(image.valid, matrix.values_of(SIGNED) > least + 200)


def test_a_constant_image_is_flagged_and_padding_does_not_count() -> None:
    assert "PIXELS_CONSTANT" not in decode(matrix.file_bytes(made())).header.flags
    values = np.full((matrix.ROWS, matrix.COLUMNS), 7, np.uint16)
    values[10:, 5:] = 9
    found = matrix.dataset(matrix.SYNTAXES[1], GREY, values)
    assert "PIXELS_CONSTANT" not in decode(matrix.file_bytes(found)).header.flags
    found.add_new(0x00280120, "US", 9)
    assert "PIXELS_CONSTANT" in decode(matrix.file_bytes(found)).header.flags
