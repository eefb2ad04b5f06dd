"""Intensity window."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from filter_checks import ct, makes_constants, masked
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_windowing

from medray.errors import Excluded, Quarantined
from medray.imaging.ops.window import PRESETS
from medray.imaging.table import Window, window
from medray.types import Header, Image


def test_it_is_the_one_of_pydicom() -> None:
    dataset = dcmread(get_testdata_file("CT_small.dcm"))
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    image = ct()
    expected = apply_windowing(image.pixels.copy(), dataset)
    ours = window(image, Window(centre=40, width=400)).pixels
    scale = expected.max() - expected.min()
    np.testing.assert_allclose(ours, (expected - expected.min()) / scale, atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(st.floats(-1e6, 1e6), st.floats(2, 1e6), st.lists(st.floats(-1e7, 1e7, width=32), min_size=1))
def test_it_is_as_exact_as_in_double_precision(centre: float, width: float, values: list[float]) -> None:
    pixels = np.array([values], np.float32)
    low = centre - 0.5 - (width - 1) / 2
    expected = np.clip((pixels - np.float64(low)) / (width - 1), 0, 1)
    np.testing.assert_allclose(window(Image(pixels), Window(centre=centre, width=width)).pixels, expected, rtol=1e-6, atol=1e-7)


def test_both_ends_of_the_range_are_exact() -> None:
    for low, high in [(0.1, 0.7), (-1024, 3071), (1e8, 1e8 + 64), (-3e38, 3e38), (0, 1e-44), (7, np.nextafter(np.float32(7), 8))]:
        np.testing.assert_array_equal(window(Image(np.array([[low, high]], np.float32)), Window()).pixels, [[0, 1]])


def test_the_images_own_window_is_used_and_then_dropped() -> None:
    image = ct()
    own = window(image, Window())
    np.testing.assert_array_equal(own.pixels, window(image, Window(centre=40, width=400)).pixels)
    assert own.header.voi_window is None


def test_without_any_it_takes_the_range_of_valid_pixels() -> None:
    image = masked([[-2000, 10, 20, 30]], [[False, True, True, True]])
    np.testing.assert_allclose(window(image, Window()).pixels, [[0, 0, 0.5, 1]])
    makes_constants(Window(), 0)
    with pytest.raises(Quarantined, match="IMAGE_NO_VALID_PIXELS"):
        window(masked([[1]], [[False]]), Window())


def test_an_own_window_narrower_than_one_is_quarantined() -> None:
    image = ct()
    image = replace(image, header=replace(image.header, voi_window=(40.0, 0.0)))
    with pytest.raises(Quarantined, match="VOI_WINDOW_WIDTH"):
        window(image, Window())


def test_width_one_is_a_threshold_at_centre_minus_half() -> None:
    image = masked([[39.5, 39.6, 40.0]], np.ones((1, 3)))
    np.testing.assert_array_equal(window(image, Window(centre=40, width=1)).pixels, [[0, 1, 1]])


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_its_centre_and_width(name: Any) -> None:
    centre, width = PRESETS[name]
    by_name = window(ct(), Window(by_modality={"CT": name})).pixels
    np.testing.assert_array_equal(by_name, window(ct(), Window(centre=centre, width=width)).pixels)
    assert by_name.std() > 0


def test_each_modality_gets_its_window() -> None:
    spec = Window.model_validate({"by_modality": {"CT": "lung", "MR": {"centre": 600, "width": 1200}, "US": "own"}})
    assert Window.model_validate_json(spec.model_dump_json()) == spec
    pixels = ct().pixels
    for modality, same in {"CT": Window(centre=-600, width=1500), "MR": Window(centre=600, width=1200), "US": Window()}.items():
        image = Image(pixels, header=Header(modality=modality))
        np.testing.assert_array_equal(window(image, spec).pixels, window(image, same).pixels)
    with pytest.raises(Excluded, match=r"WINDOW_MODALITY.*'CR', only for CT, MR, US"):
        window(Image(pixels, header=Header(modality="CR")), spec)


@pytest.mark.parametrize(("units", "refused"), [("HU", False), ("", False), ("MGML", True), ("HU_MOD", True)])
def test_a_preset_is_for_hounsfield_units(units: str, refused: bool) -> None:
    image = Image(ct().pixels, header=Header(modality="CT", units=units))
    window(image, Window(centre=40, width=400))
    if refused:
        with pytest.raises(Excluded, match="UNITS_DIFFER"):
            window(image, Window(by_modality={"CT": "lung"}))
    else:
        assert window(image, Window(by_modality={"CT": "lung"})).header.units == ""


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"centre": 1}, "together"),
        ({"centre": 1, "width": 0.5}, "greater than or equal to 1"),
        ({"centre": 1e31, "width": 2}, "less than or equal to 10"),
        ({"by_modality": {"MR": "lung"}}, "Hounsfield"),
        ({"by_modality": {"CT": "kidney"}}, "'abdomen'"),
        ({"by_modality": {"CT": {"centre": 1}}}, "width"),
        ({"by_modality": {"CT": "lung"}, "centre": 1, "width": 2}, "all images"),
    ],
)
def test_wrong_specs_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Window.model_validate(fields)
