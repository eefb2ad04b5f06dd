"""Stored values: equal to pydicom's on every file it has, and to the uncompressed twin of every lossless one; frame by frame."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import syntax_matrix as matrix
from pydicom import uid
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import convert_color_space

from medray.data.dicom import decode
from medray.data.dicom.colour import rgb_of
from medray.data.dicom.dataset import DicomFile
from medray.data.dicom.header import header_of
from medray.data.dicom.parse import parse
from medray.data.dicom.pixels import stored_values
from medray.errors import Excluded, InputError, Quarantined
from medray.types import Header

data_store = pytest.importorskip("data_store", reason="pydicom-data is not installed")
FOLDERS = [Path(pydicom.__file__).parent / "data" / "test_files", Path(data_store.__file__).parent / "data"]
FILES = {path.relative_to(folder).as_posix(): path for folder in FOLDERS for path in folder.rglob("*") if path.is_file()}
LOSSY_JPEG = {uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit}


def opened(name: str) -> tuple[DicomFile, Header]:
    """A file with pixels, whatever object it is."""
    data = FILES[name].read_bytes()
    file = parse(data, len(data))
    assert file is not None
    assert file.pixels is not None
    return file, header_of(file)


def decodable() -> list[str]:
    found = []
    missed = {"badVR.dcm", "nested_priv_SQ.dcm", "emri_small_jpeg_2k_lossless_too_short.dcm"}
    for name in sorted(FILES.keys() - missed):  # pydicom misses numbers in the headers, and pixel data without its delimiter
        with contextlib.suppress(InputError, AssertionError):
            file, header = opened(name)
            stored_values(file, header, header.frames - 1)
            found.append(name)
    return found


def by_pydicom(name: str, frame: int) -> np.ndarray[Any, Any] | None:
    """By the first decoder that can; Pillow has the same libjpeg."""
    dataset = pydicom.dcmread(FILES[name])
    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    for plugin in decoder.available_plugins or [""]:
        with contextlib.suppress(RuntimeError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return decoder.as_array(dataset, decoding_plugin=plugin, index=frame)[0]
    return None


def test_every_file_has_the_values_that_pydicom_finds() -> None:
    names = decodable()
    assert len(names) > 150
    for name in names:
        file, header = opened(name)
        ours, theirs = stored_values(file, header, header.frames - 1), by_pydicom(name, header.frames - 1)
        if theirs is None:
            assert header.transfer_syntax == uid.JPEGExtended12Bit, name
            continue
        assert ours.dtype == theirs.dtype.newbyteorder("="), name
        assert ours.shape == theirs.shape, name
        rounding = 1 if header.transfer_syntax in LOSSY_JPEG else 0
        assert np.abs(ours.astype(np.int64) - theirs.astype(np.int64)).max() <= rounding, name


TWINS = [
    ("693_J2KR.dcm", "693_UNCR.dcm"),
    ("MR2_J2KR.dcm", "MR2_UNCR.dcm"),
    ("RG1_J2KR.dcm", "RG1_UNCR.dcm"),
    ("RG3_J2KR.dcm", "RG3_UNCR.dcm"),
    ("US1_J2KR.dcm", "US1_UNCR.dcm"),
    ("OBXXXX1A_rle.dcm", "OBXXXX1A.dcm"),
    ("OBXXXX1A_rle_2frame.dcm", "OBXXXX1A_2frame.dcm"),
    ("OBXXXX1A_expb_2frame.dcm", "OBXXXX1A_2frame.dcm"),
    ("SC_rgb_rle_2frame.dcm", "SC_rgb_2frame.dcm"),
    ("SC_rgb_rle_16bit_2frame.dcm", "SC_rgb_16bit_2frame.dcm"),
    ("SC_rgb_expb_16bit_2frame.dcm", "SC_rgb_16bit_2frame.dcm"),
    ("SC_rgb_rle_32bit_2frame.dcm", "SC_rgb_32bit_2frame.dcm"),
    ("SC_rgb_gdcm_KY.dcm", "SC_rgb_gdcm2k_uncompressed.dcm"),
    ("SC_rgb_jpeg_gdcm.dcm", "SC_rgb.dcm"),
    ("color-pl.dcm", "color-px.dcm"),
    ("emri_small_RLE.dcm", "emri_small.dcm"),
    ("emri_small_big_endian.dcm", "emri_small.dcm"),
    ("emri_small_jpeg_2k_lossless.dcm", "emri_small.dcm"),
    ("emri_small_jpeg_ls_lossless.dcm", "emri_small.dcm"),
    ("gdcm-US-ALOKA-16_big.dcm", "gdcm-US-ALOKA-16.dcm"),
    ("liver_expb.dcm", "liver.dcm"),
    ("rtdose_rle.dcm", "rtdose.dcm"),
    ("rtdose_expb.dcm", "rtdose.dcm"),
    *(
        (f"MR_small_{name}.dcm", "MR_small.dcm")
        for name in ("RLE", "expb", "implicit", "jp2klossless", "jpeg_ls_lossless", "padded")
    ),
]


@pytest.mark.parametrize(("name", "twin"), TWINS)
def test_a_lossless_file_has_the_values_of_its_uncompressed_twin(name: str, twin: str) -> None:
    (file, header), (other, about) = opened(name), opened(twin)
    assert header.frames == about.frames
    for frame in range(header.frames):
        np.testing.assert_array_equal(stored_values(file, header, frame), stored_values(other, about, frame))


# --- frames --------------------------------------------------------------------------------------------------------------------


def multi_frame(kind: matrix.Kind, frames: int) -> tuple[bytes, list[np.ndarray[Any, Any]]]:
    """An uncompressed file of frames that differ."""
    values = [np.roll(matrix.values_of(kind), frame, axis=0)[: matrix.ROWS, :] for frame in range(frames)]
    stack = np.stack(values)
    made = matrix.dataset(matrix.SYNTAXES[1], kind, values[0], NumberOfFrames=frames)
    made.PixelData = np.packbits(stack, bitorder="little").tobytes() if kind.bits == 1 else stack.tobytes()
    return matrix.file_bytes(made), values


@pytest.mark.parametrize("kind", [matrix.Kind("MONOCHROME2", 1), matrix.Kind("MONOCHROME2", 12), matrix.Kind("RGB", 8)])
def test_each_frame_of_a_native_file_is_read_alone(kind: matrix.Kind) -> None:
    data, values = multi_frame(kind, 3)  # a frame of 46 × 62 bits does not end at a byte
    for frame, expected in enumerate(values):
        np.testing.assert_array_equal(matrix.stored(data, frame), expected)
    with pytest.raises(Excluded, match="IMAGE_MULTI_FRAME"):
        decode(data)
    if kind.samples == 1:
        np.testing.assert_array_equal(decode(data, frame=2).pixels, values[2])


def test_bytes_of_odd_frames_in_big_endian_words_are_put_right() -> None:
    values = np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 3, 5)
    kind = matrix.Kind("MONOCHROME2", 8)
    made = matrix.dataset(matrix.SYNTAXES[1], kind, matrix.values_of(kind), Rows=3, Columns=5, NumberOfFrames=2)
    made.PixelData = np.frombuffer(values.tobytes(), "<u2").byteswap().tobytes()
    made.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    made["PixelData"].VR = "OW"
    data = matrix.file_bytes(made)
    for frame in range(2):
        np.testing.assert_array_equal(matrix.stored(data, frame), values[frame])
    made["PixelData"].VR = "OB"
    made.PixelData = values.tobytes()
    np.testing.assert_array_equal(matrix.stored(matrix.file_bytes(made), 1), values[1])


# --- colour, signs, refusals ---------------------------------------------------------------------------------------------------


def test_ybr_becomes_rgb_as_pydicom_has_it() -> None:
    ybr = np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    np.testing.assert_array_equal(rgb_of(ybr, 8), convert_color_space(ybr, "YBR_FULL", "RGB"))
    grey = np.full((1, 1, 3), 2048, np.uint16)
    assert rgb_of(grey, 12).tolist() == [[[2048, 2048, 2048]]]


def test_the_sign_is_that_of_the_lower_depth_where_jpeg_ls_states_more() -> None:
    kind = matrix.Kind("MONOCHROME2", 12, signed=True)
    values = matrix.values_of(kind)
    masked = matrix.Syntax(uid.JPEGLSLossless, lambda x, k: matrix.jpeg_ls(0)(matrix.unsigned(x, k), k), matrix.lossless)
    np.testing.assert_array_equal(matrix.stored(matrix.file_bytes(matrix.dataset(masked, kind, values))), values)


@pytest.mark.parametrize(
    ("name", "flag"), [("693_J2KI.dcm", "J2K_DEPTH_DIFFERS"), ("J2K_pixelrep_mismatch.dcm", "J2K_SIGN_DIFFERS")]
)
def test_jpeg_2000_that_differs_from_its_header_is_flagged(name: str, flag: str) -> None:
    assert flag in decode(FILES[name]).header.flags


@pytest.mark.parametrize(("photometric", "columns", "code"), [("YBR_RCT", 62, "PHOTOMETRIC"), ("YBR_FULL_422", 61, "SHAPE")])
def test_native_colour_that_cannot_be_is_refused(photometric: str, columns: int, code: str) -> None:
    kind = matrix.Kind("RGB", 8)
    made = matrix.dataset(matrix.SYNTAXES[1], kind, matrix.values_of(kind), Columns=columns)
    made.PhotometricInterpretation = photometric
    made.PixelData = bytes(matrix.ROWS * columns * (3 if photometric == "YBR_RCT" else 2))
    with pytest.raises(Quarantined, match=f"PIXELS_{code}"):
        matrix.stored(matrix.file_bytes(made))
