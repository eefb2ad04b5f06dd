"""Shape of the region of a volume: its surface by marching cubes, its diameters and its axes."""

from __future__ import annotations

import numpy as np

from medray.features.family import Extracted, Reason, explained, undefined
from medray.features.radiomics.classes.axes import axes_mm
from medray.features.radiomics.classes.definition import FeatureClass, defined
from medray.features.radiomics.classes.mesh import cubes, diameter, plane_diameters
from medray.features.radiomics.shared import Measured

FEATURES = defined(
    "3.1",
    (
        ("Elongation", "√ (second by first variance along the principal axes)", "Q3CK", ""),
        ("Flatness", "√ (third by first variance along the principal axes)", "N17B", ""),
        ("LeastAxisLength", "4 √ (variance along the third principal axis)", "7J51", "mm"),
        ("MajorAxisLength", "4 √ (variance along the first principal axis)", "TDIC", "mm"),
        ("Maximum2DDiameterColumn", "largest distance of two points of the surface in the same row", "", "mm"),
        ("Maximum2DDiameterRow", "largest distance of two points of the surface in the same column", "", "mm"),
        ("Maximum2DDiameterSlice", "largest distance of two points of the surface in the same slice", "", "mm"),
        ("Maximum3DDiameter", "largest distance of two points of the surface", "L0JK", "mm"),
        ("MeshVolume", "volume inside the surface", "RNU0", "mm³"),
        ("MinorAxisLength", "4 √ (variance along the second principal axis)", "P9VJ", "mm"),
        ("Sphericity", "surface of the sphere of the same volume by the surface", "QCFX", ""),
        ("SurfaceArea", "area of the surface", "C0JK", "mm²"),
        ("SurfaceVolumeRatio", "area of the surface by volume inside", "2PR5", "1/mm"),
        ("VoxelVolume", "volume of the voxels", "YEKZ", "mm³"),
    ),
)


def extract(measured: Measured) -> Extracted:
    """The features; elongation and flatness need two voxels."""
    mask, spacing = measured.region.mask, measured.region.spacing_mm
    if measured.dimensions != 3:
        return undefined(len(FEATURES), Reason.DIMENSIONS)
    if spacing is None:
        return undefined(len(FEATURES), Reason.NO_SPACING)
    area, volume = cubes(mask, spacing)
    least, minor, major = axes_mm(mask, spacing)
    in_slice, in_row, in_column = plane_diameters(mask, spacing)
    values = [
        minor / major if major > 0 else np.nan,
        least / major if major > 0 else np.nan,
        least,
        major,
        in_row,
        in_column,
        in_slice,
        diameter(mask, spacing),
        volume,
        minor,
        np.cbrt(36 * np.pi * volume**2) / area,
        area,
        area / volume,
        np.count_nonzero(mask) * np.prod(spacing),
    ]
    return explained(values, Reason.TOO_SMALL)


SHAPE3D = FeatureClass(FEATURES, extract, of_shape=True)
