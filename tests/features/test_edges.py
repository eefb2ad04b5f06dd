"""Gradient features of images whose edges are known."""

from __future__ import annotations

import numpy as np
import pytest

from medray.features.edges import EDGES, EdgeParams
from medray.types import Image


def features(pixels: np.ndarray, valid: np.ndarray | None = None, params: EdgeParams | None = None) -> dict[str, float]:
    params = params or EdgeParams()
    valid = np.ones(pixels.shape, bool) if valid is None else valid
    values = EDGES.extract(Image(pixels.astype(np.float32), valid), params).values.tolist()
    return dict(zip(EDGES.columns(params), values, strict=True))


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


def test_cells_see_their_own_part() -> None:
    pixels = np.zeros((64, 64))
    pixels[8:24, 40:56] = 1
    found = features(pixels, params=EdgeParams(grid=2))
    hog = {cell: sum(found[f"edges_hog_{cell}_{n}"] for n in range(8)) for cell in ("0_0", "0_1", "1_0", "1_1")}
    assert hog["0_1"] > 0.5
    assert hog["0_0"] == hog["1_0"] == hog["1_1"] == 0
    squares = [value**2 for name, value in found.items() if "hog" in name]
    assert sum(squares) == pytest.approx(1, rel=1e-4)


def test_the_border_of_the_padding_is_no_edge() -> None:
    pixels = np.ones((40, 40))
    pixels[:, 30:] = 0
    found = features(pixels, np.broadcast_to(np.arange(40) < 30, (40, 40)))
    assert found["edges_magnitude_mean"] == 0
    assert np.isnan(found["edges_coherence"])


def test_image_without_valid_pixels_is_all_nan() -> None:
    assert np.isnan(list(features(np.ones((9, 9)), np.zeros((9, 9), bool)).values())).all()
