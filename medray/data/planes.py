"""DICOM files → planes: a classic image is one, an enhanced image one for each frame, with what its functional groups say."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from medray.data import archive, store
from medray.data.dicom import boundary, open_whole
from medray.data.dicom.dataset import DicomFile
from medray.data.dicom.header import header_of
from medray.data.frames import dimensions_of, framed
from medray.data.grids import grid_of
from medray.data.placement import placed
from medray.data.plane import Plane, plane_of
from medray.errors import Excluded, InputError, Quarantined, StoreError

_BATCH = 32  # objects that are fetched at a time

Source = bytes | str | Path


def objects_of(sources: Source | Iterable[Source]) -> list[Source]:
    """The objects that sources stand for: themselves, or what lies under the one path or URI that is given."""
    if isinstance(sources, bytes):
        return [sources]
    if isinstance(sources, (str, os.PathLike)):
        return [info.uri for info in archive.list_objects(os.fspath(sources))]
    return list(sources)


def contents_of(objects: Sequence[Source]) -> Iterator[bytes | InputError]:
    """The bytes of each object in turn, or why an archive cannot give them; a few are in memory at a time."""
    for start in range(0, len(objects), _BATCH):
        batch = objects[start : start + _BATCH]
        fetched = iter(archive.read_many([store.normalise(item) for item in batch if not isinstance(item, bytes)]))
        for item in batch:
            data = item if isinstance(item, bytes) else next(fetched)
            if isinstance(data, StoreError):
                raise data
            yield data


def open_image(data: bytes | InputError) -> DicomFile:
    """The parsed file of an image; raises as :func:`medray.data.dicom.open_whole`, or what was fetched where that is an error."""
    if isinstance(data, InputError):
        raise data
    return open_whole(data)


def read_planes(
    objects: Sequence[Source], allow: Collection[str], max_bytes: int
) -> tuple[list[Plane], tuple[tuple[int, str], ...]]:
    """Every plane of the objects, and which hold no image."""
    planes: list[Plane] = []
    left_out = []
    for number, data in enumerate(contents_of(objects)):
        try:
            file = open_image(data)
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
    whole = plane_of(first, source)
    if (grid := grid_of(file.dataset, first)) is not None:
        yield from grid.planes(replace(whole, instance_uid=whole.sop_uid))
        return
    if first.frames == 1:
        yield framed(file.dataset, placed(file.dataset, whole), dimensions_of(file.dataset))
        return
    check_size(first.frames, first.rows, first.columns, max_bytes)
    dimensions = dimensions_of(file.dataset)
    for frame in range(first.frames):
        plane = replace(plane_of(header_of(file, frame), source), frame=frame, frames=1)
        yield framed(file.dataset, placed(file.dataset, replace(plane, instance_uid=plane.sop_uid)), dimensions)


def check_size(slices: int, rows: int, columns: int, max_bytes: int) -> None:
    """Raise Quarantined (VOLUME_TOO_LARGE) where a float32 for each voxel needs more than ``max_bytes``."""
    if 4 * slices * rows * columns > max_bytes:
        raise Quarantined("VOLUME_TOO_LARGE", f"{slices} × {rows} × {columns} voxels need more than {max_bytes} bytes")
