"""What the groups of features share of one image: its two regions and its grey levels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medray.features.family import Reason
from medray.features.ibsi.params import Dimension, IbsiParams
from medray.features.radiomics.classes.firstorder import distinct
from medray.features.radiomics.discretise import MAX_LEVELS, Discretised, fixed_count, fixed_width
from medray.features.radiomics.matrices.neighbours import Neighbours, neighbours
from medray.features.radiomics.matrices.offsets import offsets
from medray.features.radiomics.region import Region, region
from medray.types import Bool, Float64, Image, Int64, UInt16


@dataclass(frozen=True)
class Slab:
    """Slices whose texture is measured together.

    Attributes:
        levels: uint16 (slices, rows, columns), C order; 1 … count in the intensity mask, 0 outside.
        count: number of levels in the whole region.
        mask: bool, as the levels; the morphological mask.
        in_plane: no neighbours from slice to slice.
    """

    levels: UInt16
    count: int
    mask: Bool
    in_plane: bool

    @property
    def steps(self) -> Int64:
        """One of each pair of opposite steps to a neighbour, int64 (n, 3): 13 in a volume, 4 in a plane."""
        return offsets((2, 2, 2), in_plane=self.in_plane)

    @cached_property
    def neighbours(self) -> Neighbours:
        """The matrices of NGTDM and NGLDM, at distance 1, of equal levels."""
        return neighbours(self.levels, self.count, self.steps)


@dataclass(frozen=True)
class Subject:
    """An image with a region of interest, and what is derived from it when a group first asks.

    Attributes:
        image: at least one pixel of it counts.
        params: how to measure it.
    """

    image: Image
    params: IbsiParams

    @property
    def plane(self) -> bool:
        """Whether the image has two dimensions."""
        return self.image.pixels.ndim == 2

    @cached_property
    def region(self) -> Region:
        """The morphological mask of the manual."""
        return region(self.image)

    @cached_property
    def intensity(self) -> Region:
        """The intensity mask of the manual, in the box of the morphological one: without the pixels outside ``resegment``."""
        return Region(self.region.values, self._within, self.region.spacing_mm)

    @cached_property
    def _within(self) -> Bool:
        low, high = self.params.resegment
        values, within = self.region.values, self.region.mask
        within = within if low is None else within & (values >= low)
        return within if high is None else within & (values <= high)

    @cached_property
    def distinct(self) -> tuple[Float64, Float64]:
        """Intensities, ascending, and how often each occurs (or once for all); the intensity mask must not be empty."""
        return distinct(self.intensity)

    @cached_property
    def levels(self) -> Discretised | Reason:
        """Grey levels, or why there are none."""
        if not self.intensity.mask.any():
            return Reason.EMPTY
        if self.params.discretisation == "fixed_bin_size":
            start = self.params.resegment[0]
            start = float(self.distinct[0][0]) if start is None else start
            return fixed_width(self.intensity, self.params.bin_size, start) or Reason.TOO_MANY_LEVELS
        if self.params.discretisation == "fixed_bin_number":
            values = self.distinct[0]
            return Reason.CONSTANT if values[0] == values[-1] else fixed_count(self.intensity, self.params.bin_number)
        return self._given()

    def _given(self) -> Discretised | Reason:
        """The pixels themselves as levels."""
        values = self.distinct[0]
        if values[0] < 1 or (values != np.floor(values)).any():
            return Reason.UNDEFINED
        if values[-1] > MAX_LEVELS:
            return Reason.TOO_MANY_LEVELS
        return fixed_width(self.intensity, 1.0, 1.0) or Reason.TOO_MANY_LEVELS

    def slabs(self, dimension: Dimension) -> list[Slab]:
        """Each slice with a pixel that counts (2d), or all slices as one; none without grey levels."""
        return self._slabs[dimension]

    @cached_property
    def _slabs(self) -> dict[Dimension, list[Slab]]:
        if isinstance(self.levels, Reason):
            return {"2d": [], "2_5d": [], "3d": []}
        levels, count, mask = self.levels.levels, self.levels.count, self.region.mask
        slices = [slice(place, place + 1) for place in np.flatnonzero(levels.any(axis=(1, 2)))]
        return {
            "2d": [Slab(levels[part], count, mask[part], True) for part in slices],
            "2_5d": [Slab(levels, count, mask, True)],
            "3d": [Slab(levels, count, mask, False)],
        }
