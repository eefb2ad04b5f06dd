"""Gradient features of images whose edges are known."""

from __future__ import annotations

from statistics import NormalDist

import cv2
import numpy as np
import pytest
from feature_values import measured
from pydantic import ValidationError
from skimage import feature

from medray.features.edges import EDGES, EdgesParams
from medray.features.gradient import sobel


def features(pixels: np.ndarray, region: np.ndarray | None = None, **params: object) -> dict[str, float]:
    return measured(EDGES, pixels, region, EdgesParams.model_validate({"canny": False, **params}))


def test_a_ramp_has_its_slope_one_orientation_and_full_coherence() -> None:
    found = features(np.tile(np.arange(50) / 100, (40, 1)))
    assert found["edges_magnitude_median"] == pytest.approx(0.01, rel=1e-3)
    assert found["edges_orientation_0"] == pytest.approx(1)
    assert found["edges_coherence"] == pytest.approx(1)
    assert found["edges_magnitude_strong_share"] == 0


@pytest.mark.parametrize(("turns", "bin_"), [(0, 0), (1, 4)])
def test_orientation_follows_the_image(turns: int, bin_: int) -> None:
    step = np.rot90(np.where(np.arange(32) < 16, 0.1, 0.9) * np.ones((32, 1)), turns).copy()
    found = features(step)
    assert found[f"edges_orientation_{bin_}"] == pytest.approx(1)
    assert found["edges_magnitude_strong_share"] == pytest.approx(2 / 32)


def test_contrast_scales_magnitude_and_leaves_directions() -> None:
    pixels = np.random.default_rng(0).random((32, 32))
    full, half = features(pixels), features(pixels / 2)
    for name, value in full.items():
        factor = 0.5 if "magnitude" in name and "share" not in name else 1
        if "share" not in name:
            assert half[name] == pytest.approx(value * factor, rel=1e-3, abs=1e-6)


def test_the_border_of_the_padding_is_no_edge() -> None:
    pixels = np.ones((40, 40))
    pixels[:, 30:] = 0
    found = features(pixels, np.broadcast_to(np.arange(40) < 30, (40, 40)))
    assert found["edges_magnitude_mean"] == 0
    assert np.isnan(found["edges_coherence"])


def test_no_pixel_with_all_its_neighbours_is_all_nan() -> None:
    assert np.isnan(list(features(np.ones((9, 9)), np.indices((9, 9))[1] % 2 > 0, canny=True).values())).all()


def test_percentiles_equal_those_of_numpy() -> None:
    pixels = np.random.default_rng(4).random((31, 47))
    found = features(pixels)
    down, right = sobel(pixels.astype(np.float32))
    expected = np.percentile(np.hypot(down, right).astype(np.float64), [50, 90, 99])
    names = ("median", "percentile90", "percentile99")
    np.testing.assert_allclose([found[f"edges_magnitude_{name}"] for name in names], expected, rtol=1e-6)


def test_canny_finds_the_line_of_a_step() -> None:
    step = np.where(np.arange(64) < 32, 0.2, 0.8) * np.ones((48, 1))
    found = features(step, canny=True)
    assert found["edges_canny_density"] == pytest.approx(1 / 64)
    assert found["edges_canny_strength"] == pytest.approx(
        0.6 * (NormalDist().cdf(1.5 / 1.4) - NormalDist().cdf(-0.5 / 1.4)) / 2, rel=0.03
    )
    assert found["edges_canny_strength_deviation"] == pytest.approx(0, abs=1e-4)
    assert found["edges_canny_length"] == pytest.approx(48 / np.sqrt(48 * 64))


def test_canny_finds_about_as_many_edges_as_scikit_image() -> None:
    pixels = cv2.GaussianBlur(np.random.default_rng(5).random((120, 120)), (0, 0), 3)
    pixels = (pixels - pixels.min()) / np.ptp(pixels)
    found = features(pixels, canny=True, low=0.02, high=0.05)
    other = feature.canny(pixels, sigma=1.4, low_threshold=0.02 * 8, high_threshold=0.05 * 8, mode="mirror")
    assert found["edges_canny_density"] == pytest.approx(other.mean(), rel=0.15)


def test_without_edges_their_strength_is_undefined() -> None:
    found = features(np.tile(np.arange(50) / 1000, (40, 1)), canny=True)
    assert found["edges_canny_density"] == 0
    assert np.isnan(found["edges_canny_strength"])


def test_canny_sees_no_edge_where_the_region_ends() -> None:
    pixels = np.where(np.arange(64) < 40, 0.2, 0.8) * np.ones((48, 1))
    assert features(pixels, np.arange(64) < 40 * np.ones((48, 1)), canny=True)["edges_canny_density"] == 0


def test_low_is_not_above_high() -> None:
    with pytest.raises(ValidationError, match="low must not be above high"):
        EdgesParams(low=0.5, high=0.1)
