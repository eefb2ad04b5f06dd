"""Images with a place in the patient, and where their pixels lie, by the formula of PS3.3 C.7.6.2.1.1 written out."""

from __future__ import annotations

import numpy as np

from medray.types import Header, Image

OBLIQUE = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)
"""Image Orientation (Patient) of an oblique plane."""


def placed(pixels: np.ndarray, orientation: tuple[float, ...] = OBLIQUE, **header: object) -> Image:
    """A plane or volume of 0.5 × 0.3 mm pixels and 2 mm between slices whose first pixel lies at (10, -20, 30) mm."""
    known = {"spacing_mm": (0.5, 0.3), "position_mm": (10.0, -20.0, 30.0), "orientation": orientation, **header}
    return Image(pixels.astype(np.float32), header=Header(**known), slice_spacing_mm=2.0 if pixels.ndim == 3 else None)  # type: ignore[arg-type]


def world(image: Image, index: tuple[float, ...]) -> np.ndarray:
    """float64 (3,): the centre of a pixel in mm."""
    header = image.header
    assert header.position_mm is not None
    assert header.orientation is not None
    assert header.spacing_mm is not None
    along_row, along_column = np.array(header.orientation[:3]), np.array(header.orientation[3:])
    point = np.array(header.position_mm) + along_row * header.spacing_mm[1] * index[-1]
    point += along_column * header.spacing_mm[0] * index[-2]
    if len(index) == 3:
        assert image.slice_spacing_mm is not None
        point += np.cross(along_row, along_column) * image.slice_spacing_mm * index[0]
    return point


def centre(image: Image) -> np.ndarray:
    """The centre of mass of the pixels in mm."""
    grids = np.indices(image.pixels.shape)
    weight = image.pixels.astype(np.float64) / image.pixels.sum(dtype=np.float64)
    return world(image, tuple(float((grid * weight).sum()) for grid in grids))


def marked(shape: tuple[int, ...], *points: tuple[int, ...]) -> np.ndarray:
    """Zeros with ones at some pixels."""
    pixels = np.zeros(shape, np.float32)
    for point in points:
        pixels[point] = 1
    return pixels


def ramp(shape: tuple[int, ...]) -> Image:
    """A plane or volume whose pixels are x + 2 y + 3 z of their own places in mm."""
    image = placed(np.zeros(shape))
    for index in np.ndindex(shape):
        image.pixels[index] = world(image, index) @ (1, 2, 3)
    return image


def is_ramp(image: Image, border: int) -> None:
    """What was a ramp is one still, but for a border; exact where axes grow, or shrink by whole numbers."""
    inside = tuple(slice(min(border, (size - 1) // 2), size - min(border, (size - 1) // 2)) for size in image.pixels.shape)
    for index in np.argwhere(np.ones(image.pixels.shape, bool)[inside]) + [one.start for one in inside]:
        assert abs(image.pixels[tuple(index)] - world(image, tuple(index)) @ (1, 2, 3)) < 1e-3


def same_place(before: Image, after: Image) -> None:
    """The centre of mass lies where it was."""
    np.testing.assert_allclose(centre(after), centre(before), atol=1e-4)
