"""Crop to the largest bright component."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from conftest import SHARED
from placed_images import centre, placed, same_place

from medray.errors import Quarantined
from medray.imaging.table import ForegroundCrop, foreground_crop
from medray.types import Image


def two_spots() -> np.ndarray:
    pixels = np.zeros((40, 50))
    pixels[10:20, 5:25] = 1
    pixels[30:33, 40:43] = 5
    return pixels


def test_it_takes_the_largest_component_with_a_margin_and_moves_the_position() -> None:
    image = placed(two_spots() * (two_spots() < 2))
    cropped = foreground_crop(image, ForegroundCrop(threshold=0.1, margin=2))
    assert cropped.pixels.shape == (14, 24)
    assert cropped.pixels.sum() == 200
    same_place(image, cropped)


def test_the_outside_becomes_invalid_on_demand() -> None:
    cropped = foreground_crop(placed(two_spots()), ForegroundCrop(threshold=0.1, margin=30, outside="invalid"))
    assert cropped.valid is not None
    assert cropped.valid.sum() == 200


def test_a_volume_is_cropped_along_its_slices_too() -> None:
    pixels = np.zeros((6, 20, 20))
    pixels[2:5, 3:9, 4:10] = 7
    pixels[0, 15, 15] = 9
    image = placed(pixels)
    cropped = foreground_crop(image, ForegroundCrop(margin=1))
    assert cropped.pixels.shape == (3, 8, 8)
    assert cropped.pixels.sum() == 7 * 108
    np.testing.assert_allclose(centre(cropped), centre(placed(np.where(pixels == 7, 7, 0))), atol=1e-4)


def test_masks_come_along() -> None:
    image = replace(placed(two_spots()), valid=two_spots() < 3, mask=two_spots() > 0)
    cropped = foreground_crop(image, ForegroundCrop(threshold=0))
    assert cropped.mask is not None
    assert cropped.valid is not None
    assert cropped.mask.all()
    assert cropped.valid.all()


@pytest.mark.parametrize("pixels", [np.full((9, 8), 3.0), np.ones((1, 1))])
def test_an_image_without_foreground_stays_as_it_is(pixels: np.ndarray) -> None:
    image = placed(pixels)
    assert foreground_crop(image, ForegroundCrop()) is image


def test_an_image_without_valid_pixels_is_quarantined() -> None:
    with pytest.raises(Quarantined, match="IMAGE_NO_VALID_PIXELS"):
        foreground_crop(Image(np.ones((2, 2), np.float32), np.zeros((2, 2), bool)), ForegroundCrop())


def test_boxes_are_those_of_opencv_on_real_ultrasound() -> None:
    from medray.data.dicom import decode

    files = sorted((SHARED / "data" / "busi" / "images").glob("*.dcm"))[:6]
    if not files:
        pytest.skip("the BUSI data is not on this machine")
    for path in files:
        image = decode(path)
        low, high = float(image.pixels.min()), float(image.pixels.max())
        bright = (image.pixels > np.float32(low + 0.3 * (high - low))).astype(np.uint8)
        stats = cv2.connectedComponentsWithStats(bright, connectivity=8)[2]
        left, top, width, height, _ = stats[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))]
        cropped = foreground_crop(image, ForegroundCrop(threshold=0.3)).pixels
        np.testing.assert_array_equal(cropped, image.pixels[top : top + height, left : left + width])
