"""The family of radiomics features: classes of features of the original and of filtered images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import numpy as np

from medray.features.family import Extracted, Feature, Reason, joined, undefined
from medray.features.radiomics.classes.table import CLASSES
from medray.features.radiomics.filters import filter_names, filtered
from medray.features.radiomics.params import ClassName, RadiomicsParams
from medray.features.radiomics.region import region
from medray.features.radiomics.shared import Measured
from medray.spec import Spec
from medray.types import Float32, Float64, Image


class Radiomics:
    """Features with the names and values of pyradiomics, for example ``original_glcm_Contrast``.

    Shape is of the region alone and comes once, as ``original_shape2D_…`` or ``original_shape_…``. Where pyradiomics answers
    for what is not defined with 0, 1 or 10⁶, the value here is NaN, with its reason.
    """

    name = "radiomics"
    params: type[Spec] = RadiomicsParams
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    unit_range: ClassVar[bool] = False

    def features(self, params: RadiomicsParams) -> tuple[Feature, ...]:
        """The features: of each filtered image each class, shape before all others."""
        return tuple(
            replace(feature, name=f"{image}_{name}_{feature.name}")
            for image, names in _table(params)
            for name in names
            for feature in CLASSES[name].features
        )

    def extract(self, image: Image, params: RadiomicsParams) -> Extracted:
        """The features of an image."""
        if image.pixels.ndim < params.dimensions:
            return undefined(len(self.features(params)), Reason.DIMENSIONS)
        (_, shapes), *textures = _table(params)
        original = Measured(region(image), params, image.pixels.ndim)
        parts = [CLASSES[name].extract(original) for name in shapes]
        image = _resegmented(image, params.resegment)
        for (_, names), pixels in zip(textures, _images(image, params), strict=True):
            if pixels is image.pixels and params.resegment is None:
                parts += [CLASSES[name].extract(original) for name in names]
            else:
                parts += _measured(image, pixels, names, params)
        return joined(parts)


def _table(params: RadiomicsParams) -> list[tuple[str, list[ClassName]]]:
    """Names of the images and which classes of features are taken of each: shape, then the others of each filtered image."""
    shapes = [name for name in params.chosen if CLASSES[name].of_shape]
    others = [name for name in params.chosen if not CLASSES[name].of_shape]
    return [("original", shapes), *((image, others) for image in filter_names(params))]


def _resegmented(image: Image, limits: tuple[float, float] | None) -> Image:
    """The image with only the pixels in its region that lie within the limits."""
    if limits is None:
        return image
    within = (image.pixels >= limits[0]) & (image.pixels <= limits[1])
    return replace(image, mask=within if image.mask is None else within & image.mask)


def _images(image: Image, params: RadiomicsParams) -> Iterator[Float32 | Float64 | None]:
    for name in params.filters:
        if name == "original":
            yield image.pixels
        else:
            yield from filtered(image.pixels.astype(np.float64), image.spacing_mm, name, params)


def _measured(image: Image, pixels: Float32 | Float64 | None, names: list[ClassName], params: RadiomicsParams) -> list[Extracted]:
    """The classes of features of one filtered image, None where it needs the spacing."""
    if image.region is not None and not image.region.any():
        reason = Reason.EMPTY
    elif pixels is None:
        reason = Reason.NO_SPACING
    elif not np.isfinite(pixels).all():
        reason = Reason.UNDEFINED
    else:
        measured = Measured(region(image, pixels), params, pixels.ndim)
        return [CLASSES[name].extract(measured) for name in names]
    return [undefined(len(CLASSES[name].features), reason) for name in names]


RADIOMICS = Radiomics()
