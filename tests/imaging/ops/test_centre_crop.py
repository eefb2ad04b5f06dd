"""Crop to a size around the centre."""

from __future__ import annotations

import numpy as np
import pytest
from placed_images import marked, placed, same_place

from medray.errors import Excluded
from medray.imaging.preprocess import PreprocessSpec
from medray.imaging.table import CentreCrop, centre_crop


@pytest.mark.parametrize(("shape", "spec"), [((20, 31), {}), ((7, 20, 31), {"slices": 3}), ((7, 20, 31), {})])
def test_the_middle_stays(shape: tuple[int, ...], spec: dict[str, int]) -> None:
    image = placed(marked(shape, tuple((size - 1) // 2 for size in shape)))
    cropped = centre_crop(image, CentreCrop(rows=4, columns=5, **spec))
    assert cropped.pixels.shape == (*([spec.get("slices", 7)] if len(shape) == 3 else []), 4, 5)
    assert cropped.pixels.sum() == 1
    same_place(image, cropped)


def test_its_size_is_known_beforehand() -> None:
    assert PreprocessSpec(steps=(CentreCrop(rows=8, columns=9),)).output_shape == (8, 9)


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (40, 3)])
def test_a_smaller_image_is_excluded(shape: tuple[int, int]) -> None:
    with pytest.raises(Excluded, match="IMAGE_SMALLER_THAN_CROP"):
        centre_crop(placed(np.ones(shape)), CentreCrop(rows=4, columns=5))


def test_a_volume_of_fewer_slices_is_excluded() -> None:
    with pytest.raises(Excluded, match="1 x 9 x 9 pixels cannot be cropped to 2 x 4 x 5"):
        centre_crop(placed(np.ones((1, 9, 9))), CentreCrop(rows=4, columns=5, slices=2))
