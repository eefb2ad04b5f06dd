"""What the groups of features share of one image: its two regions and its grey levels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medray.features.family import Reason
from medray.features.ibsi.params import IbsiParams
from medray.features.radiomics.classes.firstorder import distinct
from medray.features.radiomics.discretise import MAX_LEVELS, Discretised, fixed_count, fixed_width
from medray.features.radiomics.region import Region, region
from medray.types import Bool, Float64, Image


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
