"""How an image becomes what a model takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from medray.bundles.stored import Stored, numbers, stored
from medray.errors import Excluded
from medray.features import table as features
from medray.features.table import FeatureSpec
from medray.imaging.op import is_constant, luminance
from medray.imaging.preprocess import PreprocessSpec, preprocess
from medray.spec import Spec
from medray.types import Float32, Image

if TYPE_CHECKING:
    from medray.models.family import InputKind  # typing only: what prepares images does not depend on models


class InputSpec(Spec):
    """How an image becomes what the model takes: preprocessing and, for table models, features."""

    preprocess: PreprocessSpec
    features: FeatureSpec | None = None
    colour: bool = Field(
        False, description="whether images are decoded in colour (red, green, blue); otherwise colours become luminance"
    )
    stored: Stored = Field(
        "float32",
        description="type in which training keeps the numbers of an image; uint8 and uint16 are levels between 0 and 1. "
        "A model is given the same numbers when it scores",
    )
    allow_constant: bool = Field(False, description="whether images of one value alone are taken, before or after preprocessing")

    @model_validator(mode="after")
    def _ranges_fit(self) -> Self:
        if self.features is not None and not self.features.families:
            raise ValueError("features.families is empty: name some, or remove features")
        if self.features is not None:
            features.check_range(self.features, self.preprocess.unit_range)
        return self

    @model_validator(mode="after")
    def _colour_fits(self) -> Self:
        if self.colour:
            self.preprocess.check_colour()
        if self.colour and self.features is not None:
            raise ValueError("features are of grey images: remove colour or features")
        return self

    @model_validator(mode="after")
    def _stored_fits(self) -> Self:
        if self.stored != "float32" and self.features is not None:
            raise ValueError(f"stored: {self.stored} is for images; features are float32")
        if self.stored.startswith("uint") and not self.preprocess.unit_range:
            raise ValueError(f"stored: {self.stored} needs values between 0 and 1; preprocess to that range, or store float16")
        return self

    @property
    def kind(self) -> InputKind:
        """What the model takes."""
        return "image" if self.features is None else "table"

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Of what the model takes, as :meth:`apply` gives it; None where the size of an image depends on it."""
        if self.features is not None:
            return (len(self.columns()),)
        plane = self.preprocess.output_shape
        return (3, *plane) if plane is not None and self.colour else plane

    def columns(self) -> tuple[str, ...]:
        """Names of the features; none for image models."""
        return () if self.features is None else features.columns(self.features)

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that :meth:`apply` depends on, for :func:`medray.source.source_fingerprint`."""
        return (__name__, *self.preprocess.modules, *(() if self.features is None else self.features.modules))

    def apply(self, image: Image) -> Float32:
        """float32 (rows, columns), in colour (3, rows, columns), for image models; (features,) for table models.

        Raises what :meth:`prepared` raises.
        """
        return self.values(self.prepared(image))

    def prepared(self, image: Image) -> Image:
        """The image after preprocessing. An image in colour becomes its luminance first, unless the input is in colour.

        Raises:
            Excluded: IMAGE_GREY, a grey image where the input is in colour.
            Excluded: PIXELS_CONSTANT, all valid pixels are equal before or after preprocessing, or none is valid.
            InputError: as :func:`medray.imaging.preprocess.preprocess`.
        """
        if self.colour and image.channels == 1:
            raise Excluded("IMAGE_GREY", "the model takes images in colour, this one is grey")
        image = image if self.colour else luminance(image)
        if not self.allow_constant and ("PIXELS_CONSTANT" in image.header.flags or is_constant(image)):
            raise Excluded("PIXELS_CONSTANT", "every valid pixel has the same value")
        prepared = preprocess(image, self.preprocess)
        if not self.allow_constant and is_constant(prepared):
            raise Excluded("PIXELS_CONSTANT", "every valid pixel has the same value after preprocessing")
        return prepared

    def values(self, prepared: Image) -> Float32:
        """What a model takes of a preprocessed image, as :meth:`apply` gives it. Raises what :meth:`kept` raises."""
        return numbers(self.kept(prepared))

    def kept(self, prepared: Image) -> NDArray[Any]:
        """The same in the stored type, as training keeps it.

        Raises:
            Excluded: VALUES_RANGE; InputError: as :func:`medray.features.table.extract`.
        """
        if self.features is None:
            return stored(prepared.pixels, self.stored)
        return features.extract(prepared, self.features).values.astype(np.float32)
