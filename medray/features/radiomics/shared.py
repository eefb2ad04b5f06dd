"""What the feature classes share of one region: its grey levels and the matrices that two of them use."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from medray.features.radiomics.discretise import Discretised, fixed_count, fixed_width
from medray.features.radiomics.matrices.neighbours import Neighbours, neighbours
from medray.features.radiomics.matrices.offsets import offsets
from medray.features.radiomics.params import RadiomicsParams
from medray.features.radiomics.region import Region
from medray.types import Int64


@dataclass(frozen=True)
class Measured:
    """A region of interest, and what is derived from it when a feature class first asks.

    Attributes:
        region: the pixels.
        params: how to measure them.
        dimensions: of the image that they come from, 2 or 3.
    """

    region: Region
    params: RadiomicsParams
    dimensions: int

    @cached_property
    def discretised(self) -> Discretised | None:
        """Grey levels; None where they would be too many."""
        if self.params.bin_count is not None:
            return fixed_count(self.region, self.params.bin_count)
        return fixed_width(self.region, self.params.width)

    def offsets(self, distances: tuple[int, ...]) -> Int64:
        """Steps to the neighbours, int64 (n, 3)."""
        return offsets(self.region.mask.shape, distances, in_plane=self.params.dimensions == 2)

    @cached_property
    def neighbours(self) -> Neighbours | None:
        """The matrices of NGTDM and GLDM; None without grey levels."""
        if self.discretised is None:
            return None
        steps = self.offsets(self.params.distances)
        return neighbours(self.discretised.levels, self.discretised.count, steps, self.params.gldm_alpha)
