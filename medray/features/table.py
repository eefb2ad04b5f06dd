"""The feature table: which families to extract, the names of the columns, one row per image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from medray.features.edges import EDGES, EdgeParams
from medray.features.family import FeatureFamily
from medray.features.intensity import INTENSITY, IntensityParams
from medray.features.shape import SHAPE, ShapeParams
from medray.features.texture import TEXTURE, TextureParams
from medray.spec import Spec
from medray.types import Float32, Image

FamilyParams = IntensityParams | TextureParams | EdgeParams | ShapeParams

FAMILIES: Mapping[str, FeatureFamily] = {
    "intensity": INTENSITY,
    "texture": TEXTURE,
    "edges": EDGES,
    "shape": SHAPE,
}


class FeatureSpec(Spec):
    """The feature families of a table, in order; each at most once."""

    families: tuple[Annotated[FamilyParams, Field(discriminator="family")], ...] = (
        IntensityParams(),
        TextureParams(),
        EdgeParams(),
        ShapeParams(),
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = [params.family for params in self.families]
        if len(set(names)) < len(names):
            raise ValueError(f"families must differ, got {', '.join(names)}")
        return self


def columns(spec: FeatureSpec) -> tuple[str, ...]:
    """Names of the features of a table, in order."""
    return tuple(name for params in spec.families for name in FAMILIES[params.family].columns(params))


def extract(image: Image, spec: FeatureSpec) -> Float32:
    """The features of one preprocessed image with pixels in [0, 1], float32 (len(columns(spec)),).

    A feature that is undefined on this image is NaN.
    """
    valid = np.ones(image.pixels.shape, bool) if image.valid is None else image.valid
    rows = [FAMILIES[params.family].extract(image.pixels, valid, params) for params in spec.families]
    return np.concatenate([np.empty(0, np.float32), *rows])
