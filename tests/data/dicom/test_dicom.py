"""Decoding on pydicom's own test files and on broken ones made here: the right pixels, or a typed error with a stable code."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from dicom_series import SeriesSpec, as_bytes, datasets, enhanced
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import UID, HTJ2KLossless, JPEG2000Lossless, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from medray.data.dicom import decode, inspect
from medray.data.pseudonym import Key, using
from medray.errors import InputError
from medray.types import Image

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
HEAD_BYTES = 64 * 1024
LUMA = np.array([0.299, 0.587, 0.114])

IMAGES = [
    "693_J2KI.dcm",
    "CT_small.dcm",
    "ExplVR_BigEnd.dcm",
    "GDCMJ2K_TextGBR.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "JPEG-lossy.dcm",
    "JPEG2000.dcm",
    "JPGExtended.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_expb.dcm",
    "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_padded.dcm",
    "SC_rgb_dcmtk_+eb+cr.dcm",
    "SC_rgb_gdcm_KY.dcm",
    "SC_rgb_jpeg.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "SC_rgb_rle.dcm",
    "SC_rgb_rle_16bit.dcm",
    "SC_rgb_small_odd.dcm",
    "SC_rgb_small_odd_big_endian.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "examples_jpeg2k.dcm",
    "examples_overlay.dcm",
    "examples_palette.dcm",
    "examples_rgb_color.dcm",
    "image_dfl.dcm",
    "dicomdirtests/77654033/CR1/6154",
    "dicomdirtests/98892001/CT2N/6293",
]
REFUSED = {
    "JPEG2000-embedded-sequence-delimiter.dcm": "PIXELS_SIZE",
    "JPEGLSNearLossless_08.dcm": "DICOM_MISSING_UID",
    "SC_rgb_jls_lossy_line.dcm": "DICOM_MISSING_UID",
    "empty_charset_LEI.dcm": "DICOM_MISSING_UID",
    "MR_truncated.dcm": "PIXELS_TRUNCATED",
    "SC_rgb_rle_32bit.dcm": "PIXELS_BITS",
    "UN_sequence.dcm": "PIXELS_MISSING",
    "meta_missing_tsyntax.dcm": "DICOM_NO_TRANSFER_SYNTAX",
    "ExplVR_LitEndNoMeta.dcm": "DICOM_NOT_DICOM",
    "README.txt": "DICOM_NOT_DICOM",
    "crayons.icc": "DICOM_NOT_DICOM",
    "no_meta.dcm": "DICOM_NOT_DICOM",
    "rtstruct.dcm": "DICOM_NOT_DICOM",
    "zipMR.gz": "DICOM_NOT_DICOM",
    "SC_rgb_rle_2frame.dcm": "IMAGE_MULTI_FRAME",
    "examples_ybr_color.dcm": "IMAGE_MULTI_FRAME",
    "liver_1frame.dcm": "OBJECT_SEGMENTATION",
    "dicomdirtests/DICOMDIR": "OBJECT_DICOMDIR",
    "reportsi.dcm": "OBJECT_NOT_AN_IMAGE",
    "rtdose.dcm": "OBJECT_NOT_AN_IMAGE",
    "rtplan.dcm": "OBJECT_NOT_AN_IMAGE",
    "test-SR.dcm": "OBJECT_NOT_AN_IMAGE",
    "waveform_ecg.dcm": "OBJECT_NOT_AN_IMAGE",
}


def dataset(name: str = "MR_small.dcm", **changes: Any) -> FileDataset:
    """One of pydicom's files with other values; None removes an element."""
    found: FileDataset = pydicom.dcmread(FILES / name)
    for keyword, value in changes.items():
        if value is None:
            delattr(found, keyword)
        else:
            setattr(found, keyword, value)
    return found


def file_bytes(data: Dataset) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, data)
    return buffer.getvalue()


def code_of(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        decode(data)
    return caught.value.code


# --- pydicom's files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_file_decodes(name: str) -> None:
    image = decode(FILES / name)
    assert image.pixels.dtype == np.float32
    assert image.pixels.shape == (image.header.rows, image.header.columns)
    assert np.isfinite(image.pixels).all()
    assert image.pixels.min() < image.pixels.max()


@pytest.mark.parametrize(("name", "code"), REFUSED.items())
def test_a_file_that_is_no_usable_image_has_its_code(name: str, code: str) -> None:
    assert code_of((FILES / name).read_bytes()) == code


def test_every_file_gives_an_image_or_a_typed_error_and_the_head_tells_the_same() -> None:
    paths = sorted(path for path in FILES.rglob("*") if path.is_file())
    assert len(paths) > 100
    for path in paths:
        data = path.read_bytes()
        found, seen = outcome(data), glance(data[:HEAD_BYTES], len(data))
        if isinstance(found, Image):
            of_pixels = {"J2K_DEPTH_DIFFERS", "J2K_SIGN_DIFFERS", "PIXELS_CONSTANT"}
            flags = tuple(flag for flag in found.header.flags if flag not in of_pixels)
            assert seen in (None, replace(found.header, flags=flags)), path.name
        elif isinstance(seen, str):  # what the head refuses, decode refuses for the same reason; only pixels fail later
            assert seen == found, path.name


def outcome(data: bytes) -> Image | str:
    try:
        return decode(data)
    except InputError as error:
        return error.code


def glance(head: bytes, size_bytes: int) -> object:
    try:
        return inspect(head, size_bytes)
    except InputError as error:
        return error.code


@pytest.mark.parametrize(
    "name", ["MR_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "MR_small_bigendian.dcm", "waveform_ecg.dcm"]
)
def test_a_head_of_any_length_gives_the_header_or_asks_for_more(name: str) -> None:
    data = (FILES / name).read_bytes()
    whole = glance(data, len(data))
    answers = [glance(data[:length], len(data)) for length in range(132, min(len(data), 4000), 37)]
    assert None in answers
    assert set(answers) <= {None, whole}


# --- the right pixels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["RLE", "bigendian", "expb", "implicit", "jp2klossless", "jpeg_ls_lossless", "padded"])
def test_lossless_variants_of_the_mr_file_hold_the_same_pixels(variant: str) -> None:
    np.testing.assert_array_equal(decode(FILES / f"MR_small_{variant}.dcm").pixels, decode(FILES / "MR_small.dcm").pixels)


@pytest.mark.parametrize("variant", ["SC_rgb_gdcm_KY.dcm", "SC_rgb_jpeg_gdcm.dcm"])
def test_lossless_variants_of_the_colour_file_hold_the_same_pixels(variant: str) -> None:
    np.testing.assert_array_equal(decode(FILES / variant).pixels, decode(FILES / "SC_rgb_rle.dcm").pixels)


def test_the_byte_order_of_odd_sized_colour_does_not_matter() -> None:
    little, big = (decode(FILES / f"SC_rgb_small_odd{suffix}.dcm") for suffix in ("", "_big_endian"))
    np.testing.assert_array_equal(little.pixels, big.pixels)


@pytest.mark.parametrize("name", ["MR_small.dcm", "CT_small.dcm", "ExplVR_BigEnd.dcm"])
def test_uncompressed_pixels_are_those_of_the_file(name: str) -> None:
    found = pydicom.dcmread(FILES / name)
    order = "<" if found.file_meta.TransferSyntaxUID.is_little_endian else ">"
    kind = f"{order}{'i' if found.PixelRepresentation else 'u'}{found.BitsAllocated // 8}"
    shape = (found.SamplesPerPixel, found.Rows, found.Columns)  # the colour file holds one plane after the other
    stored = np.frombuffer(found.PixelData, kind, count=int(np.prod(shape))).reshape(shape)
    if shape[0] == 3:
        expected = np.moveaxis(stored, 0, -1) @ LUMA
    else:
        expected = stored[0] * found.get("RescaleSlope", 1) + found.get("RescaleIntercept", 0)
    np.testing.assert_allclose(decode(FILES / name).pixels, expected, atol=1e-3)


def test_colour_becomes_bt601_luminance() -> None:
    found = pydicom.dcmread(FILES / "SC_rgb_small_odd.dcm")
    rgb = np.frombuffer(found.PixelData, np.uint8, count=27).reshape(3, 3, 3)
    np.testing.assert_allclose(decode(FILES / "SC_rgb_small_odd.dcm").pixels, rgb @ LUMA, rtol=1e-5)


def test_a_palette_becomes_the_luminance_of_its_colours() -> None:
    found = pydicom.dcmread(FILES / "examples_palette.dcm")
    tables = [np.frombuffer(found[f"{colour}PaletteColorLookupTableData"].value, "<u2") for colour in ("Red", "Green", "Blue")]
    index = np.frombuffer(found.PixelData, np.uint8, count=found.Rows * found.Columns).reshape(found.Rows, found.Columns)
    expected = sum(weight * table[index] for weight, table in zip(LUMA, tables, strict=True))
    np.testing.assert_allclose(decode(FILES / "examples_palette.dcm").pixels, expected, rtol=1e-5, atol=1e-2)


def j2k(pixels: np.ndarray, bits: int) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True, bitspersample=bits))


def ht_j2k(pixels: np.ndarray, bits: int) -> bytes:
    return bytes(imagecodecs.htj2k_encode(pixels))


def jpeg_ls(pixels: np.ndarray, bits: int) -> bytes:
    return bytes(imagecodecs.jpegls_encode(pixels))


def lossless_jpeg(pixels: np.ndarray, bits: int) -> bytes:
    return bytes(imagecodecs.ljpeg_encode(pixels, bitspersample=bits))


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [(JPEG2000Lossless, j2k), (HTJ2KLossless, ht_j2k), (JPEGLSLossless, jpeg_ls), (JPEGLossless, lossless_jpeg)],
)
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_what_is_compressed_without_loss_comes_back(syntax: UID, encode: Any, bits: int) -> None:
    kind = np.uint8 if bits == 8 else np.uint16
    pixels = np.random.default_rng(bits).integers(0, 1 << bits, (40, 56)).astype(kind)
    made = grey(pixels, bits)
    made.file_meta.TransferSyntaxUID = syntax
    made.PixelData = encapsulate([encode(pixels, bits)])
    np.testing.assert_array_equal(decode(file_bytes(made)).pixels, pixels)


def grey(pixels: np.ndarray, bits: int, *, signed: bool = False, **changes: Any) -> FileDataset:
    """The MR file with these pixels."""
    made = dataset(PixelData=pixels.tobytes(), BitsAllocated=8 * pixels.itemsize, BitsStored=bits, HighBit=bits - 1)
    made.Rows, made.Columns = pixels.shape
    made.PixelRepresentation = int(signed)
    for keyword, value in changes.items():
        setattr(made, keyword, value)
    return made


def test_overlay_bits_above_the_stored_bits_do_not_count() -> None:
    pixels = np.arange(4096, dtype="<u2").reshape(64, 64)
    np.testing.assert_array_equal(decode(file_bytes(grey(pixels | 0x8000, 12))).pixels, pixels)


@pytest.mark.parametrize("extended", [True, False])
def test_twelve_signed_bits_keep_their_sign(extended: bool) -> None:
    pixels = np.arange(-2048, 2048, dtype="<i2").reshape(64, 64)
    stored = pixels if extended else pixels.view("<u2") & 0x0FFF
    np.testing.assert_array_equal(decode(file_bytes(grey(stored, 12, signed=True))).pixels, pixels)


def test_the_rescale_is_applied() -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    image = decode(file_bytes(grey(pixels, 8, RescaleSlope=2.5, RescaleIntercept=-10)))
    np.testing.assert_allclose(image.pixels, pixels * 2.5 - 10)


def test_the_modality_lut_is_applied() -> None:
    table = Dataset()
    table.LUTDescriptor, table.LUTData, table.ModalityLUTType = [64, 0, 16], list(range(1000, 1640, 10)), "US"
    table["LUTDescriptor"].VR, table["LUTData"].VR = "US", "US"
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    image = decode(file_bytes(grey(pixels, 8, ModalityLUTSequence=Sequence([table]))))
    np.testing.assert_array_equal(image.pixels, 1000 + 10 * pixels.astype(int))


def test_padding_is_marked_and_not_changed() -> None:
    pixels = np.full((8, 8), 100, "<u2")
    pixels[:2], pixels[2] = 0, 3
    made = grey(pixels, 16, PixelPaddingValue=0)
    made["PixelPaddingValue"].VR = "US"
    image = decode(file_bytes(made))
    assert image.valid is not None
    np.testing.assert_array_equal(image.valid, pixels != 0)
    made.PixelPaddingRangeLimit = 3
    made["PixelPaddingRangeLimit"].VR = "US"
    ranged = decode(file_bytes(made))
    assert ranged.valid is not None
    np.testing.assert_array_equal(ranged.valid, pixels > 3)
    np.testing.assert_array_equal(ranged.pixels, pixels)


def test_padding_that_no_pixel_has_marks_nothing() -> None:
    assert "PixelPaddingValue" in pydicom.dcmread(FILES / "CT_small.dcm")
    assert decode(FILES / "CT_small.dcm").valid is None


# --- MONOCHROME1 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [1.0, 2.0])
@pytest.mark.parametrize("signed", [False, True])
def test_monochrome1_looks_like_its_inverted_twin_through_the_window(signed: bool, slope: float) -> None:
    first = -2048 if signed else 0
    stored = np.arange(first, first + 4096, dtype="<i2").reshape(64, 64)
    window = {"WindowCenter": 700, "WindowWidth": 900, "RescaleSlope": slope, "RescaleIntercept": -5}
    bright = decode(file_bytes(grey(stored, 12, signed=signed, **window)))
    dark = decode(file_bytes(grey(stored, 12, signed=signed, PhotometricInterpretation="MONOCHROME1", **window)))
    assert (dark.pixels.min(), dark.pixels.max()) == (bright.pixels.min(), bright.pixels.max())
    np.testing.assert_allclose(through_window(dark), 1 - through_window(bright), atol=1e-6)


def through_window(image: Image) -> np.ndarray:
    """The linear VOI function of PS3.3 C.11.2.1.2.1, clipped to [0, 1]."""
    assert image.header.voi_window is not None
    centre, width = image.header.voi_window
    return np.clip((image.pixels.astype(float) - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)


def test_a_monochrome1_radiograph_equals_its_inverted_twin() -> None:
    name = "dicomdirtests/77654033/CR1/6154"
    original = pydicom.dcmread(FILES / name)
    assert original.PhotometricInterpretation == "MONOCHROME1"
    last = (1 << original.BitsStored) - 1
    stored = np.frombuffer(original.PixelData, "<u2", count=original.Rows * original.Columns)
    twin = dataset(name, PhotometricInterpretation="MONOCHROME2", PixelData=(last - stored).astype("<u2").tobytes())
    np.testing.assert_array_equal(decode(FILES / name).pixels, decode(file_bytes(twin)).pixels)


def test_the_padding_of_monochrome1_is_found_among_the_stored_values() -> None:
    pixels = np.full((8, 8), 10, np.uint8)
    pixels[0] = 255
    made = grey(pixels, 8, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=255)
    made["PixelPaddingValue"].VR = "US"
    image = decode(file_bytes(made))
    assert image.valid is not None
    np.testing.assert_array_equal(image.valid, pixels != 255)


# --- broken files --------------------------------------------------------------------------------------------------------------


def test_one_pixel_of_one_byte_is_padded_to_two() -> None:
    assert decode(file_bytes(grey(np.full((1, 1), 7, np.uint8), 8, PixelData=b"\x07\0"))).pixels.tolist() == [[7.0]]


@pytest.mark.parametrize(
    "name", ["MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "JPEG2000.dcm", "JPGExtended.dcm"]
)
def test_a_file_cut_anywhere_before_its_last_pixel_is_quarantined(name: str) -> None:
    data = (FILES / name).read_bytes()
    end = b"\xfc\xff\xfc\xff" if name.startswith("MR") else b"\xfe\xff\xdd\xe0"  # trailing padding (PS3.10 7.2) or the delimiter
    last = data.rfind(end)
    last = last if last > 0 else data.rfind(b"\xff\xfc\xff\xfc")
    for share in (0.3, 0.6, 0.9, 0.99):
        assert code_of(data[: int(last * share)]).startswith(("PIXELS_", "DICOM_"))
    assert code_of(data[: last - 8]) == "PIXELS_TRUNCATED"


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_rgb_jpeg_gdcm.dcm",
        "JPGExtended.dcm",
    ],
)
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_short_code_stream_is_never_filled_up(name: str, share: float) -> None:
    made = dataset(name)
    frame = next(generate_frames(made.PixelData, number_of_frames=1))
    made.PixelData = encapsulate([frame[: int(share * len(frame))]])
    assert code_of(file_bytes(made)) in ("PIXELS_CODEC", "PIXELS_TRUNCATED")


def test_a_code_stream_of_another_size_or_codec() -> None:
    assert code_of(file_bytes(dataset("MR_small_jp2klossless.dcm", Rows=32))) == "PIXELS_SIZE"
    assert code_of(file_bytes(dataset("MR_small_RLE.dcm", Rows=65))) == "PIXELS_TRUNCATED"
    for syntax in (JPEGLSLossless, JPEGLosslessSV1, RLELossless):
        made = dataset("MR_small_jp2klossless.dcm")
        made.file_meta.TransferSyntaxUID = syntax
        assert code_of(file_bytes(made)) == "PIXELS_CODEC"


# --- hostile bytes -------------------------------------------------------------------------------------------------------------

GOOD = [
    (FILES / name).read_bytes()
    for name in (
        "MR_small.dcm",
        "MR_small_implicit.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_rgb_jpeg_gdcm.dcm",
        "SC_rgb_small_odd.dcm",
    )
]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    good=st.sampled_from(GOOD),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=12),
    in_header=st.booleans(),
    cut=st.none() | st.floats(0, 1),
)
def test_mutated_files_end_in_an_image_or_a_typed_error(
    good: bytes, edits: list[tuple[float, int]], in_header: bool, cut: float | None
) -> None:
    data = bytearray(good)
    span = min(len(data), 1500) - 133 if in_header else len(data) - 133
    for where, value in edits:
        data[132 + int(where * span)] = value
    mutated = bytes(data[: int(cut * len(data))] if cut is not None else data)
    found = outcome(mutated)
    if isinstance(found, Image):
        assert np.isfinite(found.pixels).all()
        assert found.pixels.shape == (found.header.rows, found.header.columns)
    glance(mutated[:HEAD_BYTES], len(mutated))


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_after_the_magic_are_a_typed_error(tail: bytes) -> None:
    assert isinstance(outcome(bytes(128) + b"DICM" + tail), str)


# --- the header record ---------------------------------------------------------------------------------------------------------


def test_the_header_holds_no_patient_attribute() -> None:
    named = file_bytes(dataset(PatientName="Doe^Jane", PatientID="MRN-4711", PatientBirthDate="19610203"))
    header = decode(named).header
    assert not {"Doe", "MRN-4711", "19610203"} & set(str(header).replace("'", " ").split())
    assert "4711" not in str(header)
    assert header.patient_key == decode(named).header.patient_key != ""
    with using(Key(b"the key of one site")):
        here = decode(named).header.patient_key
    with using(Key(b"the key of another site")):
        there = decode(named).header.patient_key
    assert len({header.patient_key, here, there}) == 3


def test_spacing_and_window_come_from_the_header() -> None:
    header = decode(
        file_bytes(dataset("CT_small.dcm", PixelSpacing=[0.5, 0.25], WindowCenter=[40, 50], WindowWidth=[80, 400]))
    ).header
    assert header.spacing_mm == (0.5, 0.25)
    assert header.voi_window == (40.0, 80.0)
    assert decode(file_bytes(dataset("CT_small.dcm", WindowCenter=40, WindowWidth=0))).header.voi_window is None


def test_the_bytes_and_the_path_of_a_file_give_the_same() -> None:
    path = get_testdata_file("MR_small.dcm", download=False)
    np.testing.assert_array_equal(decode(path).pixels, decode(Path(path).read_bytes()).pixels)


@pytest.mark.parametrize("frame", [-1, -4, 3])
def test_a_frame_that_there_is_not(frame: int) -> None:
    spec = SeriesSpec(slices=3)
    with pytest.raises(IndexError):
        decode(as_bytes(enhanced(datasets(spec), spec)), frame)
