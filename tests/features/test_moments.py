"""Moments against mahotas and OpenCV, and their invariances."""

from __future__ import annotations

import cv2
import mahotas
import numpy as np
import pytest
from feature_values import measured

from medray.features.moments import MOMENTS, MomentsParams, orders, zernike
from medray.types import Header


def blob(angle: float = 0, scale: float = 1, shift: tuple[float, float] = (0, 0)) -> np.ndarray:
    """Three soft spots, turned by an angle in degrees and scaled about the middle of 256 x 256 pixels, in a dark round field."""
    down, across = np.mgrid[:256, :256] - 127.5
    turn = np.radians(angle)
    pixels = np.zeros((256, 256))
    for row, column, size in ((-20, 10, 8), (15, 30, 12), (20, -25, 6)):
        r, c = scale * (row * np.cos(turn) - column * np.sin(turn)), scale * (row * np.sin(turn) + column * np.cos(turn))
        pixels += np.exp(-((down - r - shift[0]) ** 2 + (across - c - shift[1]) ** 2) / (2 * (scale * size) ** 2))
    return pixels


def test_magnitudes_equal_those_of_mahotas() -> None:
    weights = blob()
    down, across = (np.arange(256.0) @ weights.sum(axis) / weights.sum() for axis in (1, 0))
    rows, columns = np.indices(weights.shape)
    radius = np.sqrt(np.max((rows - down) ** 2 + (columns - across) ** 2))
    expected = mahotas.features.zernike_moments(weights, radius, 9, cm=(down, across))
    found = zernike(weights / weights.sum(), np.ones(weights.shape, bool), 9)
    for (n, m), value in zip(orders(9), found, strict=True):
        index = [(a, b) for a in range(10) for b in range(a + 1) if (a - b) % 2 == 0].index((n, m))
        assert value == pytest.approx(expected[index], rel=1e-5, abs=1e-7), (n, m)


def test_hu_equals_opencv() -> None:
    pixels = np.random.default_rng(0).random((40, 50), dtype=np.float32)
    found = list(measured(MOMENTS, pixels).values())[:7]
    hu = cv2.HuMoments(cv2.moments(pixels)).ravel()
    np.testing.assert_allclose(found, -np.sign(hu) * np.log10(np.abs(hu) + 1e-12), rtol=1e-6)


@pytest.mark.parametrize("changes", [{"angle": 37}, {"angle": 180}, {"shift": (9, -13)}, {"scale": 1.3, "angle": 71}])
def test_turned_moved_and_scaled_regions_have_the_same_moments(changes: dict[str, object]) -> None:
    """The region is a disc about the spots' middle that moves and grows with them."""

    def moments(pixels: np.ndarray, scale: float, shift: tuple[float, float]) -> dict[str, float]:
        down, across = np.mgrid[:256, :256] - 127.5
        region = (down - shift[0]) ** 2 + (across - shift[1]) ** 2 <= (80 * scale) ** 2
        return measured(MOMENTS, pixels, region)

    reference = moments(blob(), 1, (0, 0))
    changed = moments(blob(**changes), float(changes.get("scale", 1)), changes.get("shift", (0, 0)))  # type: ignore[arg-type]
    for name, value in reference.items():
        if "zernike" in name:
            assert changed[name] == pytest.approx(value, abs=0.01), name
        elif abs(value) < 7:
            assert changed[name] == pytest.approx(value, rel=0.02), name


@pytest.mark.parametrize("header", [Header(pixel_aspect=2.0), Header(spacing_mm=(0.4, 0.2))])
def test_pixels_that_are_not_square_count_with_their_proportions(header: Header) -> None:
    pixels = blob()
    region = np.hypot(*(np.indices(pixels.shape) - 127.5)) <= 80
    low = pixels.reshape(128, 2, 256).mean(1), region[::2]
    reference, found = measured(MOMENTS, pixels, region), measured(MOMENTS, *low, header=header)
    for name, value in reference.items():
        if "zernike" in name:
            assert found[name] == pytest.approx(value, abs=0.01), name
        elif abs(value) < 7:
            assert found[name] == pytest.approx(value, rel=0.02), name


def test_a_disc_has_no_moments_but_the_lowest() -> None:
    disc = np.hypot(*(np.indices((301, 301)) - 150)) <= 150
    found = measured(MOMENTS, np.ones(disc.shape), disc, MomentsParams(weight="region", degree=6))
    assert max(value for name, value in found.items() if "zernike" in name) < 0.02


def test_the_shape_of_the_region_alone() -> None:
    region = np.zeros((60, 80), bool)
    region[10:50, 20:40] = True
    pixels = np.random.default_rng(1).random(region.shape)
    params = MomentsParams(weight="region")
    assert measured(MOMENTS, pixels, region, params) == measured(MOMENTS, 1 - pixels, region, params)


def test_black_images_and_single_pixels() -> None:
    assert np.isnan(list(measured(MOMENTS, np.zeros((9, 9))).values())).all()
    found = measured(MOMENTS, np.ones((1, 1)))
    assert np.isnan([value for name, value in found.items() if "zernike" in name]).all()
