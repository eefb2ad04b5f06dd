"""Functional groups of enhanced multi-frame images (PS3.3 C.7.6.16): what holds for one frame."""

from __future__ import annotations

from medray.data.dicom import tags
from medray.data.dicom.dataset import DataSet


def group(dataset: DataSet, frame: int, sequence: int) -> DataSet | None:
    """The item of a functional group that holds for a frame: its own, else the shared one; None where there is neither.

    Args:
        dataset: of an enhanced image; any other gives None.
        frame: counted from 0.
        sequence: tag of the functional group's sequence, for example ``tags.PIXEL_MEASURES``.
    """
    per_frame = dataset.items.get(tags.PER_FRAME_GROUPS, ())
    if frame < len(per_frame) and (own := per_frame[frame].first_item(sequence)) is not None:
        return own
    shared = dataset.first_item(tags.SHARED_GROUPS)
    return shared.first_item(sequence) if shared is not None else None


def group_items(dataset: DataSet, frame: int, sequence: int) -> tuple[DataSet, ...]:
    """All items of a functional group that may have several: the frame's own, else the shared ones."""
    per_frame = dataset.items.get(tags.PER_FRAME_GROUPS, ())
    own = per_frame[frame].items.get(sequence, ()) if frame < len(per_frame) else ()
    shared = dataset.first_item(tags.SHARED_GROUPS)
    return own or (shared.items.get(sequence, ()) if shared is not None else ())


def element_source(dataset: DataSet, frame: int, sequence: int, tag: int) -> DataSet:
    """The data set that holds ``tag`` for a frame: the functional group's item where it has it, else the data set itself."""
    found = group(dataset, frame, sequence)
    return found if found is not None and tag in found else dataset
