"""What callers may give to be scored, as decoded images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medray.data import archive
from medray.data.dicom import decode
from medray.errors import Excluded
from medray.types import Image

Input = bytes | str | Path | np.ndarray | Image


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
