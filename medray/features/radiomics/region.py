"""The region of interest of an image, cropped: what every radiomics feature is taken of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medray.types import Bool, Float32, Float64, Image


@dataclass(frozen=True)
class Region:
    """A region of interest in its bounding box; a plane is a volume of one slice.

    Attributes:
        values: float64 (slices, rows, columns), C order; grey levels, also those outside the region.
        mask: bool, as the values; True inside.
        spacing_mm: distance of pixel centres along each axis, or None where one is unknown; a plane is 1 thick.
    """

    values: Float64
    mask: Bool
    spacing_mm: tuple[float, float, float] | None

    def with_mask(self, mask: Bool) -> Region:
        """The region of another mask of the same size, cropped again."""
        return _cropped(self.values, mask, self.spacing_mm)


def region(image: Image, values: Float32 | Float64 | None = None) -> Region:
    """The region of interest of an image.

    Args:
        image: of at least one pixel that counts.
        values: the pixels of a filtered image, of the same shape, in place of the image's own.
    """
    pixels = image.pixels if values is None else values
    mask = np.ones(pixels.shape, np.bool_) if image.region is None else image.region
    spacing = image.spacing_mm
    if pixels.ndim == 2:
        pixels, mask, spacing = pixels[None], mask[None], None if spacing is None else (1.0, *spacing)
    return _cropped(pixels, mask, None if spacing is None else (spacing[0], spacing[1], spacing[2]))


def _cropped(values: Float32 | Float64, mask: Bool, spacing: tuple[float, float, float] | None) -> Region:
    occupied = [np.flatnonzero(mask.any(axis=other)) for other in ((1, 2), (0, 2), (0, 1))]
    box = tuple(slice(found[0], found[-1] + 1) for found in occupied)
    return Region(np.ascontiguousarray(values[box], dtype=np.float64), np.ascontiguousarray(mask[box]), spacing)
