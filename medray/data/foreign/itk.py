"""NRRD (.nrrd, .nhdr) and MetaImage (.mha, .mhd), by SimpleITK; a header may name a data file beside it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np

from medray.data import temporary
from medray.data.foreign.frame_order import in_frame_order
from medray.data.foreign.picture import UNPLACED, Picture, check_plane, check_volume
from medray.data.foreign.values import as_stored
from medray.errors import Quarantined
from medray.extras import needed

NRRD = b"NRRD"
ENDINGS = (".nrrd", ".nhdr", ".mha", ".mhd")
_HEAD_BYTES = 1 << 16
_NRRD_DATA = re.compile(rb"^data ?file:[ =]*(.+?)\s*$", re.I | re.M)
_META_DATA = re.compile(rb"^ElementDataFile\s*=\s*(.+?)\s*$", re.I | re.M)
_SPACE = re.compile(rb"^space: *((left|right)-(anterior|posterior)-superior|[LR][AP]S)\s*$", re.I | re.M)
_NRRD_SPACING = re.compile(rb"^(spacings|space directions):", re.I | re.M)
_META_SPACING = re.compile(rb"^Element(Spacing|Size)\s*=", re.I | re.M)
_UNITS = re.compile(rb"^space units:\s*(.+?)\s*$", re.I | re.M)
_META_MATRIX = re.compile(rb"^(TransformMatrix|Orientation|Rotation)\s*=", re.I | re.M)
_MM = {b'"mm"': 1.0, b'"cm"': 10.0, b'"m"': 1000.0, b'"um"': 0.001, b'""': 1.0}

Fetch = Callable[[str], bytes]


def data_file(head: bytes) -> str | None:
    """Name of the file that holds the voxels of a header; None where they follow it.

    Raises:
        Quarantined: IMPORT_DETACHED where it lies outside of the header's folder, or there are several.
    """
    head = header_text(head)
    found = (_NRRD_DATA if head.startswith(NRRD) else _META_DATA).search(head)
    if found is None or found[1].upper() == b"LOCAL":
        return None
    name = found[1].decode("utf-8", "replace")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise Quarantined("IMPORT_DETACHED", "the header names a data file outside of its folder")
    if re.match(r"LIST\b", name, re.I) or "%" in name:
        raise Quarantined("IMPORT_DETACHED", "the header names several data files")
    return name


def header_text(head: bytes) -> bytes:
    """The lines of a header."""
    head = head[:_HEAD_BYTES]
    if head.startswith(NRRD):
        return re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0]
    found = _META_DATA.search(head)
    return head[: found.end()] if found else head


def read(data: bytes, name: str, fetch: Fetch, *, rounded: bool = False) -> Picture:
    """The volume, or the plane, of a file.

    Args:
        data: the file.
        name: of the file; its ending counts.
        fetch: gives the data file of a detached header, by its name relative to the header.
        rounded: as in :func:`medray.data.foreign.values.as_stored`.

    Raises:
        ConfigError: EXTRA_MISSING.
        Quarantined: IMPORT_BROKEN, IMPORT_DIMENSIONS, IMPORT_DETACHED, IMPORT_UNITS, or as of :mod:`.nifti`.
        StoreError: the data file cannot be read.
    """
    sitk = needed("SimpleITK", "import", "an NRRD or MetaImage volume")
    with temporary.folder("itk") as folder:
        path = folder / f"volume{PurePosixPath(name.lower()).suffix}"
        path.write_bytes(data)
        if (beside := data_file(data)) is not None:
            target = folder / beside
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(fetch(beside))
        try:
            values, spacing, affine = _loaded(sitk, path)
        except RuntimeError as error:
            raise Quarantined("IMPORT_BROKEN", "the NRRD or MetaImage file is broken") from error
    scale = _unit(data)
    if values.ndim == 2 or not _says_spacing(data):
        stored = as_stored(values, rounded=rounded)
        if not _says_spacing(data):  # which SimpleITK takes to be 1
            return Picture(stored.values, "MONOCHROME2", values.ndim > 2, rescale=stored.rescale, notes=stored.notes)
        distances = (spacing[1] * scale, spacing[0] * scale)
        return Picture(stored.values, "MONOCHROME2", rescale=stored.rescale, spacing_mm=distances, notes=stored.notes)
    affine[:3] *= scale
    placed = in_frame_order(values, affine)
    stored = as_stored(np.ascontiguousarray(placed.voxels), rounded=rounded)
    notes = stored.notes if _says_where(data) else (*stored.notes, UNPLACED)
    return Picture(stored.values, "MONOCHROME2", True, rescale=stored.rescale, affine=placed.affine, notes=notes)


def _loaded(sitk: object, path: Path) -> tuple[np.ndarray, tuple[float, ...], np.ndarray]:
    reader = sitk.ImageFileReader()  # type: ignore[attr-defined]
    reader.SetFileName(str(path))
    reader.SetImageIO("NrrdImageIO" if path.suffix in (".nrrd", ".nhdr") else "MetaImageIO")
    reader.ReadImageInformation()
    size, parts = reader.GetSize(), reader.GetNumberOfComponents()
    if parts != 1 or any(side != 1 for side in size[3:]) or len(size) < 2:
        shown = " × ".join(map(str, size))
        raise Quarantined(
            "IMPORT_DIMENSIONS", f"{shown} voxels of {parts} values: a volume has three dimensions and one value a voxel"
        )
    check_volume((*size, 1)[:3][::-1], 8) if len(size) > 2 else check_plane(size[1], size[0])
    image = reader.Execute()
    values = sitk.GetArrayFromImage(image)  # type: ignore[attr-defined]
    dimensions = len(size)
    if dimensions > 3:
        values = values.reshape(values.shape[-3:])
    spacing, affine = image.GetSpacing(), np.eye(4)
    if dimensions > 2:
        direction = np.array(image.GetDirection()).reshape(dimensions, dimensions)[:3, :3]
        affine[:3, :3] = direction * np.array(spacing[:3])
        affine[:3, 3] = image.GetOrigin()[:3]
    return values, spacing, affine


def _says_spacing(data: bytes) -> bool:
    head = header_text(data)
    return bool((_NRRD_SPACING if head.startswith(NRRD) else _META_SPACING).search(head))


def _says_where(data: bytes) -> bool:
    head = header_text(data)
    return bool((_SPACE if head.startswith(NRRD) else _META_MATRIX).search(head))


def _unit(data: bytes) -> float:
    """mm for each unit of an NRRD's space; what states none is in mm."""
    found = _UNITS.search(header_text(data)) if data.startswith(NRRD) else None
    if found is None:
        return 1.0
    units = {_MM.get(word) for word in re.findall(rb'"[^"]*"', found[1])}
    if len(units) != 1 or None in units:
        raise Quarantined("IMPORT_UNITS", "the space of the NRRD is in another unit than mm, cm, m or um")
    (scale,) = units
    assert scale is not None
    return scale
