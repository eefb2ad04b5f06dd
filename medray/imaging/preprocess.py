"""Preprocessing as an ordered list of ops, kept in every bundle."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from medray.imaging.ops import OPS, ForegroundCrop, Op, Pad, Resize
from medray.spec import Spec
from medray.types import Image


class PreprocessSpec(Spec):
    """The ops to apply, in order."""

    steps: tuple[Annotated[Op, Field(discriminator="op")], ...] = ()

    @model_validator(mode="after")
    def _pads_fit(self) -> Self:
        largest: tuple[int, int] | None = None
        for step in self.steps:
            if isinstance(step, Pad) and largest is not None and (largest[0] > step.rows or largest[1] > step.columns):
                raise ValueError(f"pad to {step.rows} x {step.columns} is below the {largest[0]} x {largest[1]} before it")
            if isinstance(step, Pad | Resize):
                largest = step.rows, step.columns
            elif isinstance(step, ForegroundCrop):
                largest = None
        return self

    @property
    def output_shape(self) -> tuple[int, int] | None:
        """(rows, columns) of every preprocessed image, or None where it depends on the image."""
        shape: tuple[int, int] | None = None
        for step in self.steps:
            if isinstance(step, Pad) or (isinstance(step, Resize) and not step.keep_aspect):
                shape = step.rows, step.columns
            elif isinstance(step, Resize | ForegroundCrop):
                shape = None
        return shape


def preprocess(image: Image, spec: PreprocessSpec) -> Image:
    """Apply the ops in order. Raises what they raise (InputError)."""
    for step in spec.steps:
        image = OPS[step.op](image, step)
    return image
