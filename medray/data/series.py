"""Series → stacks: which slices belong together in one volume, in which order, and what is wrong with them. Pure functions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np

from medray.data.attributes import representatives
from medray.data.division import Part, divide
from medray.data.geometry import Trouble, arrange, axes, orientation_name, places
from medray.data.plane import NOTES, Plane
from medray.types import Float64

ORIENTATION_TOLERANCE = 1e-4
"""By how much direction cosines of one stack may differ; the last digits that scanners write do."""
SPACING_TOLERANCE_MM = 1e-4
LOCALIZER = "LOCALIZER"
"""Value of Image Type (PS3.3 C.8.2.1.1.1, C.8.3.1.1.1) of images that plan others; they make stacks of their own."""
_FARTHEST_MM = 1e5


@dataclass(frozen=True)
class Stack:
    """Slices that make up one volume.

    Attributes:
        planes: in slice order, along the normal; in order of instance number where their place is unknown.
        key: code of a mixture → what this stack has there; stacks differ in at least one.
        step_mm: x y z in LPS from one slice to the next, None where it is unknown.
        troubles: what is wrong with it. VOLUME_SEVERAL_STACKS: only the order of instance numbers tells it from others.
        repeats: planes that belong here too, but at places that others have taken.
        divided_by: (attribute, value) that set it apart from other stacks of the series, besides its key.
    """

    planes: tuple[Plane, ...]
    key: Mapping[str, object]
    step_mm: tuple[float, float, float] | None = None
    troubles: tuple[Trouble, ...] = ()
    repeats: tuple[Plane, ...] = ()
    divided_by: tuple[tuple[str, str], ...] = ()

    @property
    def series(self) -> tuple[str, str]:
        """Its Study and Series Instance UID."""
        return self.planes[0].study_uid, self.planes[0].series_uid

    @property
    def orientation_name(self) -> str:
        """``"axial"``, ``"coronal"``, ``"sagittal"``, ``"oblique"`` or ""."""
        first = self.planes[0]
        return "" if "VOLUME_FRAME_OF_REFERENCE" in first.notes else orientation_name(first.orientation)

    @property
    def spacing_mm(self) -> tuple[float, float, float] | None:
        """Distance of (slices, rows, columns): of slices the distance of their planes; None where it is unknown."""
        directions, pixel = axes(self.planes[0].orientation), self.planes[0].spacing_mm
        if self.step_mm is None or directions is None or pixel is None:
            return None
        return (float(np.asarray(self.step_mm) @ directions[2]), *pixel)

    @property
    def affine(self) -> Float64 | None:
        """float64 (4, 4): (column, row, slice) index → mm in LPS (PS3.3 equation C.7.6.2.1-1); None where it is unknown."""
        first = self.planes[0]
        directions, pixel = axes(first.orientation), first.spacing_mm
        if self.step_mm is None or directions is None or pixel is None or first.position_mm is None:
            return None
        affine = np.eye(4)
        affine[:3] = np.stack([directions[0] * pixel[1], directions[1] * pixel[0], self.step_mm, first.position_mm], axis=1)
        return affine


KEYS: Mapping[str, Callable[[Plane], Any]] = {
    "VOLUME_MIXED_PATIENTS": lambda plane: plane.patient_key,
    "VOLUME_MIXED_SERIES": lambda plane: (plane.study_uid, plane.series_uid),
    "VOLUME_MIXED_ORIENTATION": lambda plane: plane.orientation,
    "VOLUME_MIXED_SIZE": lambda plane: (plane.rows, plane.columns),
    "VOLUME_MIXED_SPACING": lambda plane: plane.spacing_mm,
    "VOLUME_MIXED_REFERENCE": lambda plane: plane.frame_of_reference_uid,
    "VOLUME_MIXED_UNITS": lambda plane: plane.units,
    "VOLUME_SEVERAL_STACKS": lambda plane: (plane.stack_id, LOCALIZER in plane.image_type, plane.sop_uid * plane.is_whole),
}
"""Code of a mixture → what always sets stacks apart, the gravest first."""


def stacks(planes: Iterable[Plane]) -> tuple[Stack, ...]:
    """Sort planes into stacks, and each stack into slice order; what is given in another order comes out the same.

    Planes of a stack agree in patient, series, orientation, size, spacing, frame of reference, units and Stack ID. Two planes at
    one place belong to different stacks: :func:`medray.data.division.divide` says which attribute tells them apart. Where none
    does, each stack holds every place once, but carries VOLUME_SEVERAL_STACKS, since instance numbers say nothing. What
    is given twice is taken once, with VOLUME_DUPLICATE_SLICE.
    """
    series = groupby(sorted(planes, key=_rank), key=lambda plane: (plane.study_uid, plane.series_uid))
    return tuple(stack for _, group in series for stack in _stacks_of_series(list(group)))


def mixture(found: Sequence[Stack]) -> str:
    """Code of the most serious difference of the stacks, or "" for one stack."""
    return next((code for code in KEYS if len({stack.key[code] for stack in found}) > 1), "")


def _rank(plane: Plane) -> tuple[object, ...]:
    number = plane.instance_number
    return (plane.study_uid, plane.series_uid, number is None, number or 0, plane.sop_uid, plane.frame, plane.source)


def _stacks_of_series(planes: list[Plane]) -> Iterator[Stack]:
    once: dict[tuple[str, int], Plane] = {}
    for plane in planes:
        once.setdefault((plane.sop_uid, plane.frame), plane)
    given = Counter((plane.sop_uid, plane.frame) for plane in planes)
    groups = _grouped(list(once.values()))
    several = [key["VOLUME_SEVERAL_STACKS"] for key, _ in groups]
    for key, group in groups:
        for number, part in enumerate(_divided(group)):
            members = [group[index] for index in part.members.tolist()]
            copies = sum(given[plane.sop_uid, plane.frame] > 1 for plane in members)
            whole = {**key, "VOLUME_SEVERAL_STACKS": (*key["VOLUME_SEVERAL_STACKS"], number)}
            stack = _stack(members, whole, copies, part.trouble)
            yield replace(stack, divided_by=(*_named(key["VOLUME_SEVERAL_STACKS"], several), *part.by))


def _named(key: tuple[str, bool, str], others: Sequence[tuple[str, bool, str]]) -> Iterator[tuple[str, str]]:
    """What sets a stack apart from others that are not at the same places."""
    if any(other[0] != key[0] for other in others):
        yield "stack_id", key[0] or "none"
    if any(other[1] != key[1] for other in others):
        yield "image_type", LOCALIZER if key[1] else f"not {LOCALIZER}"


def _grouped(planes: list[Plane]) -> list[tuple[dict[str, Any], list[Plane]]]:
    if len(planes) == 1:
        return [({code: value(planes[0]) for code, value in KEYS.items()}, planes)]
    columns = {code: [value(plane) for plane in planes] for code, value in KEYS.items()}
    for code, tolerance in (("VOLUME_MIXED_ORIENTATION", ORIENTATION_TOLERANCE), ("VOLUME_MIXED_SPACING", SPACING_TOLERANCE_MM)):
        standing = representatives(set(columns[code]), tolerance)
        columns[code] = [standing[value] for value in columns[code]]
    groups: dict[tuple[object, ...], list[Plane]] = defaultdict(list)
    for plane, key in zip(planes, zip(*columns.values(), strict=True), strict=True):
        groups[key].append(plane)
    return [(dict(zip(KEYS, key, strict=True)), group) for key, group in groups.items()]


def _divided(planes: list[Plane]) -> list[Part]:
    """The parts of planes of one geometry, which are in order of instance numbers; one where their places are unknown."""
    directions, positions = axes(planes[0].orientation), _positions(planes)
    if len(planes) == 1 or directions is None or positions is None:
        return [Part(np.arange(len(planes)))]
    return divide(planes, places(positions, directions[2]), positions @ directions[2])


def _positions(planes: Sequence[Plane]) -> Float64 | None:
    """float64 (planes, 3), or None where one is unknown or implausible."""
    if any(plane.position_mm is None for plane in planes):
        return None
    positions = np.array([plane.position_mm for plane in planes], dtype=np.float64)
    return positions if np.abs(positions).max() <= _FARTHEST_MM else None


def _stack(planes: list[Plane], key: Mapping[str, object], copies: int, trouble: Trouble | None) -> Stack:
    first, positions = planes[0], _positions(planes)
    directions = axes(first.orientation)
    troubles = [Trouble("VOLUME_DUPLICATE_SLICE", f"{copies} slices were given more than once")] if copies else []
    troubles += [Trouble(code, NOTES[code]) for code in first.notes]
    if first.is_whole:
        return Stack(tuple(planes), key, None, tuple(troubles))
    if directions is None or positions is None or first.spacing_mm is None or max(first.spacing_mm) > _FARTHEST_MM:
        troubles.append(Trouble("VOLUME_NO_GEOMETRY", "position, orientation or pixel spacing is missing or no such thing"))
        return Stack(tuple(planes), key, None, tuple(troubles))
    slices = arrange(positions, directions, first.spacing_mm, first.slice_thickness_mm)
    found = [one for one in slices.troubles if trouble is None or one.code != trouble.code]
    step = None if slices.step_mm is None else (float(slices.step_mm[0]), float(slices.step_mm[1]), float(slices.step_mm[2]))
    taken = slices.order.tolist()
    repeats = tuple(planes[index] for index in sorted(set(range(len(planes))) - set(taken)))
    whole = (*([] if trouble is None else [trouble]), *troubles, *found)
    return Stack(tuple(planes[index] for index in taken), key, step, whole, repeats)
