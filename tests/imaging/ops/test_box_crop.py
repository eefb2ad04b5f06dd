"""Crop to a fixed box."""

from __future__ import annotations

import numpy as np
import pytest
from placed_images import marked, placed, same_place

from medray.errors import Excluded
from medray.imaging.preprocess import PreprocessSpec
from medray.imaging.table import BoxCrop, box_crop


def test_a_box_of_a_plane_and_of_a_volume() -> None:
    plane = placed(marked((20, 30), (6, 9)))
    cropped = box_crop(plane, BoxCrop(top=5, left=7, rows=10, columns=4))
    assert cropped.pixels[1, 2] == 1
    assert cropped.pixels.shape == (10, 4)
    same_place(plane, cropped)
    volume = placed(marked((5, 20, 30), (3, 6, 9)))
    some = box_crop(volume, BoxCrop(top=5, left=7, rows=10, columns=4, first_slice=2, slices=2))
    assert some.pixels.shape == (2, 10, 4)
    same_place(volume, some)
    assert box_crop(volume, BoxCrop(rows=9, columns=9, first_slice=3)).pixels.shape == (2, 9, 9)


def test_its_size_is_known_beforehand() -> None:
    assert PreprocessSpec(steps=(BoxCrop(rows=8, columns=9),)).output_shape == (8, 9)


@pytest.mark.parametrize("box", [{"top": 15}, {"left": 25}, {"rows": 21}])
def test_a_box_outside_the_image_is_excluded(box: dict[str, int]) -> None:
    with pytest.raises(Excluded, match="IMAGE_SMALLER_THAN_CROP"):
        box_crop(placed(np.ones((20, 30))), BoxCrop(**{"rows": 10, "columns": 10, **box}))


@pytest.mark.parametrize("box", [{"first_slice": 3}, {"first_slice": 2, "slices": 2}])
def test_slices_outside_the_volume_are_excluded(box: dict[str, int]) -> None:
    with pytest.raises(Excluded, match="IMAGE_SMALLER_THAN_CROP"):
        box_crop(placed(np.ones((3, 4, 4))), BoxCrop(rows=4, columns=4, **box))
