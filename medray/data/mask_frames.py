"""Which frames of a segmentation count for which planes: by where they lie in the patient, narrowed by what they refer to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from medray.data.geometry import SAME_PLACE_MM
from medray.data.mask_geometry import DRIFT_TOLERANCE, Target, offset, reach_mm
from medray.data.segmentation import Place, Segmentation
from medray.errors import Quarantined


@dataclass
class _Sorted:
    """The frames of a segmentation, as they were found to lie.

    Attributes:
        counted: (frame, plane) of those that lie on a plane.
        alone: those of them that refer to that plane alone.
        placeless: frames without a position → whether they refer to the image.
        beside, between: those that lie on other planes of an image's stack, and next to it on none.
        foreign: those that refer to other images.
    """

    counted: list[tuple[int, int]] = field(default_factory=list)
    alone: set[int] = field(default_factory=set)
    placeless: dict[int, bool] = field(default_factory=dict)
    beside: list[int] = field(default_factory=list)
    between: list[int] = field(default_factory=list)
    foreign: list[int] = field(default_factory=list)


def counted_frames(found: Segmentation, target: Target, segment: int | None = None) -> list[tuple[int, int]]:
    """(frame, plane) of each frame that counts.

    A frame lies where its Plane Position puts it (PS3.3 A.51, C.7.6.16.2.3): on a plane of the same orientation, pixel spacing
    and place within the plane, at most half a step off. What it refers to (Derivation Image, else what the whole refers to:
    Referenced Series) narrows this: a frame of other images counts for none but those. Where a frame or the target says nothing
    of its place, the references decide alone. Without either, one frame for each segment is taken to be of the image.

    Args:
        found: the segmentation.
        target: what it is for, of its size.
        segment: the number that a frame must be of; None: any.

    Returns:
        The frames in order; none where the segmentation marks nothing on an image of its stack.

    Raises:
        Quarantined: MASK_GEOMETRY where frames lie on no plane, contradict their references, or cannot be told apart;
            MASK_OTHER_IMAGE where all belong to other images; MASK_UNREADABLE where frames do not state their segment.
    """
    frames = _sorted(found, target)
    if not frames.counted:
        if frames.between:
            raise Quarantined("MASK_GEOMETRY", f"frame {frames.between[0]} of the mask lies between the planes of images")
        _check_stack(found, target, frames)
    segments = {frame: found.segment(frame) for frame, _ in frames.counted}
    if segment is not None and found.kind != "LABELMAP":
        if None in segments.values():
            raise Quarantined("MASK_UNREADABLE", "the frames of the mask do not state their segment")
        frames.counted = [(frame, at) for frame, at in frames.counted if segments[frame] == segment]
    _check_apart(found, target, frames, segments)
    return frames.counted


def _sorted(found: Segmentation, target: Target) -> _Sorted:
    frames = _Sorted()
    of_series = target.is_volume and target.series_uid in found.series_uids
    for frame in range(found.pixel.frames):
        sources = found.sources(frame)
        references = sources or found.instances
        named = target.named_by(references)
        if references and not named and not of_series:
            frames.foreign.append(frame)
            continue
        alone = bool(named) and target.is_alone_in(references if not target.is_volume else sources)
        place = found.place(frame) if target.positions_mm is not None else None
        if place is None:
            frames.placeless[frame] = bool(named)
            frames.counted.append((frame, 0))
        else:
            _check_reference(found, target, named=bool(named))
            at = _seat(place, target, frame, frames, alone=alone)
            if at is None:
                continue
            if sources and named and at not in named:
                raise Quarantined("MASK_GEOMETRY", f"frame {frame} of the mask refers to other slices than the one it lies on")
            frames.counted.append((frame, at))
        if alone:
            frames.alone.add(frame)
    if frames.placeless:
        _check_placeless(found, target, frames)
    return frames


def _check_placeless(found: Segmentation, target: Target, frames: _Sorted) -> None:
    """Raise unless frames without a position refer to their image.

    One that refers to nothing is of the image only where no other frame says more. One that refers to several images is of none
    of them in particular, unless it was drawn on all of them and they have no places either, which would differ.
    """
    everyone, lies = range(found.pixel.frames), target.positions_mm is not None
    more = (lies and any(found.place(frame) for frame in everyone)) or any(found.sources(frame) for frame in everyone)
    for frame, named in frames.placeless.items():
        if target.is_volume or (more and not named):
            raise Quarantined("MASK_GEOMETRY", f"the mask does not say where its frame {frame} lies")
        if named and frame not in frames.alone and (lies or not found.sources(frame)):
            raise Quarantined(
                "MASK_GEOMETRY", f"frame {frame} of the mask refers to several images and does not say where it lies"
            )
        if not named:
            _check_reference(found, target, named=False)


def _check_reference(found: Segmentation, target: Target, *, named: bool) -> None:
    given, expected = found.frame_of_reference_uid, target.frame_of_reference_uid
    if given and expected and given != expected:
        code = "MASK_GEOMETRY" if named else "MASK_OTHER_IMAGE"
        raise Quarantined(code, "the mask has another frame of reference than the image")


def _seat(place: Place, target: Target, frame: int, frames: _Sorted, *, alone: bool) -> int | None:
    """The plane that a frame lies on; None for one beside an image, which is noted."""
    at, along_mm, drift, turned = offset(place, target)
    if turned:
        raise Quarantined("MASK_GEOMETRY", f"frame {frame} of the mask has another orientation than the image")
    on, off = reach_mm(place, target, named=alone)
    if along_mm > on:
        if target.is_volume or alone:
            raise Quarantined("MASK_GEOMETRY", f"frame {frame} of the mask lies {along_mm:.4g} mm from the nearest plane")
        (frames.beside if along_mm > off else frames.between).append(frame)
        return None
    if drift > DRIFT_TOLERANCE:
        raise Quarantined("MASK_GEOMETRY", f"frame {frame} of the mask lies up to {drift:.3g} pixels beside its plane")
    return at


def _check_stack(found: Segmentation, target: Target, frames: _Sorted) -> None:
    """Return for an image that a mask of its stack just does not mark.

    That is one among the images that the mask refers to, or one that lies beside the frames in their frame of reference. Where
    neither tells where it lies, a mask of several images may leave out one of their series.
    """
    mentioned = {one.sop_uid for frame in range(found.pixel.frames) for one in (*found.sources(frame), *found.instances)}
    strange = bool(found.series_uids) and target.series_uid not in found.series_uids
    here = [frame for frame in frames.foreign if _lies_here(found.place(frame), target)]
    if not target.is_volume and not here:
        if target.sources[0][0] in mentioned:
            return
        if not strange and _same_reference(found, target):
            return
        if not strange and target.positions_mm is None and len(mentioned) > 1:
            return
    raise Quarantined("MASK_OTHER_IMAGE", "the frames of the mask are of other images")


def _same_reference(found: Segmentation, target: Target) -> bool:
    """Whether all frames lie on planes parallel to the target's, in its frame of reference."""
    if target.positions_mm is None or not found.frame_of_reference_uid == target.frame_of_reference_uid != "":
        return False
    places = [found.place(frame) for frame in range(found.pixel.frames)]
    return all(place is not None and not offset(place, target).turned for place in places)


def _lies_here(place: Place | None, target: Target) -> bool:
    if place is None or target.positions_mm is None:
        return False
    here = offset(place, target)
    return not here.turned and here.along_mm <= reach_mm(place, target, named=True)[0]


def _check_apart(found: Segmentation, target: Target, frames: _Sorted, segments: dict[int, int | None]) -> None:
    """A plane has one frame for each segment, all at one place, unless they refer to this plane alone."""
    doubtful: dict[tuple[int, int | None], list[int]] = defaultdict(list)
    for frame, at in frames.counted:
        if frame not in frames.alone:
            doubtful[at, segments[frame]].append(frame)
    places = [place for same in doubtful.values() for frame in same if (place := found.place(frame)) is not None]
    if any(len(same) > 1 for same in doubtful.values()) or (target.positions_mm is None and _differ(places)):
        raise Quarantined("MASK_GEOMETRY", "the mask has several frames and does not say which image each is for")


def _differ(places: list[Place]) -> bool:
    return any(np.abs(place.position_mm - places[0].position_mm).max() > SAME_PLACE_MM for place in places)
