"""Synthetic images that hold slices side by side: Siemens MOSAIC with a CSA header, UIH VFRAME with its private sequence."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from dicom_series import SeriesSpec, datasets, decimal
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset


def csa_header(values: Mapping[str, Sequence[str]], *, second: bool = True, items: int = 6) -> bytes:
    """A CSA header of the second ("SV10") or of the first layout, each element with at least ``items`` items."""
    parts = [b"SV10\x04\x03\x02\x01" if second else b"", struct.pack("<2I", len(values), 77)]
    for name, texts in values.items():
        count = max(items, len(texts))
        parts.append(struct.pack("<64si4s3i", name.encode(), len(texts), b"LO\0\0", 6, count, 77))
        for number in range(count):
            text = texts[number].encode() + b"\0" if number < len(texts) else b""
            sizes = (len(text), len(text), 77, len(text)) if second else (len(text) + items, len(text), 77, len(text))
            parts += [struct.pack("<4i", *sizes), text, bytes(-len(text) % 4)]
    return b"".join(parts)


def normal_of(spec: SeriesSpec) -> NDArray[np.float64]:
    """The cross product of the directions of a row and of a column."""
    return np.cross(spec.orientation[:3], spec.orientation[3:])


def tiled(slices: NDArray[Any], down: int, across: int) -> NDArray[Any]:
    """Slices (slices, rows, columns) side by side, row by row, zeros where none is left."""
    count, rows, columns = slices.shape
    whole = np.zeros((down * across, rows, columns), slices.dtype)
    whole[:count] = slices
    return whole.reshape(down, across, rows, columns).swapaxes(1, 2).reshape(down * rows, across * columns)


def mosaic(spec: SeriesSpec, *, against: bool = False, csa: bool = True, second: bool = True, block: int = 0x10) -> FileDataset:
    """The slices of a series as one Siemens MOSAIC, in the order in which ``spec`` places them, or the other way round.

    Args:
        spec: the slices; ``against``: their step goes against the normal of their orientation.
        csa: whether the CSA header is there, of the second layout or of the first, in a private block.
    """
    step = normal_of(spec) * spec.slice_mm * (-1 if against else 1)
    across = math.isqrt(spec.slices - 1) + 1
    (found,) = datasets(replace(spec, slices=1))
    whole = tiled(spec.stored(), across, across)
    found.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    found.Manufacturer, found.SpacingBetweenSlices = "SIEMENS", decimal(spec.slice_mm)
    beside = np.array([(across - 1) * spec.columns / 2 * spec.spacing_mm[1], (across - 1) * spec.rows / 2 * spec.spacing_mm[0]])
    corner = np.asarray(spec.origin_mm) - beside @ np.reshape(spec.orientation, (2, 3))
    found.ImagePositionPatient = [decimal(value) for value in corner]
    _fill(found, whole)
    if csa:
        direction = [f"{value:.8f}" for value in step / np.linalg.norm(step)]
        header = csa_header(
            {
                "EchoLinePosition": ["32"],
                "NumberOfImagesInMosaic": [str(spec.slices)],
                "SliceNormalVector": direction,
                "PhaseEncodingDirectionPositive": ["1"],
            },
            second=second,
        )
        found.add_new(0x00290000 | block, "LO", "SIEMENS CSA HEADER")
        found.add_new(0x00290010 | block << 8, "OB", header + bytes(len(header) % 2))
    else:
        found.add_new(0x00190010, "LO", "SIEMENS MR HEADER")
        found.add_new(0x0019100A, "US", spec.slices)
    return found


def vframe(spec: SeriesSpec, *, square: bool = False) -> FileDataset:
    """The slices of a series as one UIH VFRAME grid, with as few rows of slices as they need, or as many as columns."""
    across = math.isqrt(spec.slices - 1) + 1
    (found,) = datasets(replace(spec, slices=1))
    found.ImageType = ["ORIGINAL", "PRIMARY", "M", "VFRAME"]
    found.Manufacturer, found.SpacingBetweenSlices = "UIH", decimal(spec.slice_mm)
    _fill(found, tiled(spec.stored(), across if square else -(-spec.slices // across), across))
    found.add_new(0x00650010, "LO", "Image Private Header")
    found.add_new(0x00651050, "DS", str(spec.slices))
    items = []
    for position in spec.positions():
        item = Dataset()
        item.ImagePositionPatient = [decimal(value) for value in position]
        items.append(item)
    found.add_new(0x00651051, "SQ", items)
    return found


def _fill(found: FileDataset, whole: NDArray[Any]) -> None:
    found.Rows, found.Columns = whole.shape
    found.PixelData = whole.tobytes()
