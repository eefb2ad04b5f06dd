"""The Gabor bank against scikit-image's filters and gratings."""

from __future__ import annotations

import numpy as np
import pytest
from feature_values import measured
from skimage.filters import gabor

from medray.features.gabor import GABOR, GaborParams, bank


@pytest.mark.parametrize("orientations", [4, 3])
def test_magnitudes_equal_those_of_scikit_image_inside(orientations: int) -> None:
    params = GaborParams(frequencies=(0.1, 0.25), orientations=orientations)
    pixels = np.random.default_rng(0).random((90, 110), dtype=np.float32) - np.float32(0.5)
    for index, found in enumerate(bank(pixels, params)):
        frequency, angle = params.frequencies[index // orientations], np.pi * (index % orientations) / orientations
        expected = np.hypot(*gabor(pixels.astype(np.float64), frequency, angle))
        np.testing.assert_allclose(found[20:-20, 20:-20], expected[20:-20, 20:-20], atol=1e-6)


@pytest.mark.parametrize(("n", "angle"), [(0, 0), (1, 45), (2, 90), (3, 135)])
def test_a_grating_answers_to_its_own_filter(n: int, angle: int) -> None:
    down, across = np.mgrid[:96, :96]
    phase = across * np.cos(np.radians(angle)) + down * np.sin(np.radians(angle))
    found = measured(GABOR, 0.5 + 0.4 * np.cos(2 * np.pi * 0.2 * phase))
    means = {name: value for name, value in found.items() if "_mean_" in name}
    assert max(means, key=means.__getitem__) == f"gabor_mean_f0.2_{n}"
    assert means[f"gabor_mean_f0.2_{n}"] == pytest.approx(0.2, rel=0.15)  # half the amplitude, but for the border


def test_energy_is_that_of_mean_and_deviation() -> None:
    found = measured(GABOR, np.random.default_rng(1).random((40, 50)))
    for name in [name for name in found if "_mean_" in name]:
        energy = found[name] ** 2 + found[name.replace("mean", "deviation")] ** 2
        assert found[name.replace("mean", "energy")] == pytest.approx(energy, rel=1e-6)


def test_neither_the_border_nor_what_is_outside_the_region_answers() -> None:
    assert measured(GABOR, np.full((40, 50), 0.7)) == dict.fromkeys(measured(GABOR, np.full((40, 50), 0.7)), 0)
    pixels = np.random.default_rng(2).random((60, 60))
    region = np.hypot(*(np.indices((60, 60)) - 30)) < 20
    assert measured(GABOR, np.where(region, pixels, 9), region) == measured(GABOR, pixels, region)


def test_one_pixel_is_too_small() -> None:
    assert np.isnan(list(measured(GABOR, np.ones((9, 9)), np.eye(9) * np.arange(9) == 4).values())).all()
