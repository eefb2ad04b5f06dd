"""Crop to a fixed box."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from medray.errors import Excluded
from medray.imaging.op import OpSpec, Pixels, Shape
from medray.imaging.place import cut
from medray.types import Image


class BoxCrop(OpSpec):
    """Crop to a box that is the same for every image; of a volume to some of its slices too, if asked.

    Excluded as IMAGE_SMALLER_THAN_CROP where the box does not lie inside the image.
    """

    source: ClassVar[str] = "DICOM PS3.3 C.7.6.2.1.1 (position of the first pixel)"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    takes_colour: ClassVar[bool] = True
    op: Literal["box_crop"] = "box_crop"
    top: int = Field(0, ge=0, le=16383, description="first row of the box")
    left: int = Field(0, ge=0, le=16383, description="first column of the box")
    rows: Pixels = Field(description="height of the box in pixels")
    columns: Pixels = Field(description="width of the box in pixels")
    first_slice: int = Field(0, ge=0, le=16383, description="first slice of the box, of a volume")
    slices: Pixels | None = Field(None, description="number of slices, of a volume; null for all that follow")

    def shape_after(self, before: Shape) -> Shape:
        """Fixed."""
        return self.rows, self.columns

    def largest_after(self, before: Shape) -> Shape:
        """Fixed."""
        return self.rows, self.columns


def box_crop(image: Image, spec: BoxCrop) -> Image:
    """The image inside the box.

    Raises:
        Excluded: IMAGE_SMALLER_THAN_CROP.
    """
    shape = image.shape
    box = [slice(spec.top, spec.top + spec.rows), slice(spec.left, spec.left + spec.columns)]
    if image.dimensions == 3:
        end = shape[0] if spec.slices is None else spec.first_slice + spec.slices
        box.insert(0, slice(spec.first_slice, end))
    if any(one.stop > size or one.start >= one.stop for one, size in zip(box, shape, strict=True)):
        ends = " x ".join(str(one.stop) for one in box)
        raise Excluded(
            "IMAGE_SMALLER_THAN_CROP", f"a box that ends at {ends} does not lie in {' x '.join(map(str, shape))} pixels"
        )
    return cut(image, *box)
