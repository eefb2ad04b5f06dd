"""Preprocessing as an ordered list of ops, kept in every bundle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, model_validator

from medray.errors import Excluded
from medray.imaging.op import MAX_PIXELS, OpSpec, Shape
from medray.imaging.table import OPS, Op
from medray.spec import Spec
from medray.types import Image


class PreprocessSpec(Spec):
    """The ops to apply, in order."""

    steps: tuple[Annotated[Op, Field(discriminator="op")], ...] = ()

    @model_validator(mode="after")
    def _pads_fit(self) -> Self:
        largest: Shape = None
        for step in self.steps:
            largest = step.largest_after(largest)
        return self

    @property
    def output_shape(self) -> Shape:
        """(rows, columns) of every preprocessed image, or None where it depends on the image."""
        shape: Shape = None
        for step in self.steps:
            shape = step.shape_after(shape)
        return shape


def preprocess(image: Image, spec: PreprocessSpec) -> Image:
    """Apply the ops in order.

    Raises:
        Excluded: IMAGE_TOO_LARGE, OP_DIMENSIONS; InputError: what the ops raise.
    """
    result = image
    for _, result in stages(image, spec):  # noqa: B007
        pass
    return result


def stages(image: Image, spec: PreprocessSpec) -> Iterator[tuple[OpSpec, Image]]:
    """Each step and the image after it; raises what :func:`preprocess` does."""
    if image.pixels.size > MAX_PIXELS:
        raise Excluded("IMAGE_TOO_LARGE", f"an image of {image.pixels.size} pixels; at most {MAX_PIXELS} are processed")
    for step in spec.steps:
        if image.pixels.ndim not in step.dimensions:
            raise Excluded("OP_DIMENSIONS", f"{step.op} does not take an image of {image.pixels.ndim} dimensions")
        image = OPS[step.op](image, step)
        yield step, image
