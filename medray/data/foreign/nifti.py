"""NIfTI-1 and NIfTI-2 (.nii, .nii.gz), by nibabel."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

from medray.data.foreign.frame_order import RAS_TO_LPS, in_frame_order
from medray.data.foreign.picture import UNPLACED, Picture, check_volume
from medray.data.foreign.values import as_stored
from medray.errors import Quarantined
from medray.extras import needed

_MM = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}
_HEADER_BYTES = 544
GZIP = b"\x1f\x8b"


def is_nifti(head: bytes) -> bool:
    """Whether bytes are the start of a single NIfTI file, also compressed."""
    if head.startswith(GZIP):
        try:
            head = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, _HEADER_BYTES)
        except zlib.error:
            return False
    return head[344:348] == b"n+1\0" or head[4:8] == b"n+2\0"


def read(data: bytes, *, rounded: bool = False) -> Picture:
    """The volume of a NIfTI file: sform, else qform; values as scl_slope and scl_inter say.

    Raises:
        ConfigError: EXTRA_MISSING.
        Quarantined: IMPORT_BROKEN, IMPORT_DIMENSIONS, IMPORT_VALUES, IMPORT_AFFINE, IMPORT_SHEARED, IMPORT_TOO_LARGE,
            IMPORT_EMPTY, IMPORT_NOT_FINITE, IMPORT_FLOAT, IMPORT_DEPTH.
    """
    nibabel = needed("nibabel", "import", "a NIfTI volume")
    head = _start(data, _HEADER_BYTES)
    kind = nibabel.Nifti1Image if head[344:348] == b"n+1\0" else nibabel.Nifti2Image
    broken = (nibabel.spatialimages.HeaderDataError, nibabel.filebasedimages.ImageFileError, ValueError, OSError, EOFError)
    try:
        header = kind.header_class(head[: kind.header_class.sizeof_hdr], check=False)  # extensions follow it
        shape, dtype = _checked(header)
        wanted = int(header["vox_offset"]) + dtype.itemsize * int(np.prod(shape, dtype=object))
        image = kind.from_bytes(_start(data, wanted))
        voxels = np.asarray(image.dataobj.get_unscaled()).reshape(shape[:3]).T
        slope, intercept = (float(header[name]) for name in ("scl_slope", "scl_inter"))
        scale = _MM.get(image.header.get_xyzt_units()[0], 1.0)
        affine, has_place = _affine(image.header)
    except (*broken, zlib.error, struct.error) as error:
        raise Quarantined("IMPORT_BROKEN", f"the NIfTI file is broken ({type(error).__name__})") from error
    affine[:3] *= scale
    placed = in_frame_order(voxels, RAS_TO_LPS @ affine)
    native = np.ascontiguousarray(placed.voxels, placed.voxels.dtype.newbyteorder("="))
    stored = as_stored(native, slope, intercept, rounded=rounded)
    notes = stored.notes if has_place else (*stored.notes, UNPLACED)
    return Picture(stored.values, "MONOCHROME2", True, rescale=stored.rescale, affine=placed.affine, notes=notes)


def _start(data: bytes, size_bytes: int) -> bytes:
    """The first bytes, decompressed where need be: never more than asked for."""
    if not data.startswith(GZIP):
        return data[:size_bytes]
    stream, parts = zlib.decompressobj(zlib.MAX_WBITS | 16), []
    while data and size_bytes > 0:
        part = stream.decompress(data, size_bytes)
        parts.append(part)
        size_bytes -= len(part)
        data = stream.unconsumed_tail
        if stream.eof and stream.unused_data:  # members of gzip follow each other
            data, stream = stream.unused_data, zlib.decompressobj(zlib.MAX_WBITS | 16)
    return b"".join(parts)


def _checked(header: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of the voxels; before anything is decompressed."""
    dtype = header.get_data_dtype()
    if dtype.kind not in "uif" or dtype.itemsize > 8:
        raise Quarantined("IMPORT_VALUES", f"voxels of type {dtype}: colours, complex or extended numbers")
    shape = tuple(int(side) for side in header.get_data_shape())
    if len(shape) < 2 or any(side != 1 for side in shape[3:]):
        raise Quarantined("IMPORT_DIMENSIONS", f"{' × '.join(map(str, shape))} voxels: a volume has three dimensions")
    shape = (*shape, 1)[:3]
    check_volume(shape[::-1], dtype.itemsize)
    return shape, dtype


def _affine(header: Any) -> tuple[np.ndarray[Any, np.dtype[np.float64]], bool]:
    """Of the file, in RAS and its own unit; and whether it states one: without, nibabel takes the axes as they come."""
    stated = bool(header["sform_code"] > 0 or header["qform_code"] > 0)
    return np.array(header.get_best_affine(), dtype=np.float64), stated
