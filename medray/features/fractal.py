"""Fractal descriptors: how roughness and gaps change with scale."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from medray.compiled import compiled
from medray.features.family import Extracted, Feature, Reason, explained, joined, undefined
from medray.features.region import boxed, eroded
from medray.spec import Spec
from medray.types import Bool, Float32, Image

BOX = Feature(
    "fractal_box_dimension",
    "box counting of the outline of the pixels brighter than the mean: 2 - slope of log share of boxes hit on log side",
    "Mandelbrot 1982; Liebovitch and Toth 1989, Phys. Lett. A 141(8)",
)
DIFFERENTIAL = Feature(
    "fractal_differential_dimension",
    "box counting of the grey-level surface: 2 - slope of log mean number of boxes on log side",
    "Sarkar and Chaudhuri 1994, IEEE SMC 24(1)",
)


class FractalParams(Spec):
    """What to measure."""

    family: Literal["fractal"] = "fractal"
    lacunarity: tuple[Annotated[int, Field(ge=2, le=256)], ...] = Field(
        default=(2, 4, 8, 16), description="sides in pixels of the boxes whose lacunarity is taken"
    )


class Fractal:
    """Two dimensions by counting boxes, and lacunarity (Allain and Cloitre 1991) of the grey levels.

    Boxes have sides of 2, 4, 8 … pixels, up to a quarter of the shorter side of the bounding box of the region; only boxes inside
    the region count. A surface is as high as an image of grey levels 0 to 1 is wide.
    """

    name = "fractal"
    params: type[Spec] = FractalParams
    dimensions: ClassVar[tuple[int, ...]] = (2,)
    unit_range: ClassVar[bool] = True

    def features(self, params: FractalParams) -> tuple[Feature, ...]:
        """The dimensions, then the lacunarity of each side."""
        gaps = (
            Feature(
                f"fractal_lacunarity_{side}",
                f"mean square over squared mean of the sums of grey levels in gliding boxes of side {side}; 1 for no gaps",
                "Allain and Cloitre 1991, Phys. Rev. A 44(6); Dong 2000, Int. J. Remote Sensing 21",
            )
            for side in params.lacunarity
        )
        return (BOX, DIFFERENTIAL, *gaps)

    def extract(self, image: Image, params: FractalParams) -> Extracted:
        """See the class; NaN where fewer than two sizes of boxes fit into the region, and where nothing is above the mean."""
        pixels, region = boxed(image)
        bright = pixels > pixels[region].mean(dtype=np.float64)
        outline = bright & region & ~eroded(bright | ~region, 1, border=True)
        if not outline.any():
            box = undefined(1, Reason.CONSTANT)
        else:
            box = explained([_dimension(outline.astype(np.float32), region, None)], Reason.TOO_SMALL)
        return joined(
            [
                box,
                explained([_dimension(pixels, region, min(pixels.shape))], Reason.TOO_SMALL),
                _lacunarities(pixels, region, params.lacunarity),
            ]
        )


def _dimension(pixels: Float32, region: Bool, height: int | None) -> float:
    """2 - slope of the log of the mean count of boxes on the log of their side; NaN with fewer than two sizes.

    The count over one square of the plane is the boxes that the surface passes through when 0 to 1 is ``height`` pixels high;
    without a height it is 1 where any pixel is above 0, else 0.
    """
    low, high = np.where(region, pixels, np.float32(np.inf)), np.where(region, pixels, np.float32(-np.inf))
    inside, side = region, 1
    points = []
    while 8 * side <= min(pixels.shape):
        side *= 2
        low, high, inside = _halved(low, np.minimum), _halved(high, np.maximum), _halved(inside, np.logical_and)
        if not inside.any():
            break
        top, bottom = high[inside].astype(np.float64), low[inside].astype(np.float64)
        counts = top > 0 if height is None else np.floor(top * height / side) - np.floor(bottom * height / side) + 1
        if counts.any():
            points.append((np.log(side), np.log(counts.mean())))
    return _dimension_of(points)


def _dimension_of(points: list[tuple[float, float]]) -> float:
    """2 - least squares slope of the second numbers on the first; NaN with fewer than two points."""
    if len(points) < 2:
        return float("nan")
    x, y = np.array(points).T
    x = x - x.mean()
    return float(2 - np.sum(x * y) / np.sum(x * x))


def _halved(array: Any, combine: np.ufunc) -> Any:
    """Blocks of 2 x 2 as one; a last row or column that has no other is dropped."""
    rows, columns = (side // 2 * 2 for side in array.shape)
    pairs = combine(array[:rows:2, :columns], array[1:rows:2, :columns])
    return combine(pairs[:, ::2], pairs[:, 1::2])


def _lacunarities(pixels: Float32, region: Bool, sides: tuple[int, ...]) -> Extracted:
    """Of the boxes inside the region; NaN where there is none, or no brightness in them."""
    parts = (np.where(region, pixels, np.float32(0)), region.astype(np.float32))
    mass, count = (np.asarray(cv2.integral(part, sdepth=cv2.CV_64F), dtype=np.float64) for part in parts)
    return joined([_lacunarity(*_box_sums(mass, count, side)) for side in sides])


def _lacunarity(boxes: int, total: float, square: float) -> Extracted:
    if not boxes:
        return undefined(1, Reason.TOO_SMALL)
    return explained([square * boxes / total**2 if total > 0 else np.nan])


@compiled
def _box_sums(mass: Any, count: Any, side: int) -> tuple[int, float, float]:
    """Boxes inside the region, sum and sum of squares of their masses, from integral images float64 (rows + 1, columns + 1)."""
    boxes, total, square = 0, 0.0, 0.0
    for row in range(mass.shape[0] - side):
        for column in range(mass.shape[1] - side):
            low, right = row + side, column + side
            inside = count[low, right] - count[row, right] - count[low, column] + count[row, column]
            if inside == side * side:
                box = mass[low, right] - mass[row, right] - mass[low, column] + mass[row, column]
                boxes += 1
                total += box
                square += box * box
    return boxes, total, square


FRACTAL = Fractal()
