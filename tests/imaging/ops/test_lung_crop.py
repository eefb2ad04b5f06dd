"""Crop to the lungs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from placed_images import placed, world

from medray.errors import Excluded
from medray.imaging.table import LungCrop, lung_crop

Y, X = np.mgrid[:100, :140]


def section() -> np.ndarray:
    """A chest in HU: two lungs, bowel gas, air around."""
    pixels = np.full((100, 140), -1000.0)
    pixels[((Y - 50) / 45) ** 2 + ((X - 70) / 65) ** 2 < 1] = 40
    pixels[((Y - 50) / 25) ** 2 + ((X - 40) / 20) ** 2 < 1] = -850
    pixels[((Y - 45) / 20) ** 2 + ((X - 100) / 20) ** 2 < 1] = -850
    pixels[85:90, 60:65] = -900
    return pixels


def test_both_lungs_stay_and_the_gas_goes() -> None:
    image = placed(section())
    cropped = lung_crop(image, LungCrop(smallest=0.001, outside="invalid"))
    assert cropped.pixels.shape == (49, 99)
    assert cropped.valid is not None
    np.testing.assert_array_equal(cropped.valid, cropped.pixels == -850)
    np.testing.assert_allclose(world(cropped, (0, 0)), world(image, (26, 21)), atol=1e-9)


def test_pixels_in_other_units_than_hounsfield_s_are_refused() -> None:
    image = placed(section())
    with pytest.raises(Excluded, match="UNITS_DIFFER"):
        lung_crop(replace(image, header=replace(image.header, units="MGML")), LungCrop())
    stated = replace(image, header=replace(image.header, units="HU"))
    np.testing.assert_array_equal(lung_crop(stated, LungCrop()).pixels, lung_crop(image, LungCrop()).pixels)


def test_one_lung_is_enough() -> None:
    pixels = section()
    pixels[:, 70:] = np.where(pixels[:, 70:] == -850, 40, pixels[:, 70:])
    assert lung_crop(placed(pixels), LungCrop()).pixels.shape == (49, 39)


def test_air_that_only_padding_encloses_is_outside() -> None:
    pixels = section()
    disc = ((Y - 50) / 48) ** 2 + ((X - 70) / 68) ** 2 < 1
    image = replace(placed(np.where(disc, pixels, -2000)), valid=disc)
    assert lung_crop(image, LungCrop()).pixels.shape == (49, 99)


def test_the_lungs_of_a_volume() -> None:
    pixels = np.stack([np.where(section() < -800, 40, section()), section(), section()])
    pixels[0][section() == -1000] = -1000
    cropped = lung_crop(placed(pixels), LungCrop(margin=2))
    assert cropped.pixels.shape == (2, 53, 103)


@pytest.mark.parametrize(
    "pixels",
    [np.full((9, 9), -1000.0), np.full((9, 9), 40.0), np.ones((1, 1)), np.where(section() == -850, 40.0, section())],
    ids=["air", "tissue", "1 × 1", "abdomen"],
)
def test_an_image_without_lungs_is_excluded(pixels: np.ndarray) -> None:
    with pytest.raises(Excluded, match="REGION_NOT_FOUND"):
        lung_crop(placed(pixels), LungCrop())


def test_an_island_without_valid_pixels_is_no_lung() -> None:
    pixels = np.where(section() == -850, 40, section())
    island = np.zeros(pixels.shape, bool)
    island[40:60, 60:80] = True
    with pytest.raises(Excluded, match="REGION_NOT_FOUND"):
        lung_crop(replace(placed(pixels), valid=~island), LungCrop())
