"""A foreign file → a mask: 0 for background, other whole numbers for what is marked."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from medray.data.foreign import arrays, bmp, png, reading, tiff
from medray.data.foreign.exif import check_orientation, orientation
from medray.data.foreign.itk import Fetch
from medray.data.foreign.picture import Picture, check_plane, without_alpha
from medray.data.mask_geometry import DRIFT_TOLERANCE
from medray.errors import Quarantined
from medray.types import Float64

_LARGEST = (1 << 32) - 1
_PNG_BITS, _ORDINARY_BITS = 24, (1, 2, 4, 8)
_VALUES = {"IMPORT_FLOAT", "IMPORT_DEPTH", "IMPORT_NOT_FINITE"}


@dataclass(frozen=True)
class Drawing:
    """A mask.

    Attributes:
        labels: unsigned integers (frames, rows, columns).
        affine: as of :class:`medray.data.foreign.picture.Picture`.
    """

    labels: NDArray[Any]
    affine: Float64 | None = None


def read(data: bytes, name: str, fetch: Fetch) -> Drawing:
    """The mask that a file holds: the indices of a palette, the values of grey, and of colours each one as a value of its own.

    Raises:
        Quarantined: IMPORT_MASK_LOSSY, IMPORT_MASK_VALUES, IMPORT_MASK_UNREADABLE, or as the readers of images do.
        ConfigError, StoreError: as the readers do.
    """
    if data.startswith((png.SIGNATURE, bmp.SIGNATURE)):
        return Drawing(_numbers(_plane(data))[None])
    if data.startswith(tiff.SIGNATURES):
        return Drawing(_numbers(tiff.drawn(data))[None])
    kind = reading.kind_of(data, name)
    if kind == "jpeg":
        raise Quarantined("IMPORT_MASK_LOSSY", "a mask as JPEG, whose values are not those that were drawn")
    try:
        picture = _array(data) if kind == reading.ARRAYS else reading.read(kind, data, name, fetch)
    except Quarantined as error:
        if error.code in _VALUES:
            raise Quarantined("IMPORT_MASK_VALUES", f"a mask whose values are not labels: {error.message}") from error
        raise
    return Drawing(_labels(picture), picture.affine)


def _array(data: bytes) -> Picture:
    values = arrays.one(data)
    return arrays.picture(values.astype(np.uint8) if values.dtype.kind == "b" else values)


def _labels(picture: Picture) -> NDArray[Any]:
    assert picture.pixels is not None
    if picture.photometric == "RGB":
        raise Quarantined("IMPORT_MASK_VALUES", "a mask of colours, where numbers are expected")
    labels = picture.pixels if picture.stack else picture.pixels[None]
    if picture.rescale is None:
        return labels
    return _whole(labels * picture.rescale[0] + picture.rescale[1])


def _whole(values: NDArray[Any]) -> NDArray[np.uint32]:
    if not ((values >= 0) & (values <= _LARGEST) & (values == np.rint(values))).all():
        raise Quarantined("IMPORT_MASK_VALUES", "a mask of fractions, negative or very large values, which are not labels")
    return values.astype(np.uint32)


def _plane(data: bytes) -> NDArray[Any]:
    """The values of a PNG or BMP as they are stored: the indices of a palette, (rows, columns) or (rows, columns, samples)."""
    is_png = data.startswith(png.SIGNATURE)
    if is_png:
        check_orientation(orientation(dict(png.chunks(data)).get(b"eXIf", b"")))
    try:
        with Pillow.open(io.BytesIO(data), formats=["PNG", "BMP"]) as found:
            check_plane(found.height, found.width, len(found.getbands()))
            if getattr(found, "n_frames", 1) > 1:
                raise Quarantined("IMPORT_MASK_UNREADABLE", "a mask of several pages")
            if is_png and data[_PNG_BITS] not in _ORDINARY_BITS:
                return np.asarray(imagecodecs.png_decode(data))  # of colours of 16 bits Pillow keeps the upper 8
            return np.asarray(found)
    except (OSError, ValueError, SyntaxError, struct.error, TypeError, RuntimeError, Pillow.DecompressionBombError) as error:
        raise Quarantined("IMPORT_MASK_UNREADABLE", f"the file is broken ({type(error).__name__})") from error


def _numbers(values: NDArray[Any]) -> NDArray[Any]:
    """Stored values → labels (rows, columns); each colour is a value of its own."""
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    if values.ndim == 2:
        return _whole(values)
    if values.dtype.kind != "u" or values.dtype.itemsize > 2:
        raise Quarantined("IMPORT_MASK_VALUES", "a mask of colours that are not values of 8 or 16 bits")
    values, _ = without_alpha(values, values.shape[2])
    if values.ndim == 2 or (values == values[..., :1]).all():
        return values.reshape(*values.shape[:2], -1)[..., 0].astype(np.uint32)
    if values.dtype.itemsize == 2 and (values % 257).any():
        raise Quarantined("IMPORT_MASK_VALUES", "a mask of colours of 16 bits, where 8 are expected")
    red, green, blue = np.moveaxis(values // (257 if values.dtype.itemsize == 2 else 1), -1, 0).astype(np.uint32)
    coloured: NDArray[Any] = red << 16 | green << 8 | blue
    return coloured


def united(drawings: Iterable[Drawing]) -> Drawing:
    """Several masks of one image as one.

    Raises:
        Quarantined: IMPORT_MASK_SIZE; IMPORT_MASK_CONFLICT where two give one place different values.
    """
    first, *others = drawings
    for other in others:
        if other.labels.shape != first.labels.shape:
            raise Quarantined("IMPORT_MASK_SIZE", "the masks of an image differ in size")
        if ((first.labels != other.labels) & (first.labels > 0) & (other.labels > 0)).any():
            raise Quarantined("IMPORT_MASK_CONFLICT", "two masks of an image give one place different values")
        check_place(other, first.affine)
        first = replace(first, labels=np.maximum(first.labels, other.labels))
    return first


def check_place(drawing: Drawing, affine: Float64 | None) -> None:
    """Refuse a mask that does not lie on its image, or whose position is unknown.

    Raises:
        Quarantined: IMPORT_MASK_GEOMETRY.
    """
    if drawing.affine is None and affine is None:
        return
    if drawing.affine is None or affine is None:
        raise Quarantined("IMPORT_MASK_GEOMETRY", "only one of mask and image states its position")
    frames, rows, columns = drawing.labels.shape
    corners = np.array([(c, r, s, 1) for c in (0, columns - 1) for r in (0, rows - 1) for s in (0, frames - 1)]).T
    beside = np.linalg.norm(((drawing.affine - affine) @ corners)[:3], axis=0).max()
    if not beside <= DRIFT_TOLERANCE * np.linalg.norm(affine[:3, :3], axis=0).min():
        raise Quarantined("IMPORT_MASK_GEOMETRY", f"the mask lies up to {beside:.3g} mm beside its image")
