"""Fill in attributes that the image lacks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from placed_images import placed
from pydantic import ValidationError

from medray.imaging.preprocess import PreprocessSpec, preprocess
from medray.imaging.table import Fill, Resample, fill
from medray.types import Header, Image

BARE = Image(np.ones((4, 5), np.float32))
EVERYTHING = Fill(
    spacing_mm=(0.2, 0.1),
    voi_window=(40, 400),
    modality="MG",
    body_part="BREAST",
    laterality="L",
    view_position="MLO",
    manufacturer="Maker",
    units="HU",
)


def test_what_is_missing_is_filled_in_and_flagged() -> None:
    header = fill(BARE, EVERYTHING).header
    assert header == Header(
        spacing_mm=(0.2, 0.1),
        voi_window=(40, 400),
        modality="MG",
        body_part="BREAST",
        laterality="L",
        view_position="MLO",
        manufacturer="Maker",
        units="HU",
        flags=("ATTRIBUTE_FILLED",),
    )


def test_what_is_there_stays() -> None:
    full = fill(BARE, EVERYTHING)
    own = replace(full, header=replace(full.header, flags=()))
    assert fill(own, Fill(modality="CT", laterality="R", spacing_mm=(1, 1))) is own
    partly = replace(BARE, header=Header(modality="US"))
    assert fill(partly, EVERYTHING).header.modality == "US"


def test_slices_of_a_volume() -> None:
    volume = replace(placed(np.ones((2, 4, 5)), slice_thickness_mm=3.0), slice_spacing_mm=None)
    assert fill(volume, Fill(slice_spacing_mm=2)).slice_spacing_mm == 2
    thick = fill(volume, Fill(slice_spacing_mm=2, slice_spacing_from_thickness=True))
    assert thick.slice_spacing_mm == 3
    assert thick.header.flags == ("ATTRIBUTE_FILLED",)
    known = placed(np.ones((2, 4, 5)))
    assert fill(known, Fill(slice_spacing_mm=9)) is known
    assert fill(BARE, Fill(slice_spacing_mm=9)) is BARE


@pytest.mark.parametrize(("spacing", "flags"), [((0.2, 0.1), ()), ((0.1, 0.1), ("SPACING_DIFFERS",))])
def test_a_spacing_that_contradicts_the_aspect_ratio_is_flagged(spacing: tuple[float, float], flags: tuple[str, ...]) -> None:
    tall = replace(BARE, header=Header(pixel_aspect=2.0))
    header = fill(tall, Fill(spacing_mm=spacing)).header
    assert (header.spacing_mm, header.pixel_aspect, header.flags) == (spacing, None, ("ATTRIBUTE_FILLED", *flags))


def test_a_filled_spacing_lets_the_image_be_resampled() -> None:
    spec = PreprocessSpec(steps=(Fill(spacing_mm=(0.5, 0.5)), Resample(row_mm=1, column_mm=1)))
    assert preprocess(BARE, spec).pixels.shape == (2, 2)


@pytest.mark.parametrize(
    "spec", [{}, {"modality": "ultra sound"}, {"spacing_mm": (0, 1)}, {"laterality": "left"}, {"voi_window": (1, 0.5)}]
)
def test_wrong_values_are_refused(spec: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Fill.model_validate(spec)
