"""From what a caller has to what a model takes."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from medray.data import archive
from medray.data.dicom import decode
from medray.errors import Excluded
from medray.features import table as features
from medray.features.table import FeatureSpec
from medray.imaging.op import is_constant
from medray.imaging.preprocess import PreprocessSpec, preprocess
from medray.models.family import InputKind
from medray.spec import Spec
from medray.types import Float32, Image

Input = bytes | str | Path | np.ndarray | Image


class InputSpec(Spec):
    """How an image becomes what the model takes: preprocessing and, for table models, features."""

    preprocess: PreprocessSpec
    features: FeatureSpec | None = None
    allow_constant: bool = Field(False, description="whether images of one value alone are taken, before or after preprocessing")

    @model_validator(mode="after")
    def _ranges_fit(self) -> Self:
        if self.features is not None:
            features.check_range(self.features, self.preprocess.unit_range)
        return self

    @property
    def kind(self) -> InputKind:
        """What the model takes."""
        return "image" if self.features is None else "table"

    def columns(self) -> tuple[str, ...]:
        """Names of the features; none for image models."""
        return () if self.features is None else features.columns(self.features)

    def apply(self, image: Image) -> Float32:
        """float32 (rows, columns) for image models, (features,) for table models; raises what :meth:`prepared` raises."""
        return self.values(self.prepared(image))

    def prepared(self, image: Image) -> Image:
        """The image after preprocessing.

        Raises:
            Excluded: PIXELS_CONSTANT, all valid pixels are equal before or after preprocessing, or none is valid.
            InputError: as :func:`medray.imaging.preprocess.preprocess`.
        """
        if not self.allow_constant and ("PIXELS_CONSTANT" in image.header.flags or is_constant(image)):
            raise Excluded("PIXELS_CONSTANT", "every valid pixel has the same value")
        prepared = preprocess(image, self.preprocess)
        if not self.allow_constant and is_constant(prepared):
            raise Excluded("PIXELS_CONSTANT", "every valid pixel has the same value after preprocessing")
        return prepared

    def values(self, prepared: Image) -> Float32:
        """What a model takes of a preprocessed image, as :meth:`apply` gives it."""
        if self.features is None:
            return prepared.pixels
        return features.extract(prepared, self.features).values.astype(np.float32)


def as_image(item: Input) -> Image:
    """The image of a DICOM file (bytes, path or URI) or of a 2-D array, of which a masked one has invalid pixels.

    Raises:
        InputError, StoreError
    """
    if isinstance(item, Image):
        if not np.isfinite(item.pixels).all():
            raise Excluded("IMAGE_NOT_FINITE", "pixels that are no numbers")
        return item
    if isinstance(item, np.ndarray):
        return _of_array(item)
    return decode(item if isinstance(item, bytes) else archive.read(str(item)))


def _of_array(array: np.ndarray) -> Image:
    """Real numbers that float32 holds; text, objects, dates and complex numbers are none."""
    if array.ndim != 2 or not array.size or array.dtype.kind not in "biuf":
        raise Excluded("ARRAY_SHAPE", f"an array of {array.dtype} of shape {array.shape}; 2-D finite real values are scored")
    valid = ~np.ma.getmaskarray(array) if np.ma.is_masked(array) else None
    with np.errstate(over="ignore"):
        pixels = np.ascontiguousarray(np.ma.filled(array, 0), dtype=np.float32)
    if not np.isfinite(pixels).all():
        raise Excluded("ARRAY_SHAPE", "an array with values that are not finite as float32; 2-D finite real values are scored")
    return Image(pixels, valid)
