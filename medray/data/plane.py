"""One slice, as far as its place in a stack and its stack in a series depend on it."""

from __future__ import annotations

from dataclasses import dataclass

from medray.types import Header

GRIDS = frozenset({"MOSAIC", "VFRAME"})
"""Words of Image Type that say that an image holds many slices side by side."""
NOTES = {
    "VOLUME_DIRECTION": "whether its slices follow the normal or go against it is not stated",
    "GE_ROWS_FLIPPED": "a GE sequence may have written rows upside down, as only private elements tell",
    "VOLUME_FRAME_OF_REFERENCE": "positions are in the frame of reference of the volume itself, not in the patient's",
}
"""Codes on how the place of a plane is known."""


@dataclass(frozen=True)
class Plane:
    """One 2-D slice: an image, a frame of a multi-frame image, a slice of a grid, or a whole image that is not divided.

    Attributes:
        source, frame: which input it comes from, and its frame, or its place in a grid, counted from 0.
        frames: 1, or the number of frames that stand behind it.
        stack_id: Stack ID (0020,9056) of a frame, or what else sets the frames of an image apart; "" otherwise.
        notes: codes of :data:`NOTES`.
        component: Complex Image Component (0008,9208) of a frame, "" otherwise.
        instance_uid: SOP Instance UID of the image that it is a frame or a slice of, "" otherwise.
        dimensions: (name, index) of what orders the frames of an enhanced image beside their place (PS3.3 C.7.6.17).
        others: as in :class:`medray.types.Header`; of a frame, what its functional groups say.
    """

    sop_uid: str = ""
    series_uid: str = ""
    study_uid: str = ""
    patient_key: str = ""
    modality: str = ""
    sop_class_uid: str = ""
    rows: int = 0
    columns: int = 0
    frames: int = 1
    image_type: tuple[str, ...] = ()
    instance_number: int | None = None
    acquisition_number: int | None = None
    temporal_position: int | None = None
    b_value: float | None = None
    gradient: tuple[float, ...] | None = None
    trigger_time_ms: float | None = None
    echo_time_ms: float | None = None
    echo_number: int | None = None
    inversion_time_ms: float | None = None
    flip_angle_deg: float | None = None
    contrast_agent: str = ""
    acquisition_time_s: float | None = None
    content_time_s: float | None = None
    frame_of_reference_uid: str = ""
    spacing_mm: tuple[float, float] | None = None
    slice_thickness_mm: float | None = None
    position_mm: tuple[float, float, float] | None = None
    orientation: tuple[float, ...] | None = None
    units: str = ""
    stack_id: str = ""
    notes: tuple[str, ...] = ()
    component: str = ""
    instance_uid: str = ""
    dimensions: tuple[tuple[str, int], ...] = ()
    source: int = 0
    frame: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether many slices stand behind it: the frames of an image, or those of a grid."""
        return self.frames > 1 or not GRIDS.isdisjoint(self.image_type)


_OF_FRAMES = ("stack_id", "notes", "component", "instance_uid", "dimensions", "source", "frame")
FIELDS = tuple(name for name in Plane.__dataclass_fields__ if name not in _OF_FRAMES)
"""Fields of a plane that a header and a catalog row have too."""


def plane_of(header: Header, source: int = 0) -> Plane:
    """The plane of a header."""
    notes = tuple(code for code in header.flags if code in NOTES)
    return Plane(**{name: getattr(header, name) for name in FIELDS}, notes=notes, source=source)
