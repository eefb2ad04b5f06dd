"""The factor that makes SUV of PET, by the rules of QIBA; expected values are computed here by hand from the attributes."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_series import as_bytes
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian
from quantity_images import ct, item, pet, pet_dataset

from medray.data.dicom import decode
from medray.data.dicom.suv import common_suv
from medray.types import SuvFactor

DOSE_BQ, WEIGHT_G, HALF_LIFE_S = 370e6, 70e3, 6586.2


def expected(after_s: float) -> float:
    """The factor for a scan that starts so long after the injection."""
    return WEIGHT_G / (DOSE_BQ * math.exp(-math.log(2) * after_s / HALF_LIFE_S))


def factor(data: bytes) -> float:
    found = decode(data).suv
    assert found is not None
    assert found.factor is not None, found.reason
    return found.factor


def reason(data: bytes) -> str:
    found = decode(data).suv
    assert found is not None
    assert found.factor is None
    assert found.reason
    return found.reason


@pytest.mark.parametrize(
    ("attributes", "after_s"),
    [
        ({}, 3600),
        ({"SeriesTime": "100000.5", "AcquisitionTime": "100000.5"}, 3600.5),
        ({"AcquisitionTime": "103000"}, 3600),  # a later bed position: pixels are corrected to the start of the series
        ({"AcquisitionTime": None, "AcquisitionDate": None}, 3600),
        ({"RadiopharmaceuticalStartTime": "084500.25"}, 4499.75),
        ({"RadiopharmaceuticalStartTime": "0900"}, 3600),
        ({"DecayCorrection": "ADMIN"}, 0),
        ({"DecayCorrection": "ADMIN", "RadiopharmaceuticalStartTime": None, "RadionuclideHalfLife": None}, 0),
        ({"RadiopharmaceuticalStartTime": None, "RadiopharmaceuticalStartDateTime": "20200102084000"}, 4800),
        ({"RadiopharmaceuticalStartDateTime": "20200102084000.000000"}, 4800),
        ({"RadiopharmaceuticalStartDateTime": "20200102084000+0100"}, 4800),
        ({"RadiopharmaceuticalStartDateTime": "20200102074000+0000", "TimezoneOffsetFromUTC": "+0100"}, 4800),
        ({"CorrectedImage": ["DECAY", "ATTN"]}, 3600),
        ({"SeriesDate": None, "AcquisitionDate": None}, 3600),
    ],
)
def test_the_dose_decays_from_the_injection_to_the_start_of_the_scan(attributes: dict[str, Any], after_s: float) -> None:
    assert factor(pet(**attributes)) == pytest.approx(expected(after_s), rel=1e-9)


def test_an_injection_before_midnight() -> None:
    times = {"SeriesTime": "001500", "AcquisitionTime": "001500", "RadiopharmaceuticalStartTime": "233000"}
    assert factor(pet(**times)) == pytest.approx(expected(2700), rel=1e-9)


def ge_dataset(block: int = 0x10) -> Dataset:
    """GE, processed a day later."""
    found = pet_dataset(SeriesDate="20200103", SeriesTime="120000")
    found.add_new(0x00090000 | block, "LO", "GEMS_PETD_01")
    found.add_new(0x00090000 | block << 8 | 0x0D, "DT", "20200102095500.00")
    return found


@pytest.mark.parametrize("block", [0x10, 0x12])
def test_a_series_of_a_later_processing_has_the_scan_time_of_ge(block: int) -> None:
    assert factor(as_bytes(ge_dataset(block))) == pytest.approx(expected(3300), rel=1e-9)


def test_or_the_time_that_acquisition_and_frame_reference_lead_back_to() -> None:
    times = {
        "SeriesDate": "20200103",
        "AcquisitionTime": "101000",
        "FrameReferenceTime": "660000",
        "ActualFrameDuration": "120000",
    }
    rate = math.log(2) / HALF_LIFE_S
    average_s = math.log(rate * 120 / (1 - math.exp(-rate * 120))) / rate
    assert factor(pet(**times)) == pytest.approx(expected(4200 - 660 + average_s), rel=1e-9)
    assert average_s == pytest.approx(60, abs=0.2)


def philips(**values: str) -> bytes:
    """Counts of Philips with its private scale factors."""
    found = pet_dataset(Units="CNTS")
    found.add_new(0x70530010, "LO", "Philips PET Private Group")
    for element, value in values.items():
        found.add_new(0x70531000 | int(element.removeprefix("x"), 16), "DS", value)
    return as_bytes(found)


def test_counts_of_philips_have_a_factor_of_their_own() -> None:
    assert factor(philips(x00="0.00125")) == 0.00125
    assert factor(philips(x00="0.00125", x09="3")) == 0.00125
    assert factor(philips(x09="3.5")) == pytest.approx(3.5 * expected(3600), rel=1e-9)
    assert factor(philips(x00="0", x09="3.5")) == pytest.approx(3.5 * expected(3600), rel=1e-9)


def test_what_is_suv_already_keeps_its_values() -> None:
    assert factor(pet(Units="GML", PatientWeight=None, RadiopharmaceuticalInformationSequence=None)) == 1
    assert factor(pet(Units="GML", SUVType="BW")) == 1
    assert "SUVlbm" in reason(pet(Units="GML", SUVType="LBM"))


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"PatientWeight": None}, "Patient's Weight"),
        ({"PatientWeight": "0"}, "Patient's Weight"),
        ({"PatientWeight": "70000"}, "not in kg"),
        ({"RadionuclideTotalDose": None}, "Radionuclide Total Dose"),
        ({"RadionuclideTotalDose": "370"}, "not in Bq"),
        ({"RadionuclideHalfLife": None}, "Radionuclide Half Life"),
        ({"RadionuclideHalfLife": "1e-300"}, "Radionuclide Half Life"),
        ({"RadionuclideHalfLife": "1e300", "SeriesTime": "110000"}, "Radionuclide Half Life"),
        ({"SeriesTime": "110000", "FrameReferenceTime": "1e300", "ActualFrameDuration": "60000"}, "Frame Reference Time"),
        ({"SeriesDate": "00010101", "AcquisitionDate": "00010101"}, "Series Date"),
        ({"SeriesDate": "99991231", "AcquisitionDate": "99991231", "SeriesTime": "235960"}, "Series Date"),
        ({"RadiopharmaceuticalStartTime": None}, "Radiopharmaceutical Start"),
        ({"RadiopharmaceuticalStartTime": "9 o'clock"}, "Radiopharmaceutical Start"),
        ({"RadiopharmaceuticalStartTime": "096000"}, "Radiopharmaceutical Start"),
        ({"RadiopharmaceuticalStartDateTime": "20200102110000"}, "half-lives after the injection"),
        ({"RadiopharmaceuticalStartDateTime": "20191201090000"}, "half-lives after the injection"),
        ({"RadiopharmaceuticalInformationSequence": None}, "0 items"),
        ({"RadiopharmaceuticalInformationSequence": Sequence([item(RadionuclideTotalDose="1e8")] * 2)}, "2 items"),
        ({"SeriesTime": None}, "Series Time"),
        ({"SeriesTime": "110000"}, "Frame Reference Time"),
        ({"CorrectedImage": None}, "Corrected Image"),
        ({"CorrectedImage": ["DECY"]}, "attenuation"),
        ({"CorrectedImage": ["ATTN", "SCAT"]}, "decay"),
        ({"DecayCorrection": "NONE"}, "Decay Correction"),
        ({"DecayCorrection": None}, "Decay Correction"),
        ({"Units": "CNTS"}, "Philips"),
        ({"Units": "PROPCNTS"}, "PROPCNTS"),
        ({"Units": None}, "no stated units"),
    ],
)
def test_what_is_missing_or_contradicts_itself_is_named(attributes: dict[str, Any], said: str) -> None:
    found = reason(pet(**attributes))
    assert said in found
    assert not {"70000", "370", "20200102"} & {*found.split()}


def test_the_reason_holds_nothing_of_the_patient() -> None:
    for attributes in ({"RadiopharmaceuticalStartTime": "MRN1"}, {"SeriesTime": "MRN1"}, {"DecayCorrection": "MRN1"}):
        assert "MRN1" not in reason(pet(**attributes))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_the_attributes_are_read_in_every_encoding(syntax: str) -> None:
    found = ge_dataset()
    found.file_meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    little = syntax != ExplicitVRBigEndian
    pydicom.dcmwrite(stream, found, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=little, force_encoding=True)
    assert factor(stream.getvalue()) == pytest.approx(expected(3300), rel=1e-9)


def test_a_broken_sequence_leaves_the_image_and_takes_its_suv() -> None:
    data = pet()
    at = data.index(b"\x18\x00\x74\x10DS") + 6
    broken = data[:at] + b"\xf0\xff" + data[at + 2 :]
    assert decode(broken).header.flags == ("SEQUENCE_BROKEN",)
    assert "broken" in reason(broken)
    np.testing.assert_array_equal(decode(broken).pixels, decode(data).pixels)


TAGS = {
    "RadionuclideTotalDose": "DS",
    "RadionuclideHalfLife": "DS",
    "RadiopharmaceuticalStartTime": "TM",
    "RadiopharmaceuticalStartDateTime": "DT",
    "SeriesDate": "DA",
    "SeriesTime": "TM",
    "AcquisitionTime": "TM",
    "PatientWeight": "DS",
    "FrameReferenceTime": "DS",
    "ActualFrameDuration": "IS",
    "TimezoneOffsetFromUTC": "SH",
}
ODD = st.sampled_from(
    [
        "1e308",
        "-1e308",
        "1e-308",
        "0",
        "-1",
        "nan",
        "1_0",
        "99991231235959",
        "00010101000000",
        "+9999",
        "235960",
        "\\",
        "20200102",
    ]
)


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.sampled_from(sorted(TAGS)), ODD | st.text("0123456789.:+-eE ", max_size=14), min_size=1))
def test_odd_values_give_a_finite_factor_or_a_reason(values: dict[str, str]) -> None:
    found = pet_dataset(SeriesTime="100001")
    for name, value in values.items():
        holder = found.RadiopharmaceuticalInformationSequence[0] if name.startswith("Radio") else found
        tag = pydicom.datadict.tag_for_keyword(name)
        assert tag is not None
        holder[tag] = RawDataElement(BaseTag(tag), TAGS[name], 0, value.encode(), 0, False, True)
    suv = decode(as_bytes(found)).suv
    assert suv is not None
    assert (suv.factor is None) == bool(suv.reason)
    assert suv.factor is None or math.isfinite(suv.factor)


def test_other_images_have_none() -> None:
    assert decode(ct()).suv is None


def test_slices_share_a_factor_that_rounded_times_let_differ_a_little() -> None:
    assert common_suv([SuvFactor(2e-4), SuvFactor(2.0001e-4)]) == SuvFactor(2e-4)
    assert common_suv([SuvFactor(2e-4), SuvFactor(2.1e-4)]) == SuvFactor(None, "the factor differs from slice to slice")
    assert common_suv([SuvFactor(2e-4), SuvFactor(None, "no weight")]) == SuvFactor(None, "no weight")
    assert common_suv([SuvFactor(2e-4), None]) is None
