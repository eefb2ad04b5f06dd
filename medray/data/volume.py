"""Slices → volume: voxels in slice order and where they lie in the patient; typed errors for what is no true volume."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medray.data import archive, store
from medray.data.dicom import boundary, open_whole, tags
from medray.data.dicom.dataset import DataSet, DicomFile
from medray.data.dicom.functional import group
from medray.data.dicom.header import header_of
from medray.data.dicom.image import image_of
from medray.data.series import Plane, Stack, mixture, plane_of, stacks
from medray.errors import Excluded, InputError, Quarantined, StoreError
from medray.types import Bool, Float32, Float64, Header, Image

MAX_BYTES = 4 << 30
_FLAGS = {"VOLUME_SHEARED", "VOLUME_SINGLE_SLICE"}  # need no permission
_VALID = {"VOLUME_SEVERAL_STACKS", "VOLUME_MIXED_SERIES"}  # mixtures that may well be meant: Excluded; others are Quarantined
_BATCH = 32  # objects that are fetched at a time

Source = bytes | str | Path


@dataclass(frozen=True)
class Volume:
    """A stack of parallel slices as one array.

    ``affine @ (column, row, slice, 1)`` is the centre of ``voxels[slice, row, column]`` in mm, in the patient's LPS system of
    DICOM (x to the left, y to the back, z to the head; PS3.3 C.7.6.2.1.1). Slices follow each other along the normal, which is
    the cross product of the directions of a row and of a column, so the matrix is right-handed. Its third column is the step
    from slice to slice as it is, also where that is not parallel to the normal (flag VOLUME_SHEARED: gantry tilt; nothing is
    resampled).

    Attributes:
        voxels: float32 (slices, rows, columns), in the units of the modality LUT: HU for CT, also where it is MONOCHROME1.
        valid: bool (slices, rows, columns), False on pixel padding; None where every voxel counts.
        spacing_mm: distance of slices (of their planes, along the normal), of rows and of columns.
        affine: float64 (4, 4), LPS, see above; exact for every slice unless a flag VOLUME_GAP or VOLUME_TILT says otherwise.
        positions_mm: float64 (slices, 3), Image Position (Patient) of each slice as stored.
        headers: of each slice.
        frames: frame of its file that each slice is, counted from 0.
        flags: what was allowed or is worth knowing: codes of :mod:`medray.remedies`, sorted.
        left_out: (number of the source, code) of the sources that hold no image.
    """

    voxels: Float32
    valid: Bool | None
    spacing_mm: tuple[float, float, float]
    affine: Float64
    positions_mm: Float64
    headers: tuple[Header, ...]
    frames: tuple[int, ...]
    flags: tuple[str, ...] = ()
    left_out: tuple[tuple[int, str], ...] = ()

    @property
    def sop_uids(self) -> tuple[str, ...]:
        """SOP Instance UID of each slice."""
        return tuple(header.sop_uid for header in self.headers)

    def image(self) -> Image:
        """The voxels as one image of three dimensions, with the header of the first slice and the flags of the volume.

        Slices that are not evenly spaced (VOLUME_GAP) have no slice spacing.
        """
        first = self.headers[0]
        header = replace(first, flags=tuple(sorted({*first.flags, *self.flags})))
        return Image(self.voxels, self.valid, header, slice_spacing_mm=None if "VOLUME_GAP" in self.flags else self.spacing_mm[0])

    @property
    def affine_ras(self) -> Float64:
        """The affine in the RAS system of NIfTI, for the same order of indices."""
        return np.diag([-1.0, -1.0, 1.0, 1.0]) @ self.affine


def build_volume(
    sources: Source | Iterable[Source], *, stack: int | None = None, allow: Collection[str] = (), max_bytes: int = MAX_BYTES
) -> Volume:
    """Build the volume of a series, classic (one slice a file) or multi-frame, whatever the order of the files.

    Args:
        sources: DICOM files as bytes, paths or URIs (also of members of a shard); or one path or URI of a file, a shard, or a
            folder with everything under it. Objects that are no images are left out.
        stack: number of the stack among :func:`volume_stacks`; None where there is one.
        allow: codes that become flags instead of errors. Of a mixture that is allowed the largest stack is built, never the
            mixture. The code of a source that cannot be read leaves that source out.
        max_bytes: size of the voxels that is not exceeded.

    Raises:
        Quarantined: VOLUME_NO_GEOMETRY, VOLUME_MIXED_PATIENTS, VOLUME_MIXED_ORIENTATION, VOLUME_MIXED_SIZE, VOLUME_MIXED_SPACING,
            VOLUME_MIXED_REFERENCE, VOLUME_DUPLICATE_SLICE, VOLUME_GAP, VOLUME_TILT, VOLUME_TOO_LARGE; or a source is broken.
        Excluded: VOLUME_EMPTY, VOLUME_MIXED_SERIES, VOLUME_SEVERAL_STACKS, VOLUME_MOSAIC.
        StoreError: a source cannot be read.
        IndexError: there is no such stack.
    """
    objects = _objects(sources)
    planes, left_out = _planes(objects, allow, max_bytes)
    chosen, flags = _chosen(stacks(planes), stack, allow)
    volume = _filled(objects, chosen, max_bytes)
    return replace(volume, flags=tuple(sorted(flags)), left_out=left_out)


def volume_stacks(sources: Source | Iterable[Source], *, allow: Collection[str] = ()) -> tuple[Stack, ...]:
    """The stacks among DICOM files, with what is wrong with each; arguments and errors of reading as of :func:`build_volume`."""
    return stacks(_planes(_objects(sources), allow, MAX_BYTES)[0])


def _objects(sources: Source | Iterable[Source]) -> list[Source]:
    if isinstance(sources, bytes):
        return [sources]
    if isinstance(sources, (str, os.PathLike)):
        return [info.uri for info in archive.list_objects(os.fspath(sources))]
    return list(sources)


def _contents(objects: Sequence[Source]) -> Iterator[bytes | InputError]:
    """The bytes of each object in turn, or why an archive cannot give them; a few are in memory at a time."""
    for start in range(0, len(objects), _BATCH):
        batch = objects[start : start + _BATCH]
        fetched = iter(archive.read_many([store.normalise(item) for item in batch if not isinstance(item, bytes)]))
        for item in batch:
            data = item if isinstance(item, bytes) else next(fetched)
            if isinstance(data, StoreError):
                raise data
            yield data


def _open(data: bytes | InputError) -> DicomFile:
    if isinstance(data, InputError):
        raise data
    return open_whole(data)


def _planes(objects: Sequence[Source], allow: Collection[str], max_bytes: int) -> tuple[list[Plane], tuple[tuple[int, str], ...]]:
    """Every plane of the objects, and which hold no image."""
    planes: list[Plane] = []
    left_out = []
    for number, data in enumerate(_contents(objects)):
        try:
            file = _open(data)
        except InputError as error:
            if isinstance(error, Quarantined) and error.code not in allow:
                raise
            left_out.append((number, error.code))
            continue
        with boundary():
            planes += _planes_of(file, number, max_bytes)
    if not planes:
        raise Excluded("VOLUME_EMPTY", f"none of {len(objects)} objects is an image")
    return planes, tuple(left_out)


def _planes_of(file: DicomFile, source: int, max_bytes: int) -> Iterator[Plane]:
    first = header_of(file)
    if "MOSAIC" in first.image_type:
        raise Excluded("VOLUME_MOSAIC", "an image that holds many slices side by side")
    if first.frames == 1:
        yield _framed(file.dataset, plane_of(first, source))
        return
    _check_size(first.frames, first.rows, first.columns, max_bytes)
    for frame in range(first.frames):
        plane = replace(plane_of(header_of(file, frame), source), frame=frame, frames=1)
        placed = group(file.dataset, frame, tags.PLANE_POSITION) is not None
        yield _framed(file.dataset, plane if placed else replace(plane, position_mm=None))


def _framed(dataset: DataSet, plane: Plane) -> Plane:
    """With what the functional groups of an enhanced image say of the frame (PS3.3 C.7.6.16.2, C.8.13.5, C.8.15.3)."""
    content = group(dataset, plane.frame, tags.FRAME_CONTENT)
    kind = group(dataset, plane.frame, tags.MR_FRAME_TYPE) or group(dataset, plane.frame, tags.CT_FRAME_TYPE)
    echo = group(dataset, plane.frame, tags.MR_ECHO)
    if content is not None:
        number = _unsigned(content, tags.TEMPORAL_POSITION_INDEX)
        acquisition = _unsigned(content, tags.FRAME_ACQUISITION_NUMBER)
        plane = replace(plane, stack_id=content.text(tags.STACK_ID), temporal_position=number, acquisition_number=acquisition)
    if kind is not None:
        plane = replace(plane, image_type=kind.texts(tags.FRAME_TYPE))
    times = echo.doubles(tags.EFFECTIVE_ECHO_TIME) if echo is not None else ()
    return replace(plane, echo_time_ms=times[0]) if times else plane


def _unsigned(dataset: DataSet, tag: int) -> int | None:
    raw = dataset.values.get(tag)
    return int.from_bytes(raw, "little" if dataset.little else "big") if raw else None


def _chosen(found: Sequence[Stack], number: int | None, allow: Collection[str]) -> tuple[Stack, set[str]]:
    """The stack that is asked for, or the only one, or by permission the largest; and its flags."""
    if number is not None and not 0 <= number < len(found):
        raise IndexError(f"stack {number} of {len(found)}")
    chosen = found[number] if number is not None else max(found, key=lambda one: len(one.planes))
    mixed = mixture(found) if number is None else mixture([one for one in found if one.series == chosen.series])
    if number is not None and mixed != "VOLUME_MIXED_PATIENTS":
        mixed = ""
    if mixed and mixed not in allow:
        sizes = ", ".join(f"{index}: {len(one.planes)} slices" for index, one in enumerate(found[:5])) + ", …" * (len(found) > 5)
        error = Excluded if mixed in _VALID else Quarantined
        raise error(mixed, f"{len(found)} stacks where one volume is expected ({sizes})")
    for trouble in chosen.troubles:
        if trouble.code not in _FLAGS and trouble.code not in allow:
            raise Quarantined(trouble.code, trouble.detail)
    return chosen, {trouble.code for trouble in chosen.troubles} | ({mixed} - {""})


def _check_size(slices: int, rows: int, columns: int, max_bytes: int) -> None:
    if 4 * slices * rows * columns > max_bytes:
        raise Quarantined("VOLUME_TOO_LARGE", f"{slices} × {rows} × {columns} voxels need more than {max_bytes} bytes")


def _filled(objects: Sequence[Source], chosen: Stack, max_bytes: int) -> Volume:
    planes, spacing_mm, affine = chosen.planes, chosen.spacing_mm, chosen.affine
    if spacing_mm is None or affine is None:
        raise Quarantined(
            "VOLUME_NO_GEOMETRY", "position, orientation, pixel spacing or the thickness of the one slice is unknown"
        )
    shape = (len(planes), planes[0].rows, planes[0].columns)
    _check_size(*shape, max_bytes)
    voxels, valid = np.empty(shape, dtype=np.float32), None
    headers = [Header()] * len(planes)
    for at, image in _images(objects, planes):
        voxels[at], headers[at] = image.pixels, image.header
        if image.valid is not None:
            valid = np.ones(shape, dtype=np.bool_) if valid is None else valid
            valid[at] = image.valid
    positions_mm = np.array([plane.position_mm for plane in planes], dtype=np.float64)
    return Volume(voxels, valid, spacing_mm, affine, positions_mm, tuple(headers), tuple(plane.frame for plane in planes))


def _images(objects: Sequence[Source], planes: Sequence[Plane]) -> Iterator[tuple[int, Image]]:
    """(index of the slice, its image), file by file."""
    wanted: dict[int, list[int]] = defaultdict(list)
    for at, plane in enumerate(planes):
        wanted[plane.source].append(at)
    for places, data in zip(wanted.values(), _contents([objects[source] for source in wanted]), strict=True):
        file = _open(data)
        for at in places:
            with boundary():
                header = header_of(file, planes[at].frame)
                image = _quantity(file, header, planes[at].frame)
            if (header.sop_uid, header.rows, header.columns) != (planes[at].sop_uid, planes[at].rows, planes[at].columns):
                raise StoreError("OBJECT_CHANGED", "a slice changed while the volume was built", "run again", retryable=True)
            yield at, image


def _quantity(file: DicomFile, header: Header, frame: int) -> Image:
    """The image of a frame without the mirroring of MONOCHROME1, which is meant for the eye: HU stay HU."""
    if header.photometric != "MONOCHROME1":
        return image_of(file, header, frame)
    image = image_of(file, replace(header, photometric="MONOCHROME2", voi_window=None), frame)
    return replace(image, header=replace(image.header, photometric=header.photometric))
