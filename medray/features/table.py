"""The feature table: which families to extract, the names of the columns, one row per image."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from medray.errors import Excluded, Quarantined
from medray.features.families import DEFAULT, FAMILIES, FamilyParams
from medray.features.family import Extracted, Feature, Reason, joined, undefined
from medray.spec import Spec
from medray.types import Image

MAX_PIXELS = 1 << 28
"""Of one image or volume: 16,384 x 16,384."""


class FeatureSpec(Spec):
    """The feature families of a table, in order. A family may come several times if its columns have other names each time."""

    families: tuple[Annotated[FamilyParams, Field(discriminator="family")], ...] = DEFAULT

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        twice = [name for name, count in Counter(columns(self)).items() if count > 1]
        if twice:
            raise ValueError(f"families must differ in their columns; {len(twice)} come twice, for example {twice[0]}")
        return self

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that the values depend on, for :func:`medray.source.source_fingerprint`."""
        return (__name__, *(type(FAMILIES[params.family]).__module__ for params in self.families))


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
        Excluded: FEATURES_COLOUR, IMAGE_TOO_LARGE, IMAGE_NOT_FINITE.
        Quarantined: MASK_SIZE.
    """
    if image.channels > 1:
        raise Excluded("FEATURES_COLOUR", "features are of grey levels, the image is in colour")
    for mask in (image.mask, image.valid):
        if mask is not None and mask.shape != image.pixels.shape:
            raise Quarantined("MASK_SIZE", f"a mask of {mask.shape} for an image of {image.pixels.shape}")
    if image.pixels.size > MAX_PIXELS:
        raise Excluded("IMAGE_TOO_LARGE", f"an image of {image.pixels.size} pixels; at most {MAX_PIXELS} are measured")
    if not np.isfinite(image.pixels).all():
        raise Excluded("IMAGE_NOT_FINITE", "some pixels are not finite")
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
