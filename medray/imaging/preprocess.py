"""Preprocessing as an ordered list of ops, kept in every bundle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, model_validator

from medray.errors import Excluded
from medray.imaging.op import OpSpec, Shape, check_size
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

    @model_validator(mode="after")
    def _ranges_fit(self) -> Self:
        in_range = False
        for step in self.steps:
            if step.takes_unit_range and not in_range:
                raise ValueError(f"{step.op} takes an image in [0, 1]: put window, percentile or minmax before it")
            in_range = step.unit_range_after(in_range)
        return self

    @property
    def unit_range(self) -> bool:
        """Whether the steps bring every image to [0, 1]."""
        in_range = False
        for step in self.steps:
            in_range = step.unit_range_after(in_range)
        return in_range

    @property
    def brings_units(self) -> bool:
        """Whether a step brings every image to the same units, or refuses it."""
        return any(step.brings_units for step in self.steps)

    def check_colour(self) -> None:
        """Check that every step takes images in colour.

        Raises:
            ValueError: a step does not.
        """
        for step in self.steps:
            if not step.takes_colour:
                raise ValueError(f"{step.op} does not take images in colour: remove the step, or decode the images in grey")

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that the pixels depend on, for :func:`medray.source.source_fingerprint`."""
        return (__name__, *(OPS[step.op].__module__ for step in self.steps))

    @property
    def output_shape(self) -> Shape:
        """(rows, columns) of every preprocessed plane, or None where it depends on the image."""
        shape: Shape = None
        for step in self.steps:
            shape = step.shape_after(shape)
        return shape


def preprocess(image: Image, spec: PreprocessSpec) -> Image:
    """Apply the ops in order.

    Raises:
        Excluded: IMAGE_TOO_LARGE, OP_DIMENSIONS, OP_COLOUR; InputError: what the ops raise.
    """
    result = image
    for _, result in stages(image, spec):  # noqa: B007
        pass
    return result


def stages(image: Image, spec: PreprocessSpec) -> Iterator[tuple[OpSpec, Image]]:
    """Each step and the image after it; raises what :func:`preprocess` does."""
    check_size(image.shape)
    for step in spec.steps:
        if image.dimensions not in step.dimensions:
            raise Excluded("OP_DIMENSIONS", f"{step.op} does not take an image of {image.dimensions} dimensions")
        if image.channels > 1 and not step.takes_colour:
            raise Excluded("OP_COLOUR", f"{step.op} does not take an image in colour")
        image = OPS[step.op](image, step)
        yield step, image
