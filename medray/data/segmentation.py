"""DICOM segmentations (PS3.3 A.51, C.8.20): what each frame is of and refers to, where it lies, and which pixels it marks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import SegmentationStorage

from medray.data.dicom import tags
from medray.data.dicom.checks import LABEL_MAP_STORAGE, check_frames, check_pixel_length
from medray.data.dicom.dataset import DataSet, DicomFile, ImagePixel, image_pixel
from medray.data.dicom.functional import group, group_items
from medray.data.dicom.header import sop_class
from medray.data.dicom.parse import parse
from medray.data.dicom.pixels import stored_values
from medray.data.dicom.selection import SEGMENTATIONS
from medray.data.dicom.syntaxes import check_syntax
from medray.errors import Quarantined
from medray.types import Bool, Float64

_BACKGROUND = ("125040", "DCM")
"""Code of the background (PS3.16 CID 7150 extended, as highdicom writes it)."""


@dataclass(frozen=True)
class MaskChoice:
    """What of a mask counts.

    Attributes:
        segment: number of the one segment that does; None: all, whatever is not background.
        level: from which part of Maximum Fractional Value on a pixel of a fractional segmentation does, above 0 and at most 1.
    """

    segment: int | None = None
    level: float | None = None


ALL = MaskChoice()


@dataclass(frozen=True)
class Reference:
    """An image that a frame is of: its SOP Instance UID, and its frames, counted from 0; none stands for all."""

    sop_uid: str
    frames: tuple[int, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where a frame lies in the patient.

    Attributes:
        position_mm: float64 (3,), Image Position (Patient).
        orientation: float64 (6,), Image Orientation (Patient).
        spacing_mm: float64 (2,), distance of rows and of columns.
        step_mm: Spacing Between Slices, or None.
        thickness_mm: Slice Thickness, or None.
    """

    position_mm: Float64
    orientation: Float64
    spacing_mm: Float64
    step_mm: float | None
    thickness_mm: float | None


@dataclass(frozen=True)
class Segmentation:
    """An opened segmentation.

    Attributes:
        file: as parsed.
        pixel: how its pixels are stored.
        kind: Segmentation Type: BINARY, FRACTIONAL or LABELMAP.
    """

    file: DicomFile
    pixel: ImagePixel
    kind: str

    @property
    def frame_of_reference_uid(self) -> str:
        """Frame of Reference UID, or ""."""
        return self.file.dataset.text(tags.FRAME_OF_REFERENCE)

    @cached_property
    def segments(self) -> tuple[int, ...]:
        """The numbers of the segments that are described."""
        numbers = [item.whole(tags.SEGMENT_NUMBER) for item in self._described]
        return tuple(number for number in numbers if number is not None)

    @cached_property
    def series_uids(self) -> frozenset[str]:
        """The series that the whole refers to (PS3.3 C.12.2)."""
        found = {item.text(tags.SERIES_INSTANCE) for item in _nested(self.file.dataset, tags.REFERENCED_SERIES)}
        return frozenset(found - {""})

    @cached_property
    def instances(self) -> tuple[Reference, ...]:
        """The images that the whole refers to: Referenced Series Sequence, Source Image Sequence."""
        dataset = self.file.dataset
        series = _nested(dataset, tags.REFERENCED_SERIES)
        listed = [instance for one in series for instance in _nested(one, tags.REFERENCED_INSTANCES)]
        return _references([*listed, *_nested(dataset, tags.SOURCE_IMAGES)])

    def sources(self, frame: int) -> tuple[Reference, ...]:
        """The images that a frame is derived from, as its own or the shared Derivation Image says (PS3.3 C.7.6.16.2.6)."""
        derived = group_items(self.file.dataset, frame, tags.DERIVATION_IMAGES)
        return _references([source for item in derived for source in _nested(item, tags.SOURCE_IMAGES)])

    def segment(self, frame: int) -> int | None:
        """Referenced Segment Number of a frame, or the only number there is; None where unknown, and in a label map."""
        if self.kind == "LABELMAP":
            return None
        found = group(self.file.dataset, frame, tags.SEGMENT_IDENTIFICATION)
        number = None if found is None else found.whole(tags.REFERENCED_SEGMENT)
        return self.segments[0] if number is None and len(self.segments) == 1 else number

    def place(self, frame: int) -> Place | None:
        """Where a frame lies; None where it has no Plane Position.

        Raises:
            Quarantined: MASK_GEOMETRY where it has one that is incomplete.
        """
        dataset = self.file.dataset
        if group(dataset, frame, tags.PLANE_POSITION) is None:
            return None
        measures = group(dataset, frame, tags.PIXEL_MEASURES)
        return Place(
            _numbers(dataset, frame, tags.PLANE_POSITION, tags.IMAGE_POSITION, 3),
            _numbers(dataset, frame, tags.PLANE_ORIENTATION, tags.IMAGE_ORIENTATION, 6),
            _numbers(dataset, frame, tags.PIXEL_MEASURES, tags.PIXEL_SPACING, 2),
            _length(measures, tags.SPACING_BETWEEN_SLICES),
            _length(measures, tags.SLICE_THICKNESS),
        )

    def marked(self, frame: int, choice: MaskChoice) -> Bool:
        """The pixels that a frame marks, bool (rows, columns).

        Raises:
            Quarantined: MASK_UNREADABLE where values contradict their description; PIXELS_* where they cannot be decoded.
        """
        values = stored_values(self.file, self.pixel, frame)
        if self.kind == "LABELMAP":
            return self._labelled(values, choice.segment)
        if self.kind == "FRACTIONAL":
            return values >= self._fraction(values, choice.level)
        return np.asarray(values > 0)

    def _fraction(self, values: NDArray[Any], level: float | None) -> int:
        """The smallest value whose part of Maximum Fractional Value is at least ``level`` (PS3.3 C.8.20.2.3.2)."""
        if level is None:
            raise Quarantined("MASK_UNREADABLE", "the mask is a fractional segmentation without a level to compare with")
        highest = self.file.dataset.whole(tags.MAX_FRACTIONAL_VALUE)
        if not highest or values.max() > highest:
            raise Quarantined("MASK_UNREADABLE", "a fractional segmentation without its maximum, or with values above it")
        return int(np.argmax(np.arange(highest + 1) / highest >= level))

    def _labelled(self, values: NDArray[Any], segment: int | None) -> Bool:
        """Every value is the number of a segment, also 0, and one may be the background (PS3.3 C.8.20.2.3.3)."""
        values, background = values.view(f"u{values.itemsize}"), self._background()
        present = set(np.flatnonzero(np.bincount(values.ravel())).tolist())
        if self._described and (unknown := present - background - set(self.segments)):
            raise Quarantined("MASK_UNREADABLE", f"a label map with the value {min(unknown)}, which it does not describe")
        if segment in background:
            raise Quarantined("MASK_UNREADABLE", f"{segment} is the background of this label map, not a segment")
        return np.isin(values, sorted(present - background) if segment is None else [segment])

    def _background(self) -> set[int]:
        """The values that mark nothing: Pixel Padding Value, and what is coded as background; else 0, unless it is described."""
        coded = {item.whole(tags.SEGMENT_NUMBER) for item in self._described if _is_background(item)}
        padding = self.file.dataset.whole(tags.PIXEL_PADDING_VALUE)
        if padding is not None:
            if self.pixel.signed and padding >= 1 << 15:  # as the values do, so it states the bits of one
                padding &= (1 << self.pixel.bits_allocated) - 1
            coded.add(padding)
        return {number for number in coded if number is not None} or {0} - set(self.segments)

    @property
    def _described(self) -> tuple[DataSet, ...]:
        return _nested(self.file.dataset, tags.SEGMENTS)


def open_segmentation(data: bytes) -> Segmentation:
    """A DICOM SEG of pixels.

    Raises:
        Quarantined: MASK_UNREADABLE, or as the checks of images do.
    """
    file = parse(data, len(data), SEGMENTATIONS)
    if file is None or file.pixels is None:
        raise Quarantined("MASK_UNREADABLE", "the mask has no pixels")
    if sop_class(file) not in (SegmentationStorage, LABEL_MAP_STORAGE):
        raise Quarantined("MASK_UNREADABLE", "the mask is neither a DICOM segmentation nor a PNG")
    check_frames(file.dataset)
    check_syntax(file.meta.text(tags.TRANSFER_SYNTAX))
    check_pixel_length(file, len(data))
    pixel = image_pixel(file)
    per_frame = file.dataset.items.get(tags.PER_FRAME_GROUPS)
    if per_frame is not None and len(per_frame) != pixel.frames:
        raise Quarantined("MASK_UNREADABLE", f"{pixel.frames} frames, {len(per_frame)} items of per-frame functional groups")
    return Segmentation(file, pixel, _kind(file, pixel))


def _kind(file: DicomFile, pixel: ImagePixel) -> str:
    stated, of_labels = file.dataset.text(tags.SEGMENTATION_TYPE), sop_class(file) == LABEL_MAP_STORAGE
    kind = stated or ("LABELMAP" if of_labels else "BINARY" if pixel.bits_allocated == 1 else "")
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP") or (of_labels and kind != "LABELMAP") or pixel.samples != 1:
        raise Quarantined("MASK_UNREADABLE", "the mask does not state its segmentation type")
    return kind


def _nested(dataset: DataSet, sequence: int) -> tuple[DataSet, ...]:
    return dataset.items.get(sequence, ())


def _references(items: list[DataSet]) -> tuple[Reference, ...]:
    return tuple(dict.fromkeys(_reference(item) for item in items if item.text(tags.REFERENCED_SOP_INSTANCE)))


def _reference(item: DataSet) -> Reference:
    numbers = item.decimals(tags.REFERENCED_FRAME_NUMBER) or ()
    if not numbers and item.text(tags.REFERENCED_FRAME_NUMBER):
        raise Quarantined("MASK_UNREADABLE", "a Referenced Frame Number of the mask is not a number")
    return Reference(item.text(tags.REFERENCED_SOP_INSTANCE), tuple(int(number) - 1 for number in numbers))


def _is_background(segment: DataSet) -> bool:
    code = segment.first_item(tags.SEGMENTED_PROPERTY)
    return code is not None and (code.text(tags.CODE_VALUE), code.text(tags.CODING_SCHEME)) == _BACKGROUND


def _numbers(dataset: DataSet, frame: int, sequence: int, tag: int, count: int) -> Float64:
    found = group(dataset, frame, sequence)
    numbers = None if found is None else found.decimals(tag)
    if numbers is None or len(numbers) != count:
        raise Quarantined("MASK_GEOMETRY", f"the mask does not say where its frame {frame} lies")
    return np.asarray(numbers, dtype=np.float64)


def _length(measures: DataSet | None, tag: int) -> float | None:
    number = None if measures is None else measures.decimal(tag)
    return abs(number) if number else None
