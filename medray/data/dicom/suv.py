"""Attributes of a PET image → the factor that makes standardised uptake values of its pixels, by the rules of QIBA.

SUV of body weight (g/ml) is activity (Bq/ml) * weight (g) / dose (Bq), the dose decayed to the time to which the activity is.
The source is the vendor-neutral pseudo-code for SUV calculation of the Quantitative Imaging Biomarkers Alliance (RSNA, 2018),
which names the private attributes of GE and Philips. Nothing is guessed: what is missing is named.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from medray.data.dicom.acquisition_tags import ACQUISITION_TIME
from medray.data.dicom.dataset import DataSet, DicomFile
from medray.data.dicom.parse import read_again
from medray.data.dicom.private import private_tag
from medray.data.dicom.private_tags import PrivateElement, creators, in_blocks
from medray.data.dicom.selection import Selection
from medray.types import Header, SuvFactor

SMALLEST_DOSE_BQ = 1e4
"""A smaller dose is in MBq, not in Bq (PS3.3 C.8.9.2)."""
MOST_HALF_LIVES = 10
"""Between injection and scan; after more the dates belong to different studies."""
LARGEST_WEIGHT_KG = 1000
HALF_LIVES_S = 1.0, 1e8
"""From 1 s to 3 years: the half-lives of PET."""
MOST_MS = 1e9
"""Of a frame: 11 days."""
TOLERANCE = 1e-3
_DATE = re.compile(r"((?:19|2\d)\d\d)\.?(\d\d)\.?(\d\d)")
_TIME = re.compile(r"(\d\d):?(\d\d)(?::?(\d\d)(?:\.(\d{1,6}))?)?")
_DATE_TIME = re.compile(r"(\d{8})(\d{4}(?:\d\d(?:\.\d{1,6})?)?)([+-]\d{4})?")
_NO_DATE = "20000101"

SERIES_DATE, SERIES_TIME = 0x00080021, 0x00080031
ACQUISITION_DATE = 0x00080022
TIMEZONE_OFFSET = 0x00080201
WEIGHT_KG = 0x00101030
START_TIME, DOSE_BQ, HALF_LIFE_S, START_DATE_TIME = 0x00181072, 0x00181074, 0x00181075, 0x00181078
FRAME_DURATION_MS = 0x00181242
CORRECTED_IMAGE = 0x00280051
RADIOPHARMACEUTICAL = 0x00540016
DECAY_CORRECTION = 0x00541102
FRAME_REFERENCE_TIME_MS = 0x00541300
_ELEMENTS = frozenset(
    (
        *(SERIES_DATE, SERIES_TIME, ACQUISITION_DATE, ACQUISITION_TIME, TIMEZONE_OFFSET, WEIGHT_KG, START_TIME, DOSE_BQ),
        *(HALF_LIFE_S, START_DATE_TIME, FRAME_DURATION_MS, CORRECTED_IMAGE, DECAY_CORRECTION, FRAME_REFERENCE_TIME_MS),
    )
)

GE_SCAN = PrivateElement("GEMS_PETD_01", 0x0009, 0x0D)
PHILIPS_SUV = PrivateElement("Philips PET Private Group", 0x7053, 0x00)
PHILIPS_ACTIVITY = PrivateElement("Philips PET Private Group", 0x7053, 0x09)
_PRIVATE = GE_SCAN, PHILIPS_SUV, PHILIPS_ACTIVITY
_SELECTION = Selection(_ELEMENTS | creators(*_PRIVATE) | in_blocks(*_PRIVATE), frozenset({RADIOPHARMACEUTICAL}))


class _Unknown(Exception):
    """The reason why the factor is unknown."""


def suv_of(file: DicomFile, header: Header) -> SuvFactor | None:
    """The factor from the pixels of a PET image to SUV of body weight, or why it is unknown; None of other images.

    The attributes are read from the file by another walk over its head, so that other headers need not hold them.
    """
    if header.modality != "PT":
        return None
    try:
        factor = _factor(file, header.units)
        return SuvFactor(factor) if math.isfinite(factor) else SuvFactor(None, "its numbers give no factor")
    except _Unknown as error:
        return SuvFactor(None, str(error))


def common_suv(found: Sequence[SuvFactor | None]) -> SuvFactor | None:
    """What makes SUV of all slices of a volume; of factors that agree within 0.1 % (times are rounded) the first."""
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        return None
    unknown = next((one for one in known if one.factor is None), None)
    if unknown is not None:
        return unknown
    factors = [one.factor or 0.0 for one in known]
    same = max(factors) - min(factors) <= TOLERANCE * max(factors)
    return known[0] if same else SuvFactor(None, "the factor differs from slice to slice")


def _factor(file: DicomFile, units: str) -> float:
    if units == "GML":
        return 1.0
    if units not in ("BQML", "CNTS"):
        raise _Unknown(f"the pixels are in {units or 'no stated units'}, neither BQML, nor CNTS of Philips, nor GML")
    found = read_again(file, _SELECTION)
    if found is None:
        raise _Unknown("Radiopharmaceutical Information Sequence (0054,0016), or another, is broken")
    _check_corrections(found)
    if units == "BQML":
        return _per_activity(found)
    if (factor := _private_number(found, PHILIPS_SUV)) > 0:
        return factor
    if (activity := _private_number(found, PHILIPS_ACTIVITY)) > 0:
        return activity * _per_activity(found)
    raise _Unknown("the pixels are in CNTS, and the scale factors of Philips (7053,1000) and (7053,1009) are missing")


def _check_corrections(found: DataSet) -> None:
    corrected, decay = found.texts(CORRECTED_IMAGE), found.text(DECAY_CORRECTION)
    if not corrected:
        raise _Unknown("Corrected Image (0028,0051) is missing")
    if "ATTN" not in corrected or not {"DECY", "DECAY"} & {*corrected}:
        raise _Unknown("the image is not corrected for attenuation and decay (Corrected Image)")
    if decay not in ("START", "ADMIN"):
        raise _Unknown("Decay Correction (0054,1102) is missing, or neither START nor ADMIN")


def _per_activity(found: DataSet) -> float:
    """g/Bq: SUV of an activity of 1 Bq/ml."""
    drugs = found.items.get(RADIOPHARMACEUTICAL, ())
    if len(drugs) != 1:
        raise _Unknown(f"{len(drugs)} items of Radiopharmaceutical Information Sequence (0054,0016), one is expected")
    weight_kg = _positive(found, WEIGHT_KG, "Patient's Weight (0010,1030)")
    dose_bq = _positive(drugs[0], DOSE_BQ, "Radionuclide Total Dose (0018,1074)")
    if weight_kg > LARGEST_WEIGHT_KG or dose_bq < SMALLEST_DOSE_BQ:
        raise _Unknown("Patient's Weight (0010,1030) is not in kg, or Radionuclide Total Dose (0018,1074) not in Bq")
    if found.text(DECAY_CORRECTION) == "START":
        dose_bq *= 2 ** -_half_lives(found, drugs[0])
    return weight_kg * 1000 / dose_bq


def _half_lives(found: DataSet, drug: DataSet) -> float:
    """Time from the injection to the start of the scan, in half-lives."""
    half_life_s = _positive(drug, HALF_LIFE_S, "Radionuclide Half Life (0018,1075)")
    if not HALF_LIVES_S[0] <= half_life_s <= HALF_LIVES_S[1]:
        raise _Unknown("Radionuclide Half Life (0018,1075) is not a half-life in seconds")
    scan = _scan_start(found, half_life_s)
    passed = (scan - _injection(drug, scan, found)).total_seconds() / half_life_s
    if not 0 <= passed <= MOST_HALF_LIVES:
        raise _Unknown(f"the scan does not start within {MOST_HALF_LIVES} half-lives after the injection")
    return passed


def _scan_start(found: DataSet, half_life_s: float) -> datetime:
    """The time to which START corrects: that of the series, unless a later processing wrote its own time there."""
    date = found.text(SERIES_DATE) or found.text(ACQUISITION_DATE) or _NO_DATE
    series = _moment(date, found.text(SERIES_TIME))
    acquisition = _moment(found.text(ACQUISITION_DATE) or date, found.text(ACQUISITION_TIME))
    if series is None:
        raise _Unknown("Series Date (0008,0021) or Series Time (0008,0031) is missing or none")
    if acquisition is None or series <= acquisition:
        return series
    if (ge := _date_time(_private_text(found, GE_SCAN))) is not None:
        return ge[0]
    reference_ms, duration_ms = found.decimal(FRAME_REFERENCE_TIME_MS) or 0, found.decimal(FRAME_DURATION_MS) or 0
    if min(reference_ms, duration_ms) <= 0 or max(reference_ms, duration_ms) > MOST_MS:
        raise _Unknown(
            "Series Time (0008,0031) is after Acquisition Time (0008,0032), and Frame Reference Time (0054,1300) or "
            "Actual Frame Duration (0018,1242) is missing or none"
        )
    decayed = math.log(2) * duration_ms / 1000 / half_life_s
    average_s = half_life_s / math.log(2) * math.log(decayed / -math.expm1(-decayed))
    return acquisition + timedelta(seconds=average_s - reference_ms / 1000)


def _injection(drug: DataSet, scan: datetime, found: DataSet) -> datetime:
    """When the radiopharmaceutical was given; of a time without a date, the last such time before the scan."""
    if (stated := _date_time(drug.text(START_DATE_TIME))) is not None:
        moment, offset = stated
        here = _offset(found.text(TIMEZONE_OFFSET))
        return moment if offset is None or here is None else moment - offset + here
    moment_of_day = _moment(scan.strftime("%Y%m%d"), drug.text(START_TIME))
    if moment_of_day is None:
        raise _Unknown("Radiopharmaceutical Start DateTime (0018,1078) and Start Time (0018,1072) are missing or none")
    return moment_of_day if moment_of_day <= scan else moment_of_day - timedelta(days=1)


def _positive(found: DataSet, tag: int, name: str) -> float:
    value = found.decimal(tag)
    if value is None or value <= 0:
        raise _Unknown(f"{name} is missing or not above 0")
    return value


def _private_text(found: DataSet, element: PrivateElement) -> str:
    tag = private_tag(found, element)
    return "" if tag is None else found.text(tag)


def _private_number(found: DataSet, element: PrivateElement) -> float:
    """A number, 0 where it is missing or none."""
    tag = private_tag(found, element)
    return 0.0 if tag is None else found.decimal(tag) or 0.0


def _moment(date: str, time: str) -> datetime | None:
    """A date and a time (PS3.5 6.2 DA, TM), to the minute at least; None if either is invalid."""
    day, clock = _DATE.fullmatch(date), _TIME.fullmatch(time)
    if day is None or clock is None:
        return None
    fraction = int((clock[4] or "").ljust(6, "0"))
    try:
        moment = datetime(int(day[1]), int(day[2]), int(day[3]), int(clock[1]), int(clock[2]))
    except ValueError:
        return None
    return moment + timedelta(seconds=int(clock[3] or 0), microseconds=fraction)


def _date_time(text: str) -> tuple[datetime, timedelta | None] | None:
    """A date with its time and the offset from UTC that it states (PS3.5 6.2 DT); None if it is invalid."""
    parts = _DATE_TIME.fullmatch(text)
    moment = _moment(parts[1], parts[2]) if parts is not None else None
    return None if parts is None or moment is None else (moment, _offset(parts[3] or ""))


def _offset(text: str) -> timedelta | None:
    """Offset from UTC (+HHMM), None where there is none."""
    if re.fullmatch(r"[+-]\d{4}", text) is None:
        return None
    return timedelta(hours=int(text[:3]), minutes=int(text[0] + text[3:]))
