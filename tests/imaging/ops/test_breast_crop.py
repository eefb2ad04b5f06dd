"""Crop to the breast."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from placed_images import placed

from medray.errors import Excluded
from medray.imaging.table import BreastCrop, breast_crop

Y, X = np.mgrid[:120, :90]


def mammogram(right: bool = False) -> np.ndarray:
    """A breast against the left (or right) side and a label at the other."""
    pixels = np.zeros((120, 90))
    pixels[((Y - 60) / 45) ** 2 + (X / 50) ** 2 < 1] = 500
    pixels[((Y - 60) / 10) ** 2 + ((X - 20) / 10) ** 2 < 1] = 0
    pixels[5:15, 70:85] = 4000
    return pixels[:, ::-1] if right else pixels


@pytest.mark.parametrize("right", [False, True])
def test_the_label_goes_and_the_breast_stays(right: bool) -> None:
    image = placed(mammogram(right), orientation=None, modality="MG")
    cropped = breast_crop(image, BreastCrop(outside="invalid"))
    assert cropped.pixels.shape == (89, 50)
    assert cropped.pixels.max() == 500
    assert cropped.valid is not None
    assert cropped.valid[35:55].all(axis=1).any() or cropped.valid[44, 20 if not right else 29]
    assert cropped.header.position_mm is None


def test_padding_is_no_breast() -> None:
    image = replace(placed(mammogram()), valid=mammogram() < 4000)
    assert breast_crop(image, BreastCrop()).pixels.shape == (89, 50)


@pytest.mark.parametrize(
    "pixels",
    [
        np.ones((1, 1)),
        np.full((20, 20), 7.0),
        np.pad(np.ones((10, 10)), 20),
        np.broadcast_to((np.arange(40) % 40 > 10)[:, None] * 1.0, (40, 30)),
    ],
    ids=["1 × 1", "constant", "specimen", "both sides"],
)
def test_what_is_no_breast_is_excluded(pixels: np.ndarray) -> None:
    with pytest.raises(Excluded, match="REGION_NOT_FOUND"):
        breast_crop(placed(pixels), BreastCrop())
