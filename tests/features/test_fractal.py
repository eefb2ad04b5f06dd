"""Dimensions of sets and surfaces whose dimension is known; lacunarity against loops."""

from __future__ import annotations

import numpy as np
import pytest
from feature_values import measured

from medray.features.fractal import FRACTAL, FractalParams


def carpet(order: int) -> np.ndarray:
    """The Vicsek cross on 4 x 4 blocks: 8 of 16 blocks at each order, dimension log 8 / log 4 = 1.5."""
    block = np.array([[1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1]])
    found = np.ones((1, 1))
    for _ in range(order):
        found = np.kron(found, block)
    return found


def surface(hurst: float, side: int = 256) -> np.ndarray:
    """Fractional Brownian surface by its spectrum, in [0, 1]: dimension 3 - hurst."""
    rng = np.random.default_rng(5)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    frequency[0, 0] = np.inf
    pixels = np.fft.ifft2(np.fft.fft2(rng.standard_normal((side, side))) / frequency ** (hurst + 1)).real
    return (pixels - pixels.min()) / np.ptp(pixels)


def test_the_outline_of_a_half_plane_is_a_line() -> None:
    pixels = np.where(np.arange(128) < 64, 1.0, 0.0) * np.ones((128, 1))
    assert measured(FRACTAL, pixels)["fractal_box_dimension"] == pytest.approx(1)
    assert measured(FRACTAL, pixels.T)["fractal_box_dimension"] == pytest.approx(1)


def test_the_outline_of_a_fractal_has_its_dimension() -> None:
    assert measured(FRACTAL, carpet(4))["fractal_box_dimension"] == pytest.approx(1.5, abs=0.1)


def test_the_dimension_of_a_surface_falls_as_it_gets_smoother() -> None:
    flat = measured(FRACTAL, np.full((128, 128), 0.3))["fractal_differential_dimension"]
    noise = measured(FRACTAL, np.random.default_rng(0).random((256, 256)))["fractal_differential_dimension"]
    assert flat == 2
    assert noise > 2.8
    found = [measured(FRACTAL, surface(hurst))["fractal_differential_dimension"] for hurst in (0.2, 0.5, 0.8)]
    assert found == sorted(found, reverse=True)
    assert found[0] - found[2] > 0.25  # of 0.6: counting boxes is known to underestimate rough surfaces


def twin(pixels: np.ndarray, region: np.ndarray, side: int) -> float:
    rows, columns = pixels.shape
    corners = [(r, c) for r in range(rows - side + 1) for c in range(columns - side + 1)]
    inside = [(r, c) for r, c in corners if region[r : r + side, c : c + side].all()]
    mass = np.array([pixels[r : r + side, c : c + side].sum(dtype=np.float64) for r, c in inside])
    return float(np.mean(mass**2) / mass.mean() ** 2)


def test_lacunarity_equals_that_of_a_loop() -> None:
    rng = np.random.default_rng(4)
    pixels, region = rng.random((23, 30), dtype=np.float32), rng.random((23, 30)) < 0.95
    region[0, 0] = region[-1, -1] = True
    found = measured(FRACTAL, pixels, region, FractalParams(lacunarity=(2, 3, 16)))
    for side in (2, 3):
        assert found[f"fractal_lacunarity_{side}"] == pytest.approx(twin(pixels, region, side), rel=1e-9)
    assert np.isnan(found["fractal_lacunarity_16"])


def test_a_flat_image_has_no_gaps_and_a_black_one_no_mass() -> None:
    assert measured(FRACTAL, np.full((32, 32), 0.3))["fractal_lacunarity_4"] == pytest.approx(1)
    assert np.isnan(measured(FRACTAL, np.zeros((32, 32)))["fractal_lacunarity_4"])
    assert np.isnan(list(measured(FRACTAL, np.ones((1, 1))).values())).all()
