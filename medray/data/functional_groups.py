"""Where frames lie, as items of functional groups (PS3.3 C.7.6.16.2)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from medray.types import Float64


def numbers(values: Iterable[float]) -> list[str]:
    """Decimal strings of at most 16 characters (PS3.5 6.2)."""
    return [format_number_as_ds(float(value) + 0.0) for value in values]  # -0.0 becomes 0.0


def pixel_measures(affine: Float64) -> Dataset:
    """Item of the Pixel Measures Sequence (PS3.3 C.7.6.16.2.1); slices are as far apart as their planes.

    Args:
        affine: float64 (4, 4), index (column, row, frame) → mm in LPS; so everywhere here.
    """
    item = Dataset()
    column, row, step = affine[:3, :3].T
    normal = np.cross(column, row)
    item.PixelSpacing = numbers([float(np.linalg.norm(row)), float(np.linalg.norm(column))])
    item.SliceThickness = item.SpacingBetweenSlices = numbers([float(abs(normal @ step) / np.linalg.norm(normal))])[0]
    return item


def plane_orientation(affine: Float64) -> Dataset:
    """Item of the Plane Orientation Sequence (PS3.3 C.7.6.16.2.4)."""
    item = Dataset()
    axes = affine[:3, :2] / np.linalg.norm(affine[:3, :2], axis=0)
    item.ImageOrientationPatient = numbers(axes.T.ravel())
    return item


def plane_position(affine: Float64, frame: int) -> Dataset:
    """Item of the Plane Position Sequence (PS3.3 C.7.6.16.2.3) of a frame."""
    item = Dataset()
    item.ImagePositionPatient = numbers(affine[:3, 3] + frame * affine[:3, 2])
    return item
