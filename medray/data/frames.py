"""What the functional groups and dimensions of an enhanced multi-frame image say of one frame (PS3.3 C.7.6.16, C.7.6.17)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydicom.datadict import keyword_for_tag

from medray.data.dicom import acquisition_tags as more
from medray.data.dicom import tags
from medray.data.dicom.acquisition import acquired, first_double, moment_s, vector
from medray.data.dicom.dataset import DataSet
from medray.data.dicom.functional import group
from medray.data.plane import Plane

_MOST_DIMENSIONS = 16
_SPATIAL = frozenset(
    {
        0x00200032,  # Image Position (Patient)
        0x00200037,  # Image Orientation (Patient)
        0x00201041,  # Slice Location
        0x00209056,  # Stack ID
        0x00209057,  # In-Stack Position Number
        0x00209113,  # Plane Position Sequence
        0x00209116,  # Plane Orientation Sequence
        0x00209301,  # Image Position (Volume)
        0x00209302,  # Image Orientation (Volume)
        0x0020930E,  # Plane Position (Volume) Sequence
        0x0020930F,  # Plane Orientation (Volume) Sequence
        0x0048021E,  # Column and Row Position In Total Image Pixel Matrix
        0x0048021F,
    }
)
_MOMENTS = (("acquisition_time_s", more.FRAME_ACQUISITION_DATETIME), ("content_time_s", more.FRAME_REFERENCE_DATETIME))


def dimensions_of(dataset: DataSet) -> tuple[tuple[int, str], ...]:
    """(number, name) of the dimensions that do not say where a frame lies: the keyword of the attribute that is pointed to.

    Where no pointers are given, it is every dimension.
    """
    found = []
    if not dataset.items.get(more.DIMENSION_INDICES):
        return tuple((number, f"dimension {number + 1}") for number in range(_MOST_DIMENSIONS))
    for number, item in enumerate(dataset.items.get(more.DIMENSION_INDICES, ())[:_MOST_DIMENSIONS]):
        words = item.wholes(more.DIMENSION_POINTER)
        tag = words[0] << 16 | words[1] if len(words) > 1 else 0
        if tag not in _SPATIAL:
            found.append((number, keyword_for_tag(tag) or f"dimension {number + 1}"))
    return tuple(found)


def framed(dataset: DataSet, plane: Plane, dimensions: Sequence[tuple[int, str]] = ()) -> Plane:
    """The plane of a frame with what holds for this frame; of a classic image, the plane as it is.

    Args:
        dataset: of the whole image.
        plane: with the number of its frame.
        dimensions: of :func:`dimensions_of`.
    """
    if tags.PER_FRAME_GROUPS not in dataset.items and tags.SHARED_GROUPS not in dataset.items:
        return plane
    stated = _acquisition(dataset, plane.frame)
    content = group(dataset, plane.frame, tags.FRAME_CONTENT)
    if content is not None:
        stated |= {name: moment_s(content.values.get(tag, b"")) for name, tag in _MOMENTS}
        plane = replace(
            plane,
            stack_id=content.text(tags.STACK_ID),
            temporal_position=_unsigned(content, tags.TEMPORAL_POSITION_INDEX),
            acquisition_number=_unsigned(content, tags.FRAME_ACQUISITION_NUMBER),
            dimensions=_indices(content, dimensions),
        )
    return replace(plane, **_stated(stated))


def _acquisition(dataset: DataSet, frame: int) -> dict[str, Any]:
    """Fields of a plane: contrast, timing and type of a frame, empty where nothing is said of it."""

    def of(sequence: int) -> DataSet:
        return group(dataset, frame, sequence) or DataSet({})

    kind = group(dataset, frame, tags.MR_FRAME_TYPE) or of(tags.CT_FRAME_TYPE)
    converted, diffusion = of(more.UNASSIGNED_CONVERTED), of(more.MR_DIFFUSION)
    own = {
        "echo_time_ms": first_double(of(tags.MR_ECHO), tags.EFFECTIVE_ECHO_TIME) or converted.decimal(tags.ECHO_TIME),
        "flip_angle_deg": of(more.MR_TIMING).decimal(more.FLIP_ANGLE),
        "inversion_time_ms": first_double(of(more.MR_MODIFIER), more.INVERSION_TIMES),
        "trigger_time_ms": first_double(of(more.CARDIAC_SYNCHRONIZATION), more.TRIGGER_DELAY),
        "b_value": first_double(diffusion, more.B_VALUE),
        "gradient": vector(diffusion.first_item(more.DIFFUSION_GRADIENTS) or diffusion, more.GRADIENT_ORIENTATION),
        "contrast_agent": "+".join(map(str, of(more.CONTRAST_USAGE).wholes(more.CONTRAST_NUMBER))),
        "image_type": kind.texts(tags.FRAME_TYPE),
        "component": kind.text(more.COMPLEX_COMPONENT),
    }
    return _stated(acquired(dataset)) | _stated(acquired(converted)) | _stated(own)


def _stated(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value not in (None, "", ())}


def _indices(content: DataSet, dimensions: Sequence[tuple[int, str]]) -> tuple[tuple[str, int], ...]:
    """Dimension Index Values of a frame, of these dimensions."""
    raw, order = content.values.get(more.DIMENSION_INDEX_VALUES, b""), "little" if content.little else "big"
    values = [int.from_bytes(raw[at : at + 4], order) for at in range(0, min(len(raw), 4 * _MOST_DIMENSIONS), 4)]  # type: ignore[arg-type]
    return tuple((name, values[number]) for number, name in dimensions if number < len(values))


def _unsigned(dataset: DataSet, tag: int) -> int | None:
    raw = dataset.values.get(tag)
    return int.from_bytes(raw, "little" if dataset.little else "big") if raw else None
