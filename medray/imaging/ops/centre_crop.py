"""Crop to a size around the centre."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from medray.errors import Excluded
from medray.imaging.op import OpSpec, Pixels, Shape
from medray.imaging.place import cut
from medray.types import Image


class CentreCrop(OpSpec):
    """Crop to rows x columns (of a volume to slices too, if asked) around the centre.

    Excluded as IMAGE_SMALLER_THAN_CROP where the image is smaller; a pad before makes it fit.
    """

    source: ClassVar[str] = "DICOM PS3.3 C.7.6.2.1.1 (position of the first pixel)"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    takes_colour: ClassVar[bool] = True
    op: Literal["centre_crop"] = "centre_crop"
    rows: Pixels = Field(description="height in pixels")
    columns: Pixels = Field(description="width in pixels")
    slices: Pixels | None = Field(None, description="number of slices, of a volume; null for all")

    def shape_after(self, before: Shape) -> Shape:
        """Fixed."""
        return self.rows, self.columns

    def largest_after(self, before: Shape) -> Shape:
        """Fixed."""
        return self.rows, self.columns


def centre_crop(image: Image, spec: CentreCrop) -> Image:
    """The middle of the image; of an uneven rest one pixel more goes at the end.

    Raises:
        Excluded: IMAGE_SMALLER_THAN_CROP.
    """
    shape = image.shape
    wanted = (*([spec.slices or shape[0]] if len(shape) == 3 else []), spec.rows, spec.columns)
    if any(size < part for size, part in zip(shape, wanted, strict=True)):
        have, want = (" x ".join(map(str, one)) for one in (shape, wanted))
        raise Excluded("IMAGE_SMALLER_THAN_CROP", f"{have} pixels cannot be cropped to {want}")
    firsts = [(size - part) // 2 for size, part in zip(shape, wanted, strict=True)]
    return cut(image, *(slice(first, first + part) for first, part in zip(firsts, wanted, strict=True)))
