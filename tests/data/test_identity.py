"""What an image is, however it is encoded: files of pydicom in several encodings, every transfer syntax, every attribute."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import syntax_matrix as matrix
from dicom_series import SeriesSpec, as_bytes, datasets, enhanced
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless
from quantity_images import pet
from syntax_matrix import KINDS, SYNTAXES, Kind, dataset, file_bytes

from medray.data.dicom import decode
from medray.data.identity import image_digest
from medray.errors import InputError

TWINS = [
    [f"MR_small{one}.dcm" for one in ("", "_RLE", "_bigendian", "_expb", "_implicit", "_jp2klossless", "_jpeg_ls_lossless")],
    [f"emri_small{ending}.dcm" for ending in ("", "_RLE", "_big_endian", "_jpeg_2k_lossless", "_jpeg_ls_lossless")],
    ["SC_rgb.dcm", "SC_rgb_rle.dcm", "SC_rgb_expb.dcm", "SC_rgb_jpeg_gdcm.dcm"],
    ["SC_rgb_dcmtk_+eb+cy+n2.dcm", "SC_ybr_full_422_uncompressed.dcm", "SC_ybr_full_uncompressed.dcm"],
    ["OBXXXX1A.dcm", "OBXXXX1A_rle.dcm", "OBXXXX1A_expb.dcm"],
    ["color-pl.dcm", "color-px.dcm"],
    ["gdcm-US-ALOKA-16.dcm", "gdcm-US-ALOKA-16_big.dcm"],
    ["693_J2KR.dcm", "693_UNCR.dcm"],  # whose Bits Stored differ
    ["JPEG2000.dcm", "JPEG2000_UNC.dcm"],  # lossy, and what it decompresses to
]


def real(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"{name} is not on this machine")
    return Path(str(path)).read_bytes()


@pytest.mark.parametrize("names", TWINS, ids=lambda names: names[0])
def test_files_of_one_image_are_one(names: list[str]) -> None:
    contents = [real(name) for name in names]
    assert len({pydicom.dcmread(io.BytesIO(data)).SOPInstanceUID for data in contents}) == 1
    assert len(set(contents)) == len(names)
    assert len({image_digest(data) for data in contents}) == 1


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.title)
def test_every_lossless_syntax_keeps_an_image_and_other_values_make_another(kind: Kind) -> None:
    values = matrix.values_of(kind)
    images = defaultdict(set)
    for syntax in (one for one in SYNTAXES if one.defined(kind)):
        if kind.photometric == "PALETTE COLOR" and syntax.uid == ExplicitVRBigEndian:
            continue  # whose palette would have to be swapped
        data = file_bytes(dataset(syntax, kind, values))
        images[matrix.stored(data).tobytes()].add(image_digest(data))
    assert all(len(digests) == 1 for digests in images.values())
    assert len(set.union(*images.values())) == len(images)


# --- attributes ----------------------------------------------------------------------------------------------------------------


def ct() -> Dataset:
    return pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))


def saved(found: Dataset) -> bytes:
    buffer = io.BytesIO()
    found.save_as(buffer)
    return buffer.getvalue()


CONTRADICTIONS: dict[str, Any] = {
    "PatientID": "other",
    "StudyInstanceUID": "1.2.3",
    "SeriesInstanceUID": "1.2.3",
    "Modality": "MR",
    "ImageType": ["DERIVED", "PRIMARY", "AXIAL"],
    "RescaleSlope": "2",
    "RescaleIntercept": "0",
    "RescaleType": "US",
    "PixelPaddingValue": -1,
    "ImagePositionPatient": [0, 0, 0],
    "ImageOrientationPatient": [0, 1, 0, 1, 0, 0],
    "PixelSpacing": [1, 1],
    "SliceThickness": "7",
    "FrameOfReferenceUID": "1.2.3",
    "InstanceNumber": 77,
    "WindowCenter": "40",
    "BodyPartExamined": "LEG",
    "ImageLaterality": "L",
    "Manufacturer": "OTHER",
    "PixelRepresentation": 0,
}


@pytest.mark.parametrize("keyword", CONTRADICTIONS)
def test_an_attribute_that_is_read_makes_another_image(keyword: str) -> None:
    one, other = ct(), ct()
    setattr(other, keyword, CONTRADICTIONS[keyword])
    assert image_digest(saved(one)) != image_digest(saved(other))


@pytest.mark.parametrize(
    "changes",
    [
        {"PatientWeight": "35"},
        {"RadionuclideTotalDose": "185000000"},
        {"RadiopharmaceuticalStartTime": "083000"},
        {"DecayCorrection": "ADMIN"},
        {"SeriesTime": "093000"},
        {"CorrectedImage": ["DECY"]},
        {"PatientWeight": None},
    ],
    ids=str,
)
def test_what_makes_other_uptake_values_makes_another_pet_image(changes: dict[str, Any]) -> None:
    assert image_digest(pet()) != image_digest(pet(**changes))


def test_what_makes_the_same_uptake_values_makes_the_same_pet_image() -> None:
    assert image_digest(pet()) == image_digest(
        pet(PatientWeight="70.0", SeriesTime="100000.000", RadionuclideHalfLife="06586.20")
    )


def of_private(found: Dataset) -> None:
    found.private_block(0x0009, "ACME", create=True).add_new(0x10, "LO", "something")


def without_private(found: Dataset) -> None:
    found.remove_private_tags()


def renamed(found: Dataset) -> None:
    found.PatientName = "CompressedSamples^CT1^^"


def rewritten_numbers(found: Dataset) -> None:
    found.RescaleSlope, found.RescaleIntercept = "1.000", "-1024.0"
    found.PixelSpacing = ["0.66146800", "6.61468e-1"]


def other_charset(found: Dataset) -> None:
    found.SpecificCharacterSet = "ISO_IR 192"


def padded(found: Dataset) -> None:
    found.DataSetTrailingPadding = bytes(20)


def explicit_defaults(found: Dataset) -> None:
    found.NumberOfFrames, found.ImageLaterality, found.BodyPartExamined = 1, "", ""


def described(found: Dataset) -> None:
    found.StationName, found.InstanceCreationTime, found.InstanceCreatorUID = "X", "101010", "1.2.3"
    found.file_meta.ImplementationVersionName = "OTHER"


@pytest.mark.parametrize(
    "change", [of_private, without_private, renamed, rewritten_numbers, other_charset, padded, explicit_defaults, described]
)
def test_what_no_answer_depends_on_makes_no_other_image(change: Callable[[Dataset], None]) -> None:
    one, other = ct(), ct()
    change(other)
    assert saved(one) != saved(other)
    assert image_digest(saved(one)) == image_digest(saved(other))


def test_texts_are_equal_in_any_character_set() -> None:
    one, other = ct(), ct()
    one.SpecificCharacterSet, other.SpecificCharacterSet = "ISO_IR 100", "ISO_IR 192"
    one.Manufacturer = other.Manufacturer = "Müller"
    assert image_digest(saved(one)) == image_digest(saved(other))
    other.Manufacturer = "Möller"
    assert image_digest(saved(one)) != image_digest(saved(other))


def test_private_elements_count_where_they_cut_a_grid() -> None:
    one, other = ct(), ct()
    for found, number in ((one, 9), (other, 16)):
        found.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]
        found.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", number)
    assert image_digest(saved(one)) != image_digest(saved(other))


def test_bits_stored_count_where_they_mirror() -> None:
    kind = Kind("MONOCHROME1", 12)
    values = np.minimum(matrix.values_of(kind), 1000)
    one = dataset(SYNTAXES[1], kind, values)
    other = dataset(SYNTAXES[1], kind, values, BitsStored=11, HighBit=10)
    assert not np.array_equal(decode(file_bytes(one)).pixels, decode(file_bytes(other)).pixels)
    assert image_digest(file_bytes(one)) != image_digest(file_bytes(other))
    for found in (one, other):
        found.PhotometricInterpretation = "MONOCHROME2"
    assert image_digest(file_bytes(one)) == image_digest(file_bytes(other))


# --- frames and functional groups ----------------------------------------------------------------------------------------------

SPEC = SeriesSpec(rows=32, columns=40, slices=3)


def frames() -> Dataset:
    return enhanced(datasets(SPEC), SPEC)


@pytest.mark.parametrize("uid", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_every_frame_is_compared(uid: str) -> None:
    compressed = frames()
    compressed.compress(uid, generate_instance_uid=False)
    assert image_digest(as_bytes(compressed)) == image_digest(as_bytes(frames()))
    other = frames()
    other.PixelData = other.PixelData[:-2] + bytes([other.PixelData[-2] ^ 1, other.PixelData[-1]])
    assert image_digest(as_bytes(other)) != image_digest(as_bytes(frames()))


def test_functional_groups_are_compared() -> None:
    moved, rescaled = frames(), frames()
    moved.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0].ImagePositionPatient = [0, 0, 0]
    rescaled.PerFrameFunctionalGroupsSequence[1].PixelValueTransformationSequence[0].RescaleSlope = "3"
    assert len({image_digest(as_bytes(one)) for one in (frames(), moved, rescaled)}) == 3


def test_a_deflated_file_is_the_same_image() -> None:
    deflated = frames()
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data = as_bytes(deflated)
    assert image_digest(data) == image_digest(as_bytes(frames()))


def test_what_cannot_be_decoded_has_no_digest() -> None:
    for data in (real("MR_truncated.dcm"), b"", real("rtplan.dcm")):
        with pytest.raises(InputError):
            image_digest(data)
