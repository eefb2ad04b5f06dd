"""Flag or exclude constant and saturated images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from placed_images import placed
from pydicom.data import get_testdata_file

from medray.data.dicom import decode
from medray.errors import Excluded, Quarantined
from medray.imaging.table import Check, check
from medray.types import Image

RAMP = np.arange(100.0).reshape(10, 10)


@pytest.mark.parametrize(
    ("pixels", "flag"),
    [
        (np.full((4, 4), 9.0), "PIXELS_CONSTANT"),
        (np.ones((1, 1)), "PIXELS_CONSTANT"),
        (np.full((2, 3, 4), 0.0), "PIXELS_CONSTANT"),
        (np.minimum(RAMP, 70), "IMAGE_SATURATED"),
        (np.maximum(RAMP, 98.5), "IMAGE_SATURATED"),
    ],
)
def test_odd_images_are_flagged_or_excluded(pixels: np.ndarray, flag: str) -> None:
    image = placed(pixels, flags=("WINDOW_INVALID",))
    result = check(image, Check())
    assert result.header.flags == tuple(sorted((flag, "WINDOW_INVALID")))
    assert result.pixels is image.pixels
    with pytest.raises(Excluded, match=flag):
        check(image, Check(action="exclude"))


def test_sound_images_pass() -> None:
    assert check(placed(RAMP), Check(action="exclude")).header.flags == ()
    for name in ("CT_small.dcm", "MR_small.dcm"):
        image = decode(get_testdata_file(name))
        assert check(image, Check(action="exclude")) is image


def test_limits_are_shares_of_the_valid_pixels() -> None:
    image = replace(placed(np.where(RAMP > 89, 200, RAMP)), valid=RAMP > 80)
    assert check(image, Check(brightest=0.55)).header.flags == ()
    assert check(image, Check(brightest=0.5)).header.flags == ("IMAGE_SATURATED",)


def test_an_image_without_valid_pixels_is_quarantined() -> None:
    with pytest.raises(Quarantined, match="IMAGE_NO_VALID_PIXELS"):
        check(Image(np.ones((2, 2), np.float32), np.zeros((2, 2), bool)), Check())
