"""Shape of the region of a plane: its outline by marching squares, and its axes."""

from __future__ import annotations

import numpy as np

from medray.features.family import Extracted, Reason, explained, undefined
from medray.features.radiomics.classes.axes import axes_mm
from medray.features.radiomics.classes.definition import FeatureClass, defined
from medray.features.radiomics.classes.mesh import diameter, squares
from medray.features.radiomics.shared import Measured

FEATURES = defined(
    "3.1 (of a volume; here in the plane, as in pyradiomics)",
    (
        ("Elongation", "√ (smaller by larger variance along the principal axes)", "Q3CK", ""),
        ("MajorAxisLength", "4 √ (variance along the first principal axis)", "TDIC", "mm"),
        ("MaximumDiameter", "largest distance between two points of the outline", "L0JK", "mm"),
        ("MeshSurface", "area inside the outline", "", "mm²"),
        ("MinorAxisLength", "4 √ (variance along the second principal axis)", "P9VJ", "mm"),
        ("Perimeter", "length of the outline", "", "mm"),
        ("PerimeterSurfaceRatio", "perimeter by area inside the outline", "", "1/mm"),
        ("PixelSurface", "area of the pixels", "", "mm²"),
        ("Sphericity", "perimeter of the circle of the same area by the perimeter", "", ""),
    ),
)


def extract(measured: Measured) -> Extracted:
    """The features; an elongation needs two pixels."""
    region = measured.region
    if measured.dimensions != 2:
        return undefined(len(FEATURES), Reason.DIMENSIONS)
    if region.spacing_mm is None:
        return undefined(len(FEATURES), Reason.NO_SPACING)
    _, height, width = region.spacing_mm
    mask = region.mask[0]
    perimeter, surface = squares(mask, height, width)
    minor, major = axes_mm(region.mask, region.spacing_mm)[1:]
    values = [
        minor / major if major > 0 else np.nan,
        major,
        diameter(mask, (height, width)),
        surface,
        minor,
        perimeter,
        perimeter / surface,
        np.count_nonzero(mask) * height * width,
        2 * np.sqrt(np.pi * surface) / perimeter,
    ]
    return explained(values, Reason.TOO_SMALL)


SHAPE2D = FeatureClass(FEATURES, extract, of_shape=True)
