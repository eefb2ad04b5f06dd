"""How an image was acquired, as far as images at one position differ in it: contrast and timing."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from medray.data.dicom import acquisition_tags as more
from medray.data.dicom import tags
from medray.data.dicom.dataset import DataSet

Vector = tuple[float, float, float]
_GE_OFFSET = 1e6  # GE adds multiples of it to some b-values


def acquisition_of(found: DataSet) -> dict[str, Any]:
    """Fields of :class:`medray.types.Header` that a data set with Image Position (Patient) has: those of contrast and timing."""
    return acquired(found) if tags.IMAGE_POSITION in found.values else {}


def acquired(found: DataSet) -> dict[str, Any]:
    """The same of any data set."""
    values = found.values
    made = {name: read(found, tag) for tag, name, read in _FIELDS if values.get(tag)}
    if more.SIEMENS_B_VALUE in values or more.GE_B_VALUE in values or more.PHILIPS_B_VALUE in values:
        made = _private(found) | made
    return made


@lru_cache(maxsize=4096)  # slices of a series share many of their times
def clock_s(text: bytes) -> float | None:
    """Seconds since midnight of a TM value (PS3.5 6.2), of any precision; None if it is invalid."""
    whole, _, fraction = text.strip(b" \0").replace(b":", b"").partition(b".")
    if not whole.isdigit() or len(whole) not in (2, 4, 6) or not (fraction or b"0").isdigit():
        return None
    number = int(whole.ljust(6, b"0"))
    seconds = float(number // 10000 * 3600 + number // 100 % 100 * 60 + number % 100)
    return seconds + float(b"0." + fraction) if fraction else seconds


def moment_s(text: bytes) -> float | None:
    """Seconds since midnight of a DT value (PS3.5 6.2); None if it has no time."""
    return clock_s(text.strip(b" \0").partition(b"+")[0].partition(b"-")[0][8:])


def first_double(found: DataSet, tag: int) -> float | None:
    """The first number of an FD element; None where it is absent or not finite."""
    numbers = found.doubles(tag)
    return numbers[0] if numbers and math.isfinite(numbers[0]) else None


def vector(found: DataSet, tag: int) -> Vector | None:
    """The three numbers of an FD element."""
    numbers = found.doubles(tag)
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 and all(map(math.isfinite, numbers)) else None


def _time(found: DataSet, tag: int) -> float | None:
    return clock_s(found.values[tag])


def _agent(found: DataSet, tag: int) -> str:
    return _checksum(found.values[tag])


@lru_cache(maxsize=1024)
def _checksum(text: bytes) -> str:
    """Eight hexadecimal digits that stand for a text, "" for none; case and padding do not count."""
    text = text.strip(b" \0").upper()
    return f"{zlib.crc32(text):08x}" if text else ""


_FIELDS: tuple[tuple[int, str, Callable[[DataSet, int], Any]], ...] = (
    (more.ACQUISITION_TIME, "acquisition_time_s", _time),
    (more.CONTENT_TIME, "content_time_s", _time),
    (more.CONTRAST_AGENT, "contrast_agent", _agent),
    (more.INVERSION_TIME, "inversion_time_ms", DataSet.decimal),
    (more.ECHO_NUMBERS, "echo_number", DataSet.integer),
    (more.TRIGGER_TIME, "trigger_time_ms", DataSet.decimal),
    (more.FLIP_ANGLE, "flip_angle_deg", DataSet.decimal),
    (more.B_VALUE, "b_value", first_double),
    (more.GRADIENT_ORIENTATION, "gradient", vector),
)


def _private(found: DataSet) -> dict[str, Any]:
    """The b-value, and of Siemens the gradient, where the manufacturer keeps them in elements of its own."""
    maker = found.text(tags.MANUFACTURER).upper()
    if found.text(tags.MODALITY) != "MR":
        return {}
    if "SIEMENS" in maker:
        return {"b_value": found.decimal(more.SIEMENS_B_VALUE), "gradient": vector(found, more.SIEMENS_GRADIENT)}
    if maker.startswith("GE ") and (value := found.decimal(more.GE_B_VALUE)) is not None:
        return {"b_value": value % _GE_OFFSET}
    if "PHILIPS" in maker and len(numbers := found.floats(more.PHILIPS_B_VALUE)) == 1:
        return {"b_value": numbers[0] if math.isfinite(numbers[0]) else None}
    return {}
