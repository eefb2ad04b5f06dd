"""The feature table: which families to extract, the names of the columns, one row per image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from medray.errors import Excluded, Quarantined
from medray.features.edges import EDGES, EdgesParams
from medray.features.family import Extracted, Feature, FeatureFamily, Reason, joined, undefined
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
from medray.spec import Spec
from medray.types import Image

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

MAX_PIXELS = 1 << 28
"""Of one image or volume: 16,384 x 16,384."""


class FeatureSpec(Spec):
    """The feature families of a table, in order. A family may come several times if its columns have other names each time."""

    families: tuple[Annotated[FamilyParams, Field(discriminator="family")], ...] = (
        IntensityParams(),
        HaralickParams(features=NAMES[:9]),
        LbpParams(),
        EdgesParams(canny=False),
        HogParams(),
        ShapeParams(),
    )

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        twice = [name for name, count in Counter(columns(self)).items() if count > 1]
        if twice:
            raise ValueError(f"families must differ in their columns; {len(twice)} come twice, as {twice[0]}")
        return self


@cache
def features(spec: FeatureSpec) -> tuple[Feature, ...]:
    """The features of a table, in order."""
    return tuple(feature for params in spec.families for feature in FAMILIES[params.family].features(params))


def columns(spec: FeatureSpec) -> tuple[str, ...]:
    """Names of the features of a table, in order."""
    return tuple(feature.name for feature in features(spec))


def check_range(spec: FeatureSpec, unit_range: bool) -> None:
    """Whether the families may be taken of images that are, or are not, in [0, 1].

    Raises:
        ValueError: one needs grey levels from 0 to 1.
    """
    for params in spec.families:
        if FAMILIES[params.family].unit_range and not unit_range:
            raise ValueError(f"{params.family} takes an image in [0, 1]: put window, percentile or minmax before it")


def extract(image: Image, spec: FeatureSpec) -> Extracted:
    """The features of one preprocessed image, float64 (len(columns(spec)),).

    A feature that is undefined on this image is NaN, with the reason.

    Raises:
        Excluded: IMAGE_TOO_LARGE, IMAGE_NOT_FINITE.
        Quarantined: MASK_SIZE.
    """
    for mask in (image.mask, image.valid):
        if mask is not None and mask.shape != image.pixels.shape:
            raise Quarantined("MASK_SIZE", f"a mask of {mask.shape} for an image of {image.pixels.shape}")
    if image.pixels.size > MAX_PIXELS:
        raise Excluded("IMAGE_TOO_LARGE", f"an image of {image.pixels.size} pixels; at most {MAX_PIXELS} are measured")
    if not np.isfinite(image.pixels).all():
        raise Excluded("IMAGE_NOT_FINITE", "pixels that are no numbers")
    return joined([_family(image, params) for params in spec.families])


def _family(image: Image, params: FamilyParams) -> Extracted:
    family = FAMILIES[params.family]
    region = image.region
    if image.pixels.size == 0 or (region is not None and not region.any()):
        return undefined(len(family.features(params)), Reason.EMPTY)
    if image.pixels.ndim not in family.dimensions:
        return undefined(len(family.features(params)), Reason.DIMENSIONS)
    return family.extract(image, params)


def reasons_text(extracted: Extracted, names: tuple[str, ...]) -> str:
    """Why features are NaN, in one line for people and queries: ``REASON: column column …; REASON: …``; "" where none is."""
    by_reason: dict[Reason, list[str]] = {}
    for index, reason in sorted(extracted.reasons.items()):
        by_reason.setdefault(reason, []).append(names[index])
    return "; ".join(f"{reason}: {' '.join(found)}" for reason, found in sorted(by_reason.items()))
