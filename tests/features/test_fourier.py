"""The power spectrum of gratings and noise, and against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from feature_values import measured

from medray.features.fourier import FOURIER, FourierParams


def twin(pixels: np.ndarray, region: np.ndarray, rings: int, wedges: int) -> dict[str, float]:
    """The shares of the whole spectrum, by NumPy's transform of all of it in double precision."""
    centred = np.where(region, pixels - pixels[region].mean(), 0).astype(np.float64)
    down, across = (np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2 for side in pixels.shape)
    power = np.abs(np.fft.fft2(centred * down[:, None] * across)) ** 2
    v, u = np.meshgrid(*(np.fft.fftfreq(side) for side in pixels.shape), indexing="ij")
    frequency, angle = np.hypot(u, v), np.arctan2(v, u) % np.pi
    counted = (frequency > 0) & (frequency <= 0.5)
    share = power[counted] / power[counted].sum()
    ring = np.minimum((frequency[counted] * 2 * rings).astype(int), rings - 1)
    found = {f"fourier_ring_{n}": share[ring == n].sum() for n in range(rings)}
    wedge = (angle[counted] / np.pi * wedges + 1e-9).astype(int) % wedges
    found |= {f"fourier_wedge_{n}": share[wedge == n].sum() for n in range(wedges)}
    centroid = np.sum(share * frequency[counted])
    anisotropy = abs(np.sum(share * np.exp(2j * angle[counted])))
    return found | {"fourier_centroid": centroid, "fourier_anisotropy": anisotropy}


@pytest.mark.parametrize("shape", [(41, 33), (47, 31), (1, 51)])
def test_shares_equal_those_of_the_whole_spectrum(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(shape))
    pixels, region = rng.random(shape, dtype=np.float32), rng.random(shape) < 0.9
    region[0, 0] = region[-1, -1] = True
    found = measured(FOURIER, pixels, region, FourierParams(rings=5, wedges=6))
    expected = twin(pixels, region, 5, 6)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(("angle", "wedge"), [(5, 0), (50, 2), (95, 4), (140, 6)])
def test_a_grating_lies_in_its_ring_and_wedge(angle: float, wedge: int) -> None:
    down, across = np.mgrid[:128, :96]
    phase = across * np.cos(np.radians(angle)) + down * np.sin(np.radians(angle))
    found = measured(FOURIER, 0.5 + 0.3 * np.cos(2 * np.pi * 0.22 * phase))
    assert found["fourier_ring_3"] == pytest.approx(1, abs=0.05)
    assert found[f"fourier_wedge_{wedge}"] > 0.6
    assert found["fourier_centroid"] == pytest.approx(0.22, abs=0.005)
    assert found["fourier_anisotropy"] > 0.95


@pytest.mark.parametrize("exponent", [0, 1, 2])
def test_the_slope_is_that_of_the_noise(exponent: float) -> None:
    """Power ∝ f^(-2 exponent)."""
    rng = np.random.default_rng(7)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
    frequency[0, 0] = 1
    pixels = np.fft.ifft2(np.fft.fft2(rng.standard_normal((256, 256))) / frequency**exponent).real
    found = measured(FOURIER, pixels)
    assert found["fourier_slope"] == pytest.approx(-2 * exponent, abs=0.15)
    if exponent == 0:
        assert found["fourier_anisotropy"] < 0.02


def test_contrast_and_offset_do_not_show() -> None:
    pixels = np.random.default_rng(3).random((40, 60))
    assert measured(FOURIER, 0.5 * pixels + 0.2) == pytest.approx(measured(FOURIER, pixels), rel=1e-4, abs=1e-6)


def test_flat_and_small_images() -> None:
    assert np.isnan(list(measured(FOURIER, np.full((20, 30), 0.3)).values())).all()
    small = measured(FOURIER, np.array([[0.1, 0.9], [0.4, 0.2]]))
    assert sum(value for name, value in small.items() if "ring" in name) == pytest.approx(1)
    assert np.isnan(small["fourier_slope"])
