"""Crop to the body."""

from __future__ import annotations

import numpy as np
import pytest
from placed_images import placed, same_place
from pydicom.data import get_testdata_file
from skimage.filters import threshold_li

from medray.data.dicom import decode
from medray.errors import Excluded
from medray.imaging.crop import li
from medray.imaging.table import BodyCrop, body_crop

Y, X = np.mgrid[:120, :160]


def section() -> np.ndarray:
    """A body in HU with a lung, a thin sheet and a table below it, and a wire to the table."""
    pixels = np.full((120, 160), -1000.0)
    pixels[((Y - 50) / 40) ** 2 + ((X - 80) / 60) ** 2 < 1] = 40
    pixels[((Y - 50) / 20) ** 2 + ((X - 60) / 15) ** 2 < 1] = -850
    pixels[105:109] = 200
    pixels[88:106, 80] = 300
    return pixels


def test_the_table_goes_and_the_cavity_stays_in_the_body() -> None:
    cropped = body_crop(placed(section()), BodyCrop(threshold=-300, outside="invalid"))
    assert abs(cropped.pixels.shape[0] - 79) <= 2
    assert abs(cropped.pixels.shape[1] - 119) <= 2
    assert cropped.valid is not None
    assert cropped.valid[cropped.pixels == -850].all()


def test_without_an_opening_the_wire_joins_them() -> None:
    assert body_crop(placed(section()), BodyCrop(threshold=-300, opening=0)).pixels.shape == (98, 160)


def test_a_volume_is_one_body_whose_slices_are_filled_each() -> None:
    pixels = np.stack([np.full((120, 160), -1000.0), section(), section()])
    cropped = body_crop(placed(pixels), BodyCrop(threshold=-300, margin=3, outside="invalid"))
    assert cropped.pixels.shape[0] == 2
    assert cropped.valid is not None
    assert cropped.valid[cropped.pixels == -850].all()
    assert cropped.header.position_mm is not None


def test_the_body_keeps_its_place() -> None:
    pixels = np.where(section() == 40, 100.0, 0)
    image = placed(pixels * (Y < 95))
    same_place(image, body_crop(image, BodyCrop(opening=0)))


def test_lis_threshold_is_that_of_scikit_image() -> None:
    for name in ("CT_small.dcm", "MR_small.dcm", "examples_overlay.dcm"):
        values = decode(get_testdata_file(name)).pixels.ravel()
        step = float(values.max() - values.min()) / 1023
        assert li(values) == pytest.approx(threshold_li(values), abs=1.5 * step)


@pytest.mark.parametrize("shape", [(1, 1), (30, 20), (2, 9, 9)])
def test_a_constant_image_shows_no_body(shape: tuple[int, ...]) -> None:
    with pytest.raises(Excluded, match="REGION_NOT_FOUND"):
        body_crop(placed(np.full(shape, 5.0)), BodyCrop())
