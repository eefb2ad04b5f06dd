"""Local binary patterns: which neighbours on a circle are brighter than the pixel inside."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from medray.compiled import compiled
from medray.features.family import Extracted, Feature, Reason, explained, joined, undefined
from medray.features.region import eroded, region_of
from medray.spec import Spec
from medray.types import Bool, Float32, Image, Int64

SOURCE = "Ojala, Pietikäinen and Mäenpää 2002, IEEE TPAMI 24(7), LBP(riu2)"
NEIGHBOURS = 8
_TIE = 1e-6
"""A neighbour that is darker by less (by less than this share of the brightest pixel, if that is above 1) counts as equal."""


class LbpParams(Spec):
    """What to measure."""

    family: Literal["lbp"] = "lbp"
    radii: tuple[Annotated[int, Field(ge=1, le=8)], ...] = Field(default=(1, 2, 3), description="radii of the patterns in pixels")


class Lbp:
    """Histograms of the rotation-invariant uniform local binary patterns of 8 neighbours, for each radius.

    A pattern is uniform where its brighter neighbours form one arc. Neighbours on a circle are bilinearly interpolated; one that
    is as bright as the pixel counts as brighter. Neighbourhoods that touch a pixel outside the region do not count.
    """

    name = "lbp"
    params: type[Spec] = LbpParams
    dimensions: ClassVar[tuple[int, ...]] = (2,)
    unit_range: ClassVar[bool] = False

    def features(self, params: LbpParams) -> tuple[Feature, ...]:
        """For each radius the shares of 0 to 8 brighter neighbours in one arc, then of all other patterns."""
        patterns = {str(n): f"{n} neighbours at least as bright, in one arc" for n in range(NEIGHBOURS + 1)}
        patterns["other"] = "brighter neighbours in several arcs"
        return tuple(
            Feature(f"lbp_{name}_r{radius}", f"share of the pixels with {text}, at a radius of {radius} pixels", SOURCE)
            for radius in params.radii
            for name, text in patterns.items()
        )

    def extract(self, image: Image, params: LbpParams) -> Extracted:
        """See the class; NaN where no neighbourhood is inside the region."""
        region = region_of(image)
        return joined([_shares(image.pixels, eroded(region, radius, border=False), radius) for radius in params.radii])


def _shares(pixels: Float32, counted: Bool, radius: int) -> Extracted:
    """Shares of the patterns of the counted pixels."""
    if not counted.any():
        return undefined(NEIGHBOURS + 2, Reason.TOO_SMALL)
    codes = np.zeros(1 << NEIGHBOURS, dtype=np.int64)
    tie = np.float32(_TIE * max(1.0, float(np.abs(pixels).max())))
    _count_codes(np.ascontiguousarray(pixels), counted, *_circle(radius), tie, codes)
    patterns = np.bincount(_patterns(), codes, NEIGHBOURS + 2)
    return explained(patterns / codes.sum())


def _circle(radius: int) -> tuple[Int64, Float32]:
    """Offset of the upper left of four pixels, int64 (8, 2), and their weights, float32 (8, 4), for each neighbour."""
    angle = 2 * np.pi * np.arange(NEIGHBOURS) / NEIGHBOURS
    place = np.round(radius * np.stack([-np.sin(angle), np.cos(angle)], axis=1), 5)
    corner = np.floor(place)
    row, column = (place - corner).T
    weights = np.stack([(1 - row) * (1 - column), (1 - row) * column, row * (1 - column), row * column], axis=1)
    return corner.astype(np.int64), weights.astype(np.float32)


def _patterns() -> Int64:
    """The pattern of each code, int64 (256,)."""
    bits = np.arange(1 << NEIGHBOURS)[:, None] >> np.arange(NEIGHBOURS) & 1
    changes = np.count_nonzero(bits != np.roll(bits, 1, axis=1), axis=1)
    return np.where(changes <= 2, bits.sum(axis=1), NEIGHBOURS + 1)


@compiled
def _count_codes(pixels: Any, counted: Any, corner: Any, weights: Any, tie: Any, codes: Any) -> None:
    """Count the codes: bit n is set where neighbour n is at least as bright. Rows are done neighbour by neighbour, for SIMD."""
    rows, columns = pixels.shape
    radius = -corner[:, 0].min()
    width = columns - 2 * radius
    code = np.empty(max(width, 0), np.uint8)
    for row in range(radius, rows - radius):
        centre = pixels[row, radius : radius + width]
        code[:] = 0
        for neighbour in range(len(corner)):
            top, left = row + corner[neighbour, 0], radius + corner[neighbour, 1]
            first = pixels[top, left : left + width]
            bit = np.uint8(1 << neighbour)
            if weights[neighbour, 0] == 1:
                for column in range(width):
                    code[column] |= bit if first[column] >= centre[column] - tie else np.uint8(0)
            else:
                a, b, c, d = weights[neighbour]
                second = pixels[top, left + 1 : left + 1 + width]
                third = pixels[top + 1, left : left + width]
                fourth = pixels[top + 1, left + 1 : left + 1 + width]
                for column in range(width):
                    value = a * first[column] + b * second[column] + c * third[column] + d * fourth[column]
                    code[column] |= bit if value >= centre[column] - tie else np.uint8(0)
        for column in range(width):
            if counted[row, radius + column]:
                codes[code[column]] += 1


LBP = Lbp()
