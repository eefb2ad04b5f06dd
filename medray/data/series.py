"""Series → stacks: which slices belong together in one volume, in which order, and what is wrong with them. Pure functions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np

from medray.data.geometry import Trouble, arrange, axes, orientation_name, places
from medray.types import Float64, Header

ORIENTATION_TOLERANCE = 1e-4
"""By how much direction cosines of one stack may differ; the last digits that scanners write do."""
SPACING_TOLERANCE_MM = 1e-4
GRIDS = frozenset({"MOSAIC", "VFRAME"})
"""Words of Image Type that say that an image holds many slices side by side."""
_FARTHEST_MM = 1e5
_NOTES = {
    "VOLUME_DIRECTION": "whether its slices follow the normal or go against it is not stated",
    "GE_ROWS_FLIPPED": "a GE sequence may have written rows upside down, as only private elements tell",
    "VOLUME_FRAME_OF_REFERENCE": "positions are in the frame of reference of the volume itself, not in the patient's",
}
_MANY = 1000  # different values of one series; more are compared exactly, so that a hostile series costs no quadratic time


@dataclass(frozen=True)
class Plane:
    """One 2-D slice: an image, a frame of a multi-frame image, a slice of a grid; or a whole image whose slices nobody looks at.

    Attributes:
        source, frame: which input it comes from, and its frame, or its place in a grid, counted from 0.
        frames: 1, or the number of frames that stand behind it.
        stack_id: Stack ID (0020,9056) of a frame, or what else sets the frames of an image apart; "" otherwise.
        notes: codes of :mod:`medray.remedies` on how its place is known.
        others: as in :class:`medray.types.Header`.
    """

    sop_uid: str = ""
    series_uid: str = ""
    study_uid: str = ""
    patient_key: str = ""
    modality: str = ""
    rows: int = 0
    columns: int = 0
    frames: int = 1
    image_type: tuple[str, ...] = ()
    instance_number: int | None = None
    acquisition_number: int | None = None
    temporal_position: int | None = None
    echo_time_ms: float | None = None
    frame_of_reference_uid: str = ""
    spacing_mm: tuple[float, float] | None = None
    slice_thickness_mm: float | None = None
    position_mm: tuple[float, float, float] | None = None
    orientation: tuple[float, ...] | None = None
    units: str = ""
    stack_id: str = ""
    notes: tuple[str, ...] = ()
    source: int = 0
    frame: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether many slices stand behind it: the frames of an image, or those of a grid."""
        return self.frames > 1 or not GRIDS.isdisjoint(self.image_type)


FIELDS = tuple(name for name in Plane.__dataclass_fields__ if name not in ("stack_id", "notes", "source", "frame"))
"""Fields of a plane that a header and a catalog row have too."""


def plane_of(header: Header, source: int = 0) -> Plane:
    """The plane of a header."""
    notes = tuple(code for code in header.flags if code in _NOTES)
    return Plane(**{name: getattr(header, name) for name in FIELDS}, notes=notes, source=source)


@dataclass(frozen=True)
class Stack:
    """Slices that make up one volume.

    Attributes:
        planes: in slice order, along the normal; in order of instance number where their place is unknown.
        key: code of a mixture → what this stack has there; stacks differ in at least one.
        step_mm: x y z in LPS from one slice to the next, None where it is unknown.
        troubles: what is wrong with it.
        repeats: planes that belong here too, but at places that others have taken.
    """

    planes: tuple[Plane, ...]
    key: Mapping[str, object]
    step_mm: tuple[float, float, float] | None = None
    troubles: tuple[Trouble, ...] = ()
    repeats: tuple[Plane, ...] = ()

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
    "VOLUME_SEVERAL_STACKS": lambda plane: (
        plane.stack_id,
        plane.echo_time_ms,
        "LOCALIZER" in plane.image_type,
        plane.sop_uid if plane.is_whole else "",
    ),
}
"""Code of a mixture → what always sets stacks apart, the gravest first."""
_REPEATS = (
    ("temporal_position",),
    ("image_type",),
    ("acquisition_number",),
    ("temporal_position", "image_type"),
    ("acquisition_number", "image_type"),
    ("temporal_position", "acquisition_number", "image_type"),
)
"""What sets stacks apart where slices lie at the same place. Not elsewhere: CT may count an acquisition for each rotation."""


def stacks(planes: Iterable[Plane]) -> tuple[Stack, ...]:
    """Sort planes into stacks, and each stack into slice order; what is given in another order comes out the same.

    Planes of a stack agree in patient, series, orientation, size, spacing, frame of reference, units, echo time and Stack ID.
    Where several lie at the same place they are told apart by temporal position, image type or acquisition number, whichever
    gives stacks that hold every place once; failing these, by the order of instance numbers where every place is taken equally
    often (a time series). An instance or frame that is given twice is taken once, with VOLUME_DUPLICATE_SLICE.
    """
    series = groupby(sorted(planes, key=_rank), key=lambda plane: (plane.study_uid, plane.series_uid))
    return tuple(stack for _, group in series for stack in _stacks_of_series(list(group)))


def mixture(found: Sequence[Stack]) -> str:
    """Code of the gravest thing in which stacks differ, or "" for one stack."""
    return next((code for code in KEYS if len({stack.key[code] for stack in found}) > 1), "")


def _rank(plane: Plane) -> tuple[object, ...]:
    number = plane.instance_number
    return (plane.study_uid, plane.series_uid, number is None, number or 0, plane.sop_uid, plane.frame, plane.source)


def _stacks_of_series(planes: list[Plane]) -> Iterator[Stack]:
    once: dict[tuple[str, int], Plane] = {}
    for plane in planes:
        once.setdefault((plane.sop_uid, plane.frame), plane)
    given = Counter((plane.sop_uid, plane.frame) for plane in planes)
    for key, group in _grouped(list(once.values())):
        for turn, part in _without_repeats(group):
            several = (*key["VOLUME_SEVERAL_STACKS"], turn)
            copies = sum(given[plane.sop_uid, plane.frame] > 1 for plane in part)
            yield _stack(part, {**key, "VOLUME_SEVERAL_STACKS": several}, copies)


def _grouped(planes: list[Plane]) -> list[tuple[dict[str, Any], list[Plane]]]:
    if len(planes) == 1:
        return [({code: value(planes[0]) for code, value in KEYS.items()}, planes)]
    orientation = _alike({plane.orientation for plane in planes}, ORIENTATION_TOLERANCE)
    spacing = _alike({plane.spacing_mm for plane in planes}, SPACING_TOLERANCE_MM)
    groups: dict[tuple[object, ...], list[Plane]] = defaultdict(list)
    for plane in planes:
        alike = replace(plane, orientation=orientation[plane.orientation], spacing_mm=spacing[plane.spacing_mm])
        groups[tuple(value(alike) for value in KEYS.values())].append(plane)
    return [(dict(zip(KEYS, key, strict=True)), group) for key, group in groups.items()]


def _alike(values: set[Any], tolerance: float) -> dict[Any, Any]:
    """Vector (or None) → the one that stands for all within the tolerance of it."""
    vectors = sorted(value for value in values if value is not None)
    if len(vectors) < 2 or len(vectors) > _MANY:
        return {value: value for value in values}
    standing: list[tuple[float, ...]] = []
    answer: dict[Any, Any] = {None: None}
    for vector in vectors:
        near = (one for one in standing if max(abs(a - b) for a, b in zip(one, vector, strict=True)) <= tolerance)
        answer[vector] = next(near, vector)
        if answer[vector] is vector:
            standing.append(vector)
    return answer


def _without_repeats(planes: list[Plane]) -> list[tuple[object, list[Plane]]]:
    """Split planes, given in order of instance numbers, so that every part holds each place once, if what they say allows it."""
    directions = axes(planes[0].orientation)
    positions = _positions(planes)
    if len(planes) == 1 or directions is None or positions is None:
        return [(None, planes)]
    labels = places(positions, directions[2]).tolist()
    if len(set(labels)) == len(labels):
        return [(None, planes)]
    for attributes in _REPEATS:
        marks = [tuple(getattr(plane, name) for name in attributes) for plane in planes]
        if len(set(zip(marks, labels, strict=True))) == len(planes):
            return _parts(marks, planes)
    turns: Counter[int] = Counter()
    nth = [turns.update([label]) or turns[label] for label in labels]
    numbers = {(plane.instance_number, plane.frame) for plane in planes}
    if len(set(turns.values())) > 1 or len(numbers) < len(planes):
        return [(None, planes)]
    return _parts(nth, planes)


def _positions(planes: Sequence[Plane]) -> Float64 | None:
    """float64 (planes, 3), or None where one is unknown or out of this world."""
    if any(plane.position_mm is None for plane in planes):
        return None
    positions = np.array([plane.position_mm for plane in planes], dtype=np.float64)
    return positions if np.abs(positions).max() <= _FARTHEST_MM else None


def _parts(marks: Sequence[object], planes: Sequence[Plane]) -> list[tuple[object, list[Plane]]]:
    parts: dict[object, list[Plane]] = defaultdict(list)
    for mark, plane in zip(marks, planes, strict=True):
        parts[mark].append(plane)
    return list(parts.items())


def _stack(planes: list[Plane], key: Mapping[str, object], copies: int) -> Stack:
    first, positions = planes[0], _positions(planes)
    directions = axes(first.orientation)
    troubles = [Trouble("VOLUME_DUPLICATE_SLICE", f"{copies} slices were given more than once")] if copies else []
    troubles += [Trouble(code, _NOTES[code]) for code in first.notes]
    if first.is_whole:
        return Stack(tuple(planes), key, None, tuple(troubles))
    if directions is None or positions is None or first.spacing_mm is None or max(first.spacing_mm) > _FARTHEST_MM:
        troubles.append(Trouble("VOLUME_NO_GEOMETRY", "position, orientation or pixel spacing is missing or no such thing"))
        return Stack(tuple(planes), key, None, tuple(troubles))
    slices = arrange(positions, directions, first.spacing_mm, first.slice_thickness_mm)
    step = None if slices.step_mm is None else (float(slices.step_mm[0]), float(slices.step_mm[1]), float(slices.step_mm[2]))
    taken = slices.order.tolist()
    repeats = tuple(planes[index] for index in sorted(set(range(len(planes))) - set(taken)))
    return Stack(tuple(planes[index] for index in taken), key, step, (*troubles, *slices.troubles), repeats)
