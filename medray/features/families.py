"""The feature families: a line each in both lists, and those that are taken by default."""

from __future__ import annotations

from collections.abc import Mapping

from medray.features.edges import EDGES, EdgesParams
from medray.features.family import FeatureFamily
from medray.features.fourier import FOURIER, FourierParams
from medray.features.fractal import FRACTAL, FractalParams
from medray.features.gabor import GABOR, GaborParams
from medray.features.haralick import HARALICK, NAMES, HaralickParams
from medray.features.hog import HOG, HogParams
from medray.features.ibsi.family import IBSI
from medray.features.ibsi.params import IbsiParams
from medray.features.intensity import INTENSITY, IntensityParams
from medray.features.lbp import LBP, LbpParams
from medray.features.moments import MOMENTS, MomentsParams
from medray.features.radiomics.family import RADIOMICS
from medray.features.radiomics.params import RadiomicsParams
from medray.features.shape import SHAPE, ShapeParams
from medray.features.symmetry import SYMMETRY, SymmetryParams

FamilyParams = (
    IntensityParams
    | HaralickParams
    | LbpParams
    | EdgesParams
    | HogParams
    | ShapeParams
    | GaborParams
    | FourierParams
    | FractalParams
    | MomentsParams
    | SymmetryParams
    | RadiomicsParams
    | IbsiParams
)  # fmt: skip

FAMILIES: Mapping[str, FeatureFamily] = {
    "intensity": INTENSITY,
    "haralick": HARALICK,
    "lbp": LBP,
    "edges": EDGES,
    "hog": HOG,
    "shape": SHAPE,
    "gabor": GABOR,
    "fourier": FOURIER,
    "fractal": FRACTAL,
    "moments": MOMENTS,
    "symmetry": SYMMETRY,
    "radiomics": RADIOMICS,
    "ibsi": IBSI,
}

DEFAULT: tuple[FamilyParams, ...] = (
    IntensityParams(),
    HaralickParams(features=NAMES[:9]),
    LbpParams(),
    EdgesParams(canny=False),
    HogParams(),
    ShapeParams(),
)
"""The families of a table that names none."""
