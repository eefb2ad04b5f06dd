"""Attributes in which images at one position may differ, and which values count as equal: numbers by a tolerance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from medray.data.plane import Plane
from medray.types import Float64, Int64

MANY = 1000
"""Different vectors of one series; more are compared exactly, so that a hostile series costs no quadratic time."""
_CHAIN = 4  # a cluster of values, each near the next, is at most so many tolerances wide


class Role(Enum):
    """What it means if an attribute differs between slices at different positions.

    CONTRAST: they show different things. PASS: they may belong to passes that interleave. TIMING: perhaps nothing, since slices
    of one pass are acquired one after the other.
    """

    CONTRAST = "contrast"
    PASS = "pass"
    TIMING = "timing"


@dataclass(frozen=True)
class Attribute:
    """An attribute that may divide a series.

    Attributes:
        name: as in :class:`medray.data.plane.Plane`.
        relative, absolute: numbers that differ by less than the larger of the two are equal; 0 for what is compared exactly.
        loose: fraction by which it may vary within one stack; 0 where it may vary freely.
        clock: whether it is a time of day; only differences of it are shown.
    """

    name: str
    role: Role
    relative: float = 0.0
    absolute: float = 0.0
    loose: float = 0.0
    clock: bool = False

    @property
    def measured(self) -> bool:
        """Whether its values are measured numbers, which scatter."""
        return self.absolute > 0

    def of(self, plane: Plane) -> Any:
        """Its value of a plane; None where there is none."""
        if self.name == "image_type":
            return (*plane.image_type, plane.component) if plane.component else plane.image_type
        if self.name == "instance":
            return (plane.instance_number or 0, plane.instance_uid) if plane.instance_uid else None
        return getattr(plane, self.name)


ATTRIBUTES = (
    Attribute("b_value", Role.CONTRAST, 1e-3, 0.5, loose=0.02),
    Attribute("gradient", Role.CONTRAST),
    Attribute("trigger_time_ms", Role.TIMING, 1e-3, 0.05),
    Attribute("temporal_position", Role.PASS),
    Attribute("echo_time_ms", Role.CONTRAST, 1e-3, 1e-3, loose=0.02),
    Attribute("echo_number", Role.PASS),
    Attribute("inversion_time_ms", Role.CONTRAST, 1e-3, 0.05),
    Attribute("flip_angle_deg", Role.CONTRAST, 1e-3, 0.01),
    Attribute("image_type", Role.CONTRAST),
    Attribute("acquisition_number", Role.PASS),
    Attribute("contrast_agent", Role.CONTRAST),
    Attribute("slice_thickness_mm", Role.CONTRAST, 1e-3, 1e-3),
    Attribute("acquisition_time_s", Role.TIMING, 0.0, 1e-3, clock=True),
    Attribute("content_time_s", Role.TIMING, 0.0, 1e-3, clock=True),
    Attribute("instance", Role.PASS),
)
"""In the order in which they are tried; the dimensions of an enhanced image come first. The last is the image of a frame."""
GRADIENT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Labels:
    """The values of one attribute.

    Attributes:
        codes: int64 (planes,), equal for equal values and rising with them; what has no value comes first.
        numbers: float64 (planes,), NaN where there is none; None if the values are not numbers.
        shown: of each plane's value.
    """

    attribute: Attribute
    codes: Int64
    numbers: Float64 | None
    shown: Callable[[Int64], str]


def labels_of(planes: Sequence[Plane]) -> list[Labels]:
    """The attributes in which planes differ, in the order in which they are tried.

    A dimension that says the same as one of the attributes is left to that one, which then takes its turn.
    """
    names = dict.fromkeys(name for plane in planes for name, _ in plane.dimensions)
    columns = [dict(plane.dimensions) for plane in planes] if names else []
    indices = [(Attribute(name, Role.PASS), [column.get(name) for column in columns]) for name in names]
    measured = [(attribute, list(map(attribute.of, planes))) for attribute in ATTRIBUTES]
    dimensions, attributes = (
        [_labels(attribute, values) for attribute, values in some if len(set(values)) > 1] for some in (indices, measured)
    )
    first = [next((one for one in attributes if _same(one, dimension)), dimension) for dimension in dimensions]
    return [*first, *(one for one in attributes if not any(one is other for other in first))]


def _same(one: Labels, other: Labels) -> bool:
    """Whether two attributes tell the same planes apart."""
    count = len(np.unique(one.codes))
    return len(np.unique(other.codes)) == count == len(np.unique(np.stack([one.codes, other.codes]), axis=1).T)


def clusters(numbers: Float64, relative: float, absolute: float) -> Int64:
    """int64, one code for numbers that are equal within a tolerance, rising; NaN comes first.

    Neighbours that differ by less than the tolerance share a code, unless they make a chain that is more than four tolerances
    long: of that, those do that are within one tolerance of the least.
    """
    values, back = np.unique(numbers, return_inverse=True)
    finite = values[~np.isnan(values)]
    near = np.maximum(relative * np.abs(finite), absolute)
    first = np.diff(finite, prepend=-np.inf) > np.append(0.0, near[:-1])[: len(finite)]
    starts = np.flatnonzero(first)
    wide = finite[np.append(starts[1:], len(finite))[: len(starts)] - 1] - finite[starts] > _CHAIN * near[starts]
    for start, end in zip(starts[wide].tolist(), np.append(starts[1:], len(finite))[: len(starts)][wide].tolist(), strict=True):
        at = start
        while (at := int(np.searchsorted(finite, finite[at] + near[at], side="right"))) < end:
            first[at] = True
    codes = np.zeros(len(values), dtype=np.int64)
    codes[: len(finite)] = np.cumsum(first) - (len(finite) == len(values))
    return codes[back.reshape(-1)]


def representatives(values: set[Any], tolerance: float) -> dict[Any, Any]:
    """Vector (or None) → the one that stands for all within the tolerance of it."""
    vectors = sorted(value for value in values if value is not None)
    if len(vectors) < 2 or len(vectors) > MANY or len({len(vector) for vector in vectors}) > 1:
        return {value: value for value in values}
    table, answer = np.array(vectors, dtype=np.float64), dict.fromkeys(vectors) | {None: None}
    for vector, row in zip(vectors, table, strict=True):
        if answer[vector] is None:
            for index in np.flatnonzero(np.abs(table - row).max(axis=1) <= tolerance).tolist():
                answer[vectors[index]] = answer[vectors[index]] or vector
    return answer


def _labels(attribute: Attribute, values: Sequence[Any]) -> Labels:
    if attribute.measured:
        numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        codes = clusters(numbers, attribute.relative, attribute.absolute)
        return Labels(attribute, codes, numbers, _shown_number(numbers, attribute))
    standing: Mapping[Any, Any] = representatives(set(values), GRADIENT_TOLERANCE) if attribute.name == "gradient" else {}
    values = [standing.get(value, value) for value in values]
    order = {value: code for code, value in enumerate(sorted(set(values), key=lambda value: (value is not None, value)))}
    codes = np.array([order[value] for value in values], dtype=np.int64)
    shown = [value and value[0] for value in values] if attribute.name == "instance" else values
    return Labels(attribute, codes, None, lambda members: _text(shown[int(members[0])]))


def _shown_number(numbers: Float64, attribute: Attribute) -> Callable[[Int64], str]:
    origin = np.nanmin(numbers) if attribute.clock else 0.0

    def shown(members: Int64) -> str:
        least = np.min(numbers[members]) - origin
        return "none" if np.isnan(least) else f"+{least:.6g}" if attribute.clock else f"{least:.6g}"

    return shown


def _text(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, tuple):
        return "\\".join(part if isinstance(part, str) else f"{part:.4g}" for part in value)
    return str(value)
