"""First-order features against NumPy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from feature_values import measured

from medray.features.family import Reason
from medray.features.intensity import INTENSITY, IntensityParams
from medray.types import Image

PARAMS = IntensityParams(grid=0, centre=False)


def features(pixels: np.ndarray, valid: np.ndarray | None = None, params: IntensityParams = PARAMS) -> dict[str, float]:
    return measured(INTENSITY, pixels, valid, params)


def test_two_grey_levels_in_closed_form() -> None:
    pixels = np.repeat([0.25, 0.75], [48, 16]).reshape(8, 8)
    found = features(pixels)
    expected = {
        "mean": 0.375,
        "variance": 0.046875,
        "skewness": 0.5 / np.sqrt(0.1875),
        "kurtosis": 1 + 1 / 3 + 1,
        "minimum": 0.25,
        "median": 0.25,
        "maximum": 0.75,
        "mean_absolute_deviation": 0.1875,
        "root_mean_squared": np.sqrt(0.1875),
        "entropy": -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)),
        "uniformity": 0.625,
    }
    assert {name: found[f"intensity_{name}"] for name in expected} == pytest.approx(expected, rel=1e-5)


def test_invalid_pixels_do_not_count() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.random((20, 30))
    padded = np.full((20, 40), 0.99)
    padded[:, :30] = pixels
    found = features(padded, np.arange(40) < np.full((20, 1), 30))
    assert found == pytest.approx(features(pixels), rel=1e-5)


def test_constant_image_has_no_skewness() -> None:
    found = features(np.full((5, 5), 0.5))
    assert np.isnan(found["intensity_skewness"])
    assert np.isnan(found["intensity_kurtosis"])
    assert found["intensity_entropy"] == 0


def test_cells_that_are_outside_the_region_are_undefined() -> None:
    region = np.arange(8) < 4 * np.ones((8, 1))
    found = features(np.ones((8, 8)), region, IntensityParams(grid=2, centre=False))
    assert found["intensity_cell_mean_1_0"] == 1
    assert np.isnan(found["intensity_cell_mean_1_1"])


def test_cells_and_centre_say_where_it_is_bright() -> None:
    pixels = np.zeros((64, 48))
    pixels[:32, 24:] = 0.5
    found = features(pixels, params=IntensityParams(grid=2, centre=True))
    assert [found[f"intensity_cell_mean_{cell}"] for cell in ("0_0", "0_1", "1_0", "1_1")] == [0, 0.5, 0, 0]
    assert found["intensity_cell_deviation_0_1"] == pytest.approx(0, abs=1e-6)
    assert found["intensity_centre_difference"] == pytest.approx(0, abs=1e-6)
    pixels = np.zeros((64, 48))
    pixels[16:48, 12:36] = 1
    assert features(pixels, params=IntensityParams(grid=0))["intensity_centre_difference"] == 1


def test_a_cell_outside_the_region_is_empty_and_not_constant() -> None:
    pixels = np.random.default_rng(0).random((16, 16)).astype(np.float32)
    corner = np.zeros((16, 16), bool)
    corner[:4, :4] = True
    names = [feature.name for feature in INTENSITY.features(IntensityParams())]
    reasons = INTENSITY.extract(Image(pixels, mask=corner), IntensityParams()).reasons
    assert {names[index]: reason for index, reason in reasons.items()} == {
        name: Reason.EMPTY for name in names if "_centre_" in name or ("_cell_" in name and not name.endswith("_0_0"))
    }
    flat = INTENSITY.extract(Image(np.ones((16, 16), np.float32)), IntensityParams()).reasons
    assert {names[index]: reason for index, reason in flat.items()} == {
        f"intensity_{name}": Reason.CONSTANT for name in ("skewness", "kurtosis", "centre_deviation_ratio")
    }
