"""Find the collimated area of a radiograph."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from placed_images import placed, world

from medray.errors import Quarantined
from medray.imaging.table import Collimator, collimator
from medray.types import Image

RNG = np.random.default_rng(11)
Y, X = np.mgrid[:200, :240]


def radiograph(angle: float = 0.0, border: float = 20.0, size: tuple[float, float] = (150, 110)) -> tuple[np.ndarray, np.ndarray]:
    """A shaded chest inside a shutter of some angle, with a label on the border; and where the shutter is open."""
    corners = cv2.boxPoints(((118, 104), size, angle))
    opened = np.zeros((200, 240), np.uint8)
    cv2.fillConvexPoly(opened, np.rint(corners).astype(np.int32), 1)
    chest = 900 + 500 * np.sin(X / 25) * np.cos(Y / 30) + RNG.normal(0, 30, X.shape)
    pixels = np.where(opened, chest, border + RNG.normal(0, 10, X.shape))
    if border < 1000:
        pixels[4:9, 4:20] = 4000
    return pixels, opened.astype(bool)


@pytest.mark.parametrize("border", [20.0, 4000.0], ids=["black", "white"])
@pytest.mark.parametrize("angle", [0.0, 7.0, 30.0])
def test_the_border_goes_whatever_its_angle_and_colour(border: float, angle: float) -> None:
    pixels, opened = radiograph(angle, border)
    result = collimator(placed(pixels), Collimator(action="invalid"))
    assert result.valid is not None
    assert (result.valid ^ opened).mean() < 0.01
    np.testing.assert_array_equal(result.pixels, placed(pixels).pixels)


def test_a_crop_keeps_the_place() -> None:
    pixels, opened = radiograph()
    result = collimator(placed(pixels), Collimator())
    rows, columns = np.flatnonzero(opened.any(axis=1)), np.flatnonzero(opened.any(axis=0))
    assert abs(result.pixels.shape[0] - len(rows)) <= 2
    assert abs(result.pixels.shape[1] - len(columns)) <= 2
    at = tuple(int(one) for one in np.argwhere(placed(pixels).pixels == result.pixels[0, 0])[0])
    np.testing.assert_allclose(world(result, (0, 0)), world(placed(pixels), at), atol=1e-9)


@pytest.mark.parametrize(
    "pixels",
    [
        np.ones((1, 1)),
        np.full((30, 30), 3.0),
        np.where(((Y - 100) / 80) ** 2 + ((X - 120) / 90) ** 2 < 1, 900.0, 10.0),
        np.where(((Y - 100) / 20) ** 2 + (X - 120) ** 2 / 900 < 1, 900.0, 10.0),
        900 + 300 * np.sin(X / 9.0) * np.cos(Y / 11.0),
    ],
    ids=["1 × 1", "constant", "round", "small and round", "no border"],
)
def test_what_is_no_rectangle_stays_as_it_is(pixels: np.ndarray) -> None:
    image = placed(pixels)
    assert collimator(image, Collimator()) is image


def test_an_image_without_valid_pixels_is_quarantined() -> None:
    with pytest.raises(Quarantined, match="IMAGE_NO_VALID_PIXELS"):
        collimator(Image(np.ones((2, 2), np.float32), np.zeros((2, 2), bool)), Collimator())
