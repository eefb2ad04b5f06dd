"""Header records: equal to what pydicom reads from its own files; odd values are left out and flagged."""

from __future__ import annotations

import io
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from medray.data.dicom import inspect
from medray.data.dicom.header import header_of
from medray.data.dicom.parse import parse
from medray.errors import InputError, Quarantined
from medray.types import Header

FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def is_readable(path: Path) -> bool:
    data = path.read_bytes() if path.is_file() else b""
    try:
        return path.name != "badVR.dcm" and data[128:132] == b"DICM" and parse(data, len(data)) is not None
    except InputError:
        return False


READABLE = sorted(path for path in FILES.rglob("*") if is_readable(path))


def plain(value: Any) -> Any:
    """An element's value as the header gives it: numbers as floats, several values as a tuple, nothing as None."""
    if isinstance(value, MultiValue):
        return tuple(plain(item) for item in value)
    if value is None or value == "":
        return None
    return float(value) if isinstance(value, int | float) else str(value)


def expected(found: Dataset) -> dict[str, Any]:
    """Header field → value, as pydicom reads it at the top level of the data set."""
    return {
        "sop_uid": str(found.get("SOPInstanceUID", "")),
        "series_uid": str(found.get("SeriesInstanceUID", "")),
        "study_uid": str(found.get("StudyInstanceUID", "")),
        "modality": str(found.get("Modality", "") or ""),
        "rows": found.get("Rows", 0),
        "columns": found.get("Columns", 0),
        "frames": int(found.get("NumberOfFrames", 1) or 1),
        "photometric": str(found.get("PhotometricInterpretation", "")),
        "bits_allocated": found.get("BitsAllocated", 0),
        "bits_stored": found.get("BitsStored", 0),
        "signed": found.get("PixelRepresentation", 0) == 1,
        "series_number": plain(found.get("SeriesNumber")),
        "instance_number": plain(found.get("InstanceNumber")),
        "acquisition_number": plain(found.get("AcquisitionNumber")),
        "echo_time_ms": plain(found.get("EchoTime")),
        "sex": str(found.get("PatientSex", "") or ""),
    }


@pytest.mark.parametrize("path", READABLE, ids=lambda path: path.relative_to(FILES).as_posix())
def test_the_header_says_what_pydicom_reads(path: Path) -> None:
    data = path.read_bytes()
    file = parse(data, len(data))
    assert file is not None
    header, found = header_of(file), pydicom.dcmread(path, defer_size=1 << 20)
    for name, value in expected(found).items():
        assert getattr(header, name) == value, name
    assert vars(header).keys() <= Header.__dataclass_fields__.keys()
    if header.position_mm is not None and "PerFrameFunctionalGroupsSequence" not in found:
        assert header.inversion_time_ms == plain(found.get("InversionTime"))
        assert header.flip_angle_deg == plain(found.get("FlipAngle"))
        assert header.trigger_time_ms == plain(found.get("TriggerTime"))
        assert bool(header.contrast_agent) == bool(found.get("ContrastBolusAgent"))
    if "PerFrameFunctionalGroupsSequence" not in found:
        assert header.position_mm == plain(found.get("ImagePositionPatient"))
        assert header.orientation == plain(found.get("ImageOrientationPatient"))
        spacing = plain(found.get("PixelSpacing")) or plain(found.get("ImagerPixelSpacing"))
        for region in found.get("SequenceOfUltrasoundRegions", []):
            spacing = spacing or (10 * region.PhysicalDeltaY, 10 * region.PhysicalDeltaX)
        assert header.spacing_mm == (spacing or None)


def test_there_are_many_files() -> None:
    assert len(READABLE) > 120


def ct(**changes: Any) -> Header:
    """The header of CT_small with other values."""
    found = pydicom.dcmread(FILES / "CT_small.dcm")
    found.preamble = bytes(128)
    with pydicom.config.disable_value_validation():
        for keyword, value in changes.items():
            setattr(found, keyword, value)
        buffer = io.BytesIO()
        found.save_as(buffer)
    read = inspect(buffer.getvalue(), len(buffer.getvalue()))
    assert read is not None
    return read


def test_a_good_header_has_no_flags() -> None:
    assert ct(PatientAge="045Y").flags == ()


@pytest.mark.parametrize(("age", "years"), [("045Y", 45), ("018M", 1), ("100W", 1), ("364D", 0), ("097Y", 90), ("", None)])
def test_ages(age: str, years: int | None) -> None:
    found = ct(PatientAge=age)
    assert (found.age_years, found.flags) == (years, ())


@pytest.mark.parametrize(
    "changes",
    [{"PatientAge": "45"}, {"PatientAge": "=2+3"}, {"StudyDate": "20041399"}, {"StudyDate": "yesterday"}],
    ids=lambda changes: str(*changes.values()),
)
def test_a_bad_date_or_age_is_left_out_and_flagged(changes: dict[str, str]) -> None:
    found = ct(**changes)
    assert found.flags == ("VALUE_INVALID",)
    assert None in (found.age_years, found.study_year)


@pytest.mark.parametrize(("date", "year"), [("20040119", 2004), ("2004.01.19", 2004), ("", None)])
def test_study_years(date: str, year: int | None) -> None:
    found = ct(StudyDate=date)
    assert (found.study_year, found.flags) == (year, ())


def test_a_number_that_is_none_is_left_out_and_flagged() -> None:
    data = (FILES / "CT_small.dcm").read_bytes().replace(b"\x20\0\x13\0IS\x02\x001 ", b"\x20\0\x13\0IS\x02\0x ")
    found = inspect(data, len(data))
    assert found is not None
    assert (found.instance_number, "VALUE_INVALID" in found.flags) == (None, True)


def test_burned_in_annotation_is_flagged() -> None:
    assert ct(BurnedInAnnotation="YES").flags == ("BURNED_IN_ANNOTATION",)
    assert ct(BurnedInAnnotation="NO").flags == ()


@pytest.mark.parametrize(
    ("function", "width", "window"),
    [
        ("LINEAR", 1, (40.0, 1.0)),
        ("LINEAR", 0.5, None),
        ("LINEAR_EXACT", 0.5, (40.0, 0.5)),
        ("LINEAR_EXACT", 0, None),
        ("SIGMOID", -1, None),
        ("CUBIC", 80, None),
    ],
)
def test_windows_that_are_none_are_left_out_and_flagged(function: str, width: float, window: object) -> None:
    found = ct(WindowCenter=40, WindowWidth=width, VOILUTFunction=function)
    assert found.voi_window == window
    assert found.flags == (() if window else ("WINDOW_INVALID",))


def test_the_first_of_several_windows_counts() -> None:
    assert ct(WindowCenter=[40, -600], WindowWidth=[80, 1500]).voi_window == (40.0, 80.0)


@pytest.mark.parametrize(
    ("charset", "name", "flags"),
    [
        ("ISO_IR 100", "Müller".encode("latin-1"), ()),
        ("ISO_IR 192", "Müller".encode(), ()),
        ("ISO_IR 192", b"M\xfcller", ("CHARSET_INVALID",)),
        ("", b"M\xfcller", ("CHARSET_INVALID",)),
    ],
)
def test_text_in_its_character_set(charset: str, name: bytes, flags: tuple[str, ...]) -> None:
    original = pydicom.dcmread(FILES / "CT_small.dcm")
    original.preamble, original.SpecificCharacterSet, original.PatientName = bytes(128), charset, "X" * len(name)
    buffer = io.BytesIO()
    original.save_as(buffer)
    data = buffer.getvalue().replace(b"X" * len(name), name, 1)
    found = inspect(data, len(data))
    assert found is not None
    assert found.flags == flags


def test_what_a_refusal_says_holds_no_value_of_the_patient() -> None:
    with pytest.raises(Quarantined) as caught:
        ct(PatientID="MRN-12345", StudyInstanceUID="MRN-12345")
    assert "MRN" not in str(caught.value)


def test_the_geometry_of_a_frame_comes_from_the_functional_groups() -> None:
    data = Path(pydicom.data.get_testdata_file("eCT_Supplemental.dcm", download=False) or "").read_bytes()
    file = parse(data, len(data))
    assert file is not None
    found = pydicom.dcmread(io.BytesIO(data))
    for frame in range(int(found.NumberOfFrames)):
        own = found.PerFrameFunctionalGroupsSequence[frame]
        assert header_of(file, frame).position_mm == plain(own.PlanePositionSequence[0].ImagePositionPatient)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("101112", 36672.0),
        ("101112.5", 36672.5),
        ("1011", 36660.0),
        ("10", 36000.0),
        ("10:11:12", 36672.0),
        ("", None),
        ("1x", None),
    ],
)
def test_times_are_seconds_since_midnight(text: str, seconds: float | None) -> None:
    found = ct(ContentTime=text, AcquisitionTime=text)
    assert (found.content_time_s, found.acquisition_time_s) == (seconds, seconds)


def test_the_text_of_a_contrast_agent_is_not_kept() -> None:
    one, same, other, none = (ct(ContrastBolusAgent=text) for text in ("Smith 350", "SMITH 350 ", "water", ""))
    assert one.contrast_agent == same.contrast_agent != other.contrast_agent
    assert len(one.contrast_agent) == 8
    assert none.contrast_agent == ""


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "examples_palette.dcm"])
def test_a_header_is_what_its_constructor_makes_of_the_fields(name: str) -> None:
    data = (FILES / name).read_bytes()
    parsed = parse(data, len(data))
    assert parsed is not None
    found = header_of(parsed)
    made = Header(**vars(found))  # refuses what is no field
    assert found == made
    assert hash(found) == hash(made)
    assert replace(found) == made


def test_every_field_of_a_header_has_a_default_of_its_class() -> None:
    assert [field.name for field in fields(Header) if not hasattr(Header, field.name)] == []
