"""The content of a foreign file of any format: stored values, colours, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medray.data.dicom.checks import MAX_PIXELS
from medray.errors import Quarantined
from medray.types import Float64

MAX_VOLUME_BYTES = 4 << 30
MAX_SIDE = (1 << 16) - 1  # Rows and Columns are US (PS3.5 6.2)

OPAQUE_ALPHA = "IMPORT_ALPHA_DROPPED"
PROFILE = "IMPORT_COLOUR_PROFILE"
REDUCED = "IMPORT_REDUCED_PAGES"
ROUNDED = "IMPORT_ROUNDED"
TRANSCODED = "IMPORT_JPEG_DECODED"
UNPLACED = "IMPORT_ORIENTATION_ASSUMED"


@dataclass(frozen=True)
class JpegStream:
    """A JPEG code stream that is kept as it is: its transfer syntax and what it holds."""

    data: bytes
    syntax: str
    rows: int
    columns: int
    samples: int
    bits: int


@dataclass(frozen=True)
class Picture:
    """One image, or one volume.

    Attributes:
        pixels: uint8 or uint16 (rows, columns) or (rows, columns, 3), of a stack with the frames first; None of a code stream.
        photometric: ``"MONOCHROME1"``, ``"MONOCHROME2"``, ``"RGB"`` or ``"YBR_FULL_422"``.
        stack: whether the first axis is that of frames.
        stream: the code stream that holds the pixels instead.
        rescale: (slope, intercept) from stored values to those of the file; None where they are the same.
        affine: float64 (4, 4), index (column, row, frame) → mm in LPS; None where it is unknown.
        spacing_mm: (row, column) distance where the file states no more than that.
        lossy_ratio: of the JPEG that the pixels come from; None where they never were compressed with loss.
        notes: codes of :data:`medray.remedies.FLAGS` that start with IMPORT: what is worth counting, but changes no value.
    """

    pixels: NDArray[Any] | None
    photometric: str
    stack: bool = False
    stream: JpegStream | None = None
    rescale: tuple[float, float] | None = None
    affine: Float64 | None = None
    spacing_mm: tuple[float, float] | None = None
    lossy_ratio: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(frames, rows, columns)."""
        if self.stream is not None:
            return 1, self.stream.rows, self.stream.columns
        assert self.pixels is not None
        sizes = self.pixels.shape if self.stack else (1, *self.pixels.shape)
        return int(sizes[0]), int(sizes[1]), int(sizes[2])


def check_plane(rows: int, columns: int, samples: int = 1) -> None:
    """Refuse a plane that DICOM or medray does not hold, before anything of it is decoded.

    Raises:
        Quarantined: IMPORT_TOO_LARGE, IMPORT_EMPTY.
    """
    if min(rows, columns, samples) < 1:
        raise Quarantined("IMPORT_EMPTY", f"{rows} rows × {columns} columns")
    if max(rows, columns) > MAX_SIDE or rows * columns * samples > MAX_PIXELS:
        raise Quarantined("IMPORT_TOO_LARGE", f"{rows} rows × {columns} columns × {samples} values")


def check_volume(shape: tuple[int, ...], item_bytes: int) -> None:
    """The same of an array (frames, rows, columns, …).

    Raises:
        Quarantined: IMPORT_TOO_LARGE, IMPORT_EMPTY.
    """
    check_plane(*(int(side) for side in shape[1:3]))
    size_bytes = item_bytes * int(np.prod([int(side) for side in shape], dtype=object))
    if not size_bytes:
        raise Quarantined("IMPORT_EMPTY", f"an array of {shape}")
    if size_bytes > MAX_VOLUME_BYTES:
        raise Quarantined(
            "IMPORT_TOO_LARGE", f"an array of {shape} needs {size_bytes} bytes; at most {MAX_VOLUME_BYTES} are read"
        )


def without_alpha(pixels: NDArray[Any], axis_samples: int) -> tuple[NDArray[Any], tuple[str, ...]]:
    """(rows, columns[, samples]) without its alpha channel, which must be opaque everywhere; and the notes.

    Args:
        pixels: uint8 or uint16, the samples last; two or four samples end in alpha.
        axis_samples: number of samples, 1 for (rows, columns).

    Raises:
        Quarantined: IMPORT_ALPHA.
    """
    if axis_samples not in (2, 4):
        return pixels, ()
    if not (pixels[..., -1] == np.iinfo(pixels.dtype).max).all():
        raise Quarantined("IMPORT_ALPHA", "pixels that are partly transparent")
    return np.ascontiguousarray(pixels[..., 0] if axis_samples == 2 else pixels[..., :3]), (OPAQUE_ALPHA,)
