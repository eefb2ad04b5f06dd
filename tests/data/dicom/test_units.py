"""Units of pixel values, as DICOM states them (PS3.3 C.8.2.1, C.8.9.1, C.11.1.1.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dicom_series import SeriesSpec, as_bytes, datasets, enhanced
from pydicom.sequence import Sequence
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    MRImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    NuclearMedicineImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
)
from quantity_images import STORED, ct, image, item, pet

from medray.data.dicom import decode, inspect
from medray.data.volume import build_volume, volume_stacks
from medray.errors import Quarantined

RESCALED = {"RescaleSlope": "2", "RescaleIntercept": "0"}
MIRRORED = {**RESCALED, "PhotometricInterpretation": "MONOCHROME1"}


def units(data: bytes) -> str:
    """The units of a decoded image, which are those of its head too."""
    header = inspect(data, len(data))
    assert header is not None
    assert decode(data).header.units == header.units
    return header.units


@pytest.mark.parametrize("stated", ["BQML", "GML", "CNTS", "PROPCNTS", "CPS", "CM2", "PCNT", "1CM", "NONE"])
def test_pet_is_in_the_units_that_it_states(stated: str) -> None:
    assert units(pet(Units=stated)) == stated


@pytest.mark.parametrize(
    ("stated", "kind", "expected"),
    [
        ("GML", "BW", "GML"),
        ("GML", "LBM", "{SUVlbm}g/ml"),
        ("GML", "LBMJANMA", "{SUVlbm(Janma)}g/ml"),
        ("GML", "IBW", "{SUVibw}g/ml"),
        ("CM2ML", "BSA", "{SUVbsa}cm2/ml"),
        ("BQML", "LBM", "BQML"),
    ],
)
def test_an_suv_of_another_kind_is_in_other_units(stated: str, kind: str, expected: str) -> None:
    assert units(pet(Units=stated, SUVType=kind)) == expected


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, "HU"),
        ({"RescaleType": "HU"}, "HU"),
        ({"RescaleType": "hu "}, "HU"),
        ({"RescaleType": "US"}, "HU"),
        ({"RescaleType": "US", "ImageType": ["DERIVED", "PRIMARY", "AXIAL"]}, ""),
        ({"RescaleType": "US", "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, ""),
        ({"ImageType": ["DERIVED", "SECONDARY", "REFORMATTED"]}, "HU"),
        ({"RescaleType": "MGML"}, "MGML"),
        ({"RescaleType": "Z_EFF"}, "Z_EFF"),
        ({"RescaleType": "HU_MOD"}, "HU_MOD"),
        ({"RescaleType": "mg/cm3"}, "mg/cm3"),
        ({"RescaleType": "MÜLLER"}, ""),
        ({"RescaleType": "=1+1"}, ""),
        ({"RescaleType": "<b>HU</b>"}, ""),
        ({"MultienergyCTAcquisition": "YES"}, ""),
        ({"MultienergyCTAcquisition": "YES", "RescaleType": "ED"}, "ED"),
        ({"MultienergyCTAcquisition": "NO"}, "HU"),
    ],
)
def test_ct_is_in_hounsfield_units_unless_it_states_others(attributes: dict[str, Any], expected: str) -> None:
    assert units(ct(SpecificCharacterSet="ISO_IR 192", **attributes)) == expected


@pytest.mark.parametrize(
    ("sop_class", "modality", "attributes", "expected"),
    [
        (SecondaryCaptureImageStorage, "CT", RESCALED, ""),
        (SecondaryCaptureImageStorage, "CT", {**RESCALED, "RescaleType": "HU"}, "HU"),
        (MultiFrameGrayscaleWordSecondaryCaptureImageStorage, "CT", {**RESCALED, "RescaleType": "US"}, ""),
        (MRImageStorage, "MR", {}, ""),
        (MRImageStorage, "MR", {**RESCALED, "RescaleType": "normalized"}, ""),
        (UltrasoundImageStorage, "US", {}, ""),
        (NuclearMedicineImageStorage, "NM", {}, ""),
        (NuclearMedicineImageStorage, "NM", {"Units": "BQML"}, "BQML"),
        (ComputedRadiographyImageStorage, "CR", {**RESCALED, "RescaleType": "OD"}, "OD"),
        (ComputedRadiographyImageStorage, "CR", {"RescaleType": "OD"}, ""),
        (
            ComputedRadiographyImageStorage,
            "CR",
            {**MIRRORED, "RescaleType": "OD"},
            "",
        ),
    ],
)
def test_others_have_units_where_they_state_them(
    sop_class: str, modality: str, attributes: dict[str, Any], expected: str
) -> None:
    assert units(as_bytes(image(sop_class, modality, **attributes))) == expected


@pytest.mark.parametrize(("kind", "expected"), [("HU", "HU"), ("OD", "OD"), ("US", ""), (None, "")])
def test_a_modality_lut_states_its_own(kind: str | None, expected: str) -> None:
    lut = item(LUTData=STORED.ravel().tobytes())
    lut.add_new(0x00283002, "US", [64, 0, 16])
    if kind:
        lut.ModalityLUTType = kind
    assert units(as_bytes(image(MRImageStorage, "MR", ModalityLUTSequence=Sequence([lut])))) == expected


def test_a_frame_has_its_own() -> None:
    spec = SeriesSpec(slices=3)
    found = enhanced(datasets(spec), spec)
    for group, kind in zip(found.PerFrameFunctionalGroupsSequence, ("HU", "MGML", "US"), strict=True):
        group.PixelValueTransformationSequence[0].RescaleType = kind
    assert [decode(as_bytes(found), frame).header.units for frame in range(3)] == ["HU", "MGML", "HU"]


def test_mirrored_ct_is_in_no_units_as_a_plane_and_in_hounsfield_units_as_a_volume() -> None:
    data = ct(PhotometricInterpretation="MONOCHROME1")
    assert units(data) == ""
    volume = build_volume([data])
    assert volume.headers[0].units == "HU"
    np.testing.assert_array_equal(volume.voxels[0], STORED * 0.5 - 100)


def test_slices_in_different_units_make_no_volume() -> None:
    spec = SeriesSpec(slices=4)
    slices = datasets(spec)
    slices[1].RescaleType = "MGML"
    files = [as_bytes(one) for one in slices]
    with pytest.raises(Quarantined) as caught:
        build_volume(files)
    assert caught.value.code == "VOLUME_MIXED_UNITS"
    assert [len(stack.planes) for stack in volume_stacks(files)] == [3, 1]
    assert build_volume(files, stack=1).headers[0].units == "MGML"
