"""Pad to a size in pixels."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from medray.errors import Excluded
from medray.imaging.op import Level, OpSpec, Pixels, Shape, check_size
from medray.imaging.place import padded
from medray.types import Image


class Pad(OpSpec):
    """Pad around the centre to rows x columns (of a volume to slices too, if asked); padded pixels are invalid.

    Excluded as IMAGE_LARGER_THAN_PAD where the image does not fit; a resize with ``keep_aspect`` before makes it fit.
    """

    source: ClassVar[str] = "DICOM PS3.3 C.7.6.2.1.1 (position of the first pixel)"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    takes_colour: ClassVar[bool] = True
    op: Literal["pad"] = "pad"
    rows: Pixels = Field(description="height in pixels")
    columns: Pixels = Field(description="width in pixels")
    slices: Pixels | None = Field(None, description="number of slices, of a volume; null keeps them")
    value: Level = Field(0.0, description="of the padded pixels")

    def shape_after(self, before: Shape) -> Shape:
        """Fixed."""
        return self.rows, self.columns

    def largest_after(self, before: Shape) -> Shape:
        """Fixed.

        Raises:
            ValueError: an image of the largest size before does not fit.
        """
        if before is not None and (before[0] > self.rows or before[1] > self.columns):
            raise ValueError(f"pad to {self.rows} x {self.columns} is below the {before[0]} x {before[1]} before it")
        return self.rows, self.columns


def pad(image: Image, spec: Pad) -> Image:
    """The padded image.

    Raises:
        Excluded: IMAGE_LARGER_THAN_PAD, IMAGE_TOO_LARGE.
    """
    shape = image.shape
    wanted = (*([spec.slices or shape[0]] if len(shape) == 3 else []), spec.rows, spec.columns)
    if any(size > whole for size, whole in zip(shape, wanted, strict=True)):
        have, want = (" x ".join(map(str, one)) for one in (shape, wanted))
        raise Excluded("IMAGE_LARGER_THAN_PAD", f"{have} pixels cannot be padded to {want}")
    check_size(wanted)
    before = [(whole - size) // 2 for size, whole in zip(shape, wanted, strict=True)]
    return padded(image, before, wanted, spec.value)
