"""What callers may give to be scored, as decoded images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from medray.data import archive
from medray.data.dicom import decode
from medray.errors import Excluded, MedrayError
from medray.types import Image

Input = bytes | str | Path | np.ndarray | Image
T = TypeVar("T")

_GROUP_BYTES = 64 << 20
"""Decoded pixels that wait for others."""


def in_groups(decoded: Iterable[tuple[T, Image | MedrayError]], most: int) -> Iterator[list[tuple[T, Image | MedrayError]]]:
    """Inputs, as they are decoded, in groups of so many, or of fewer that are large."""
    group: list[tuple[T, Image | MedrayError]] = []
    held_bytes = 0
    for item, image in decoded:
        group.append((item, image))
        held_bytes += image.pixels.nbytes if isinstance(image, Image) else 0
        if len(group) >= most or held_bytes >= _GROUP_BYTES:
            yield group
            group, held_bytes = [], 0
    if group:
        yield group


def as_image(item: Input, *, colour: bool = False) -> Image:
    """The image of a DICOM file (bytes, path or URI) or of a 2-D array; masked elements of an array are invalid pixels.

    With ``colour`` a file stored in colour keeps its colours, and an array may be (3, rows, columns): a pixel is invalid where
    it is masked in one of them.

    Raises:
        InputError, StoreError
    """
    if isinstance(item, Image):
        if not np.isfinite(item.pixels).all():
            raise Excluded("IMAGE_NOT_FINITE", "some pixels are not finite")
        return item
    if isinstance(item, np.ndarray):
        return _of_array(item, colour)
    return decode(item if isinstance(item, bytes) else archive.read(str(item)), colour=colour)


def _of_array(array: np.ndarray, colour: bool) -> Image:
    """The image of a real array whose values fit float32.

    Raises:
        Excluded: ARRAY_SHAPE, also for text, objects, dates and complex numbers.
    """
    channels = 3 if colour and array.ndim == 3 and len(array) == 3 else 1
    if array.ndim != (2 if channels == 1 else 3) or not array.size or array.dtype.kind not in "biuf":
        raise Excluded("ARRAY_SHAPE", f"an array of {array.dtype} of shape {array.shape}; 2-D finite real values are scored")
    valid = ~np.ma.getmaskarray(array) if np.ma.is_masked(array) else None
    if valid is not None and channels > 1:
        valid = np.asarray(valid.all(axis=0))
    with np.errstate(over="ignore"):
        pixels = np.ascontiguousarray(np.ma.filled(array, 0), dtype=np.float32)
    if not np.isfinite(pixels).all():
        raise Excluded("ARRAY_SHAPE", "an array with values that are not finite as float32; 2-D finite real values are scored")
    return Image(pixels, valid, channels=channels)
