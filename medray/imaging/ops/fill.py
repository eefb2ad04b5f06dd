"""Fill in attributes that the image lacks."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from medray.data.ultrasound import alike
from medray.imaging.op import OpSpec, flagged
from medray.imaging.ops.window import Centre, Width
from medray.types import Image

Millimetres = Annotated[float, Field(gt=0, le=1000)]
Code = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9_ ]{0,15}$")]
_RULES = {"slice_spacing_mm", "slice_spacing_from_thickness"}


class Fill(OpSpec):
    """Fill in attributes where the image lacks them, by values that are stated here; what the image says itself stays.

    An image to which something was filled in has the flag ATTRIBUTE_FILLED, and SPACING_DIFFERS where the spacing contradicts a
    pixel aspect ratio. Nothing is guessed from pixels.
    """

    source: ClassVar[str] = "DICOM PS3.3 C.7.3.1, C.7.6.2 (attributes)"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    takes_colour: ClassVar[bool] = True
    op: Literal["fill"] = "fill"
    spacing_mm: tuple[Millimetres, Millimetres] | None = Field(None, description="distance of rows and of columns in mm")
    slice_spacing_mm: Millimetres | None = Field(None, description="distance of slices in mm, of a volume")
    slice_spacing_from_thickness: bool = Field(
        False, description="take the slice thickness for the distance of slices of a volume, before slice_spacing_mm"
    )
    voi_window: tuple[Centre, Width] | None = Field(None, description="window centre and width")
    modality: Code | None = Field(None, description="Modality, for example US")
    body_part: Code | None = Field(None, description="Body Part Examined, for example BREAST")
    laterality: Literal["L", "R", "B", "U"] | None = Field(None, description="Laterality: left, right, both, unpaired")
    view_position: Code | None = Field(None, description="View Position, for example MLO")
    units: str | None = Field(None, pattern="^[!-~]{1,64}$", description="units of the pixels, for example HU")
    manufacturer: str | None = Field(None, min_length=1, max_length=64, description="Manufacturer")

    @model_validator(mode="after")
    def _one_at_least(self) -> Self:
        if not self.header_values() and self.slice_spacing_mm is None and not self.slice_spacing_from_thickness:
            raise ValueError("give at least one attribute to fill in")
        return self

    def header_values(self) -> dict[str, Any]:
        """The attributes of the header that are given."""
        names = {*type(self).model_fields} - _RULES - {"op"}
        return {name: value for name in sorted(names) if (value := getattr(self, name)) is not None}


def fill(image: Image, spec: Fill) -> Image:
    """The image with the missing attributes filled in."""
    lacking = {name: value for name, value in spec.header_values().items() if getattr(image.header, name) in (None, "")}
    slice_mm = image.slice_spacing_mm
    if image.dimensions == 3 and slice_mm is None:
        from_thickness = image.header.slice_thickness_mm if spec.slice_spacing_from_thickness else None
        slice_mm = from_thickness or spec.slice_spacing_mm
    if not lacking and slice_mm == image.slice_spacing_mm:
        return image
    filled = replace(image, header=replace(image.header, **lacking), slice_spacing_mm=slice_mm)
    if "spacing_mm" in lacking:  # the aspect ratio and the ultrasound regions are for images without one
        if image.header.pixel_aspect is not None and not alike(image.pixel_shape, filled.pixel_shape):
            filled = flagged(filled, "SPACING_DIFFERS")
        filled = replace(filled, header=replace(filled.header, pixel_aspect=None, ultrasound_regions=()))
    return flagged(filled, "ATTRIBUTE_FILLED")
