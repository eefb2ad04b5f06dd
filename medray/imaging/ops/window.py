"""Intensity window: DICOM's VOI functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from medray.errors import Excluded, Quarantined
from medray.imaging.op import UnitRangeSpec, check_hounsfield, extent, float32, stretch, unitless, valid_pixels
from medray.spec import Spec
from medray.types import Float32, Image, VoiLut

Centre = Annotated[float, Field(ge=-1e30, le=1e30, description="window centre in the units of the pixels")]
Width = Annotated[float, Field(ge=1, le=1e30, description="window width in the units of the pixels")]
Preset = Literal["abdomen", "bone", "brain", "liver", "lung", "mediastinum", "spine", "stroke", "subdural", "temporal_bone"]

PRESETS: Mapping[Preset, tuple[float, float]] = {
    "abdomen": (50, 400),
    "bone": (400, 1800),
    "brain": (40, 80),
    "liver": (30, 150),
    "lung": (-600, 1500),
    "mediastinum": (50, 350),
    "spine": (50, 250),
    "stroke": (40, 40),
    "subdural": (75, 215),
    "temporal_bone": (600, 2800),
}
"""Name → (centre, width) in Hounsfield units (Murphy & Baxter, Windowing (CT), Radiopaedia, doi:10.53347/rID-52108)."""


class Span(Spec):
    """A window."""

    centre: Centre
    width: Width


class Window(UnitRangeSpec):
    """Map to [0, 1] by this window, else the image's own VOI LUT or window, else the full range of its valid pixels.

    In colour all channels have one window or range; colours have no VOI LUT or window of their own.
    """

    source: ClassVar[str] = "DICOM PS3.3 C.11.2.1; presets: Murphy & Baxter, Windowing (CT), Radiopaedia, doi:10.53347/rID-52108"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    takes_colour: ClassVar[bool] = True
    op: Literal["window"] = "window"
    centre: Centre | None = Field(None, description="window centre in the units of the pixels, for all images")
    width: Width | None = Field(None, description="window width in the units of the pixels, at least 1")
    by_modality: Mapping[str, Preset | Literal["own"] | Span] = Field(
        {},
        description="modality → its window: {centre, width}, or own for the images' own, or for CT a preset by name "
        "(abdomen, bone, brain, liver, lung, mediastinum, spine, stroke, subdural, temporal_bone); other modalities are excluded",
    )

    @model_validator(mode="after")
    def _one_choice(self) -> Self:
        if (self.centre is None) != (self.width is None):
            raise ValueError("centre and width must be given together")
        if self.centre is not None and self.by_modality:
            raise ValueError("centre and width are for all images: give them, or by_modality")
        for modality, choice in self.by_modality.items():
            if choice in PRESETS and modality != "CT":
                raise ValueError(
                    f"{choice} is a window in Hounsfield units, but {modality} has other units: give its centre and width"
                )
        return self

    def span(self, modality: str) -> tuple[float, float] | None:
        """(centre, width) for images of a modality, or None where each image's own window is meant.

        Raises:
            Excluded: WINDOW_MODALITY where there are windows for other modalities only.
        """
        if self.centre is not None and self.width is not None:
            return self.centre, self.width
        if not self.by_modality:
            return None
        if modality not in self.by_modality:
            known = ", ".join(sorted(self.by_modality))
            raise Excluded("WINDOW_MODALITY", f"no window for modality {modality!r}, only for {known}")
        choice = self.by_modality[modality]
        if isinstance(choice, Span):
            return choice.centre, choice.width
        return None if choice == "own" else PRESETS[choice]


def window(image: Image, spec: Window) -> Image:
    """The window of the spec by the linear VOI function, else the image's VOI LUT, else its window by its own VOI function.

    Formulas of DICOM PS3.3 C.11.2.1.1 to C.11.2.1.3, with outputs from 0 to 1.

    Raises:
        Excluded: WINDOW_MODALITY where the spec has windows for other modalities only; UNITS_DIFFER where it has a preset and the
            pixels are not in HU.
        Quarantined: VOI_WINDOW_WIDTH where the image's own window is narrower than 1, or than its function allows;
            IMAGE_NO_VALID_PIXELS where the range is to be that of the valid pixels.
    """
    span = spec.span(image.header.modality)
    if (preset := spec.by_modality.get(image.header.modality)) in PRESETS:
        check_hounsfield(image, f"the window {preset}")
    if span is not None:
        return unitless(image, _voi_linear(image.pixels, *span))
    if image.voi_lut is not None:
        return unitless(image, _voi_table(image.pixels, image.voi_lut))
    if image.header.voi_window is not None and image.channels == 1:
        return unitless(image, VOI_FUNCTIONS[image.header.voi_function](image.pixels, *image.header.voi_window))
    return unitless(image, stretch(image.pixels, *extent(valid_pixels(image))))


def _voi_linear(pixels: Float32, centre: float, width: float) -> Float32:
    if not width >= 1:
        raise Quarantined("VOI_WINDOW_WIDTH", f"window width {width:g} is below 1")
    low = centre - 0.5 - (width - 1) / 2
    return stretch(pixels, low, low + width - 1)


def _voi_linear_exact(pixels: Float32, centre: float, width: float) -> Float32:
    _check_positive(width)
    return stretch(pixels, centre - width / 2, centre + width / 2)


def _voi_sigmoid(pixels: Float32, centre: float, width: float) -> Float32:
    _check_positive(width)
    exponent = np.clip(-4 * (pixels - np.float64(centre)) / width, -700, 700)  # exp overflows beyond
    return float32(1 / (1 + np.exp(exponent)))


def _check_positive(width: float) -> None:
    if not width > 0:
        raise Quarantined("VOI_WINDOW_WIDTH", f"window width {width:g} is not above 0")


def _voi_table(pixels: Float32, lut: VoiLut) -> Float32:
    """Pixels between whole numbers take the nearest entry."""
    indices = np.clip(np.rint(pixels - np.float64(lut.first)), 0, len(lut.values) - 1)
    return float32(lut.values[indices.astype(np.intp)])


VOI_FUNCTIONS: Mapping[str, Callable[[Float32, float, float], Float32]] = {
    "LINEAR": _voi_linear,
    "LINEAR_EXACT": _voi_linear_exact,
    "SIGMOID": _voi_sigmoid,
}
"""VOI LUT Function (0028,1056) → (pixels, centre, width) → values from 0 to 1."""
