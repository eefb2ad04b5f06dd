"""Slices → volume: voxels in slice order and where they lie in the patient; typed errors for what does not make a volume."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from medray.data.correct import corrected, needed_permissions
from medray.data.correction import Correction, Interpolation, check_names
from medray.data.dicom import boundary
from medray.data.dicom.dataset import DicomFile
from medray.data.dicom.header import header_of
from medray.data.dicom.image import image_of
from medray.data.dicom.real_world import common_maps
from medray.data.dicom.suv import common_suv
from medray.data.dicom.units import units_of
from medray.data.grids import grid_of
from medray.data.plane import Plane
from medray.data.planes import Source, check_size, contents_of, objects_of, open_image, read_planes
from medray.data.series import Stack, stacks
from medray.data.stack_choice import chosen_stack
from medray.data.volume_record import Volume
from medray.errors import Quarantined, StoreError
from medray.types import Header, Image, RealWorldMap, SuvFactor

MAX_BYTES = 4 << 30

__all__ = ["MAX_BYTES", "Volume", "build_volume", "volume_stacks"]


def build_volume(
    sources: Source | Iterable[Source],
    *,
    stack: int | None = None,
    allow: Collection[str] = (),
    correct: Correction | Collection[Correction] = (),
    interpolation: Interpolation = "linear",
    max_bytes: int = MAX_BYTES,
) -> Volume:
    """Build the volume of a series, classic (one slice a file) or multi-frame, whatever the order of the files.

    Args:
        sources: DICOM files as bytes, paths or URIs (also of members of a shard); or one path or URI of a file, a shard, or a
            folder with everything under it. Objects that are not images are left out.
        stack: number of the stack among :func:`volume_stacks`; None where there is one, but for screens and localizers, which are
            left out.
        correct: ``"tilt"``: a constant gantry tilt is taken out, ``"spacing"``: slices are evenly spaced; by interpolation and
            only where they are not so already (see :func:`medray.data.correct.corrected`).
        interpolation: ``"linear"`` or ``"cubic"``.
        allow: codes that become flags instead of errors. Of a mixture that is allowed the largest stack is built, never the
            mixture. The code of a source that cannot be read leaves that source out.
        max_bytes: size of the voxels that is not exceeded.

    Raises:
        Quarantined: VOLUME_NO_GEOMETRY, VOLUME_MIXED_PATIENTS, VOLUME_MIXED_ORIENTATION, VOLUME_MIXED_SIZE, VOLUME_MIXED_SPACING,
            VOLUME_MIXED_REFERENCE, VOLUME_MIXED_UNITS, VOLUME_DUPLICATE_SLICE, VOLUME_GAP, VOLUME_TILT, VOLUME_TOO_LARGE; or a
            source is broken.
        Excluded: VOLUME_EMPTY, VOLUME_MIXED_SERIES, VOLUME_SEVERAL_STACKS, VOLUME_MOSAIC.
        StoreError: a source cannot be read.
        IndexError: there is no such stack.
        ValueError: there is no such correction or interpolation.
    """
    correct = [correct] if isinstance(correct, str) else correct
    check_names(correct, interpolation)
    objects = objects_of(sources)
    planes, left_out = read_planes(objects, allow, max_bytes)
    chosen, flags, beside = chosen_stack(stacks(planes), stack, {*allow, *needed_permissions(correct)})
    volume = _filled(objects, chosen, max_bytes)
    volume = replace(volume, flags=tuple(sorted(flags)), left_out=tuple(sorted((*left_out, *beside))))
    return corrected(volume, correct, interpolation, max_bytes)


def volume_stacks(sources: Source | Iterable[Source], *, allow: Collection[str] = ()) -> tuple[Stack, ...]:
    """The stacks among DICOM files, with what is wrong with each; arguments and errors of reading as of :func:`build_volume`."""
    return stacks(read_planes(objects_of(sources), allow, MAX_BYTES)[0])


def _filled(objects: Sequence[Source], chosen: Stack, max_bytes: int) -> Volume:
    planes, spacing_mm, affine = chosen.planes, chosen.spacing_mm, chosen.affine
    if spacing_mm is None or affine is None:
        raise Quarantined(
            "VOLUME_NO_GEOMETRY", "position, orientation, pixel spacing or the thickness of the one slice is unknown"
        )
    shape = (len(planes), planes[0].rows, planes[0].columns)
    check_size(*shape, max_bytes)
    voxels, valid = np.empty(shape, dtype=np.float32), None
    headers = [Header()] * len(planes)
    maps: list[tuple[RealWorldMap, ...]] = [()] * len(planes)
    suvs: list[SuvFactor | None] = [None] * len(planes)
    for at, image in _images(objects, planes):
        voxels[at], headers[at], maps[at], suvs[at] = image.pixels, image.header, image.real_world, image.suv
        if image.valid is not None:
            valid = np.ones(shape, dtype=np.bool_) if valid is None else valid
            valid[at] = image.valid
    positions_mm = np.array([plane.position_mm for plane in planes], dtype=np.float64)
    frames = tuple(plane.frame for plane in planes)
    placed = (spacing_mm, affine, positions_mm)
    return Volume(voxels, valid, *placed, tuple(headers), frames, real_world=common_maps(maps), suv=common_suv(suvs))


def _images(objects: Sequence[Source], planes: Sequence[Plane]) -> Iterator[tuple[int, Image]]:
    """(index of the slice, its image), file by file."""
    wanted: dict[int, list[int]] = defaultdict(list)
    for at, plane in enumerate(planes):
        wanted[plane.source].append(at)
    for places, data in zip(wanted.values(), contents_of([objects[source] for source in wanted]), strict=True):
        images = _slices(open_image(data), [planes[at] for at in places])
        for at in places:
            with boundary():
                image = next(images)
            header, plane = image.header, planes[at]
            if (header.sop_uid, header.rows, header.columns) != (plane.sop_uid, plane.rows, plane.columns):
                raise StoreError("OBJECT_CHANGED", "a slice changed while the volume was built", "run again", retryable=True)
            yield at, replace(image, header=_in_place(header, plane))


def _slices(file: DicomFile, planes: Sequence[Plane]) -> Iterator[Image]:
    """The images of some planes of a file."""
    first = header_of(file)
    if (grid := grid_of(file.dataset, first)) is not None:
        whole = _quantity(file, first, 0)
        yield from (grid.tile(whole, plane.frame) for plane in planes)
        return
    yield from (_quantity(file, header_of(file, plane.frame), plane.frame) for plane in planes)


def _in_place(header: Header, plane: Plane) -> Header:
    """The header with the place of its slice, where that is one in the patient."""
    if "VOLUME_FRAME_OF_REFERENCE" in plane.notes:
        return header
    cosines = plane.orientation or ()
    orientation = (cosines[0], cosines[1], cosines[2], cosines[3], cosines[4], cosines[5]) if len(cosines) == 6 else None
    return replace(header, position_mm=plane.position_mm, orientation=orientation)


def _quantity(file: DicomFile, header: Header, frame: int) -> Image:
    """The image of a frame without the mirroring of MONOCHROME1, which is meant for the eye: HU stay HU."""
    if header.photometric != "MONOCHROME1":
        return image_of(file, header, frame)
    units = units_of(file.dataset, frame, header.sop_class_uid)
    image = image_of(file, replace(header, photometric="MONOCHROME2", voi_window=None, units=units), frame)
    return replace(image, header=replace(image.header, photometric=header.photometric))
