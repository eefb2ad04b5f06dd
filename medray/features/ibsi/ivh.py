"""The intensity-volume histogram: which share of the region has at least which intensity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from medray.features.family import Extracted, Feature, Reason, explained, undefined
from medray.features.ibsi.definition import Group, defined
from medray.features.ibsi.params import IbsiParams
from medray.features.ibsi.statistics import GREY
from medray.features.ibsi.subject import Subject
from medray.types import Float64

FEATURES = defined(
    "ivh",
    "3.5",
    (
        ("BC2M", "volume_at_intensity_fraction_10", "share of pixels at or above 10 % of the intensity range", ""),
        ("BC2M", "volume_at_intensity_fraction_90", "share of pixels at or above 90 % of the intensity range", ""),
        ("GBPN", "intensity_at_volume_fraction_10", "lowest intensity that at most 10 % of the pixels reach", GREY),
        ("GBPN", "intensity_at_volume_fraction_90", "lowest intensity that at most 90 % of the pixels reach", GREY),
        ("DDTU", "volume_fraction_difference_between_intensity_fractions", "of the two volumes", ""),
        ("CNV2", "intensity_fraction_difference_between_volume_fractions", "of the two intensities", GREY),
    ),
)
BINS = 1000
"""Of arbitrary intensities."""


@dataclass(frozen=True)
class VolumeHistogram:
    """Pixels by steps of intensity.

    Attributes:
        steps: float64 (pixels,), ascending; whole numbers from 0.
        origin: intensity of step 0.
        width: of a step.
        span: intensity range of the histogram, in steps.
    """

    steps: Float64
    origin: float
    width: float
    span: float

    @classmethod
    def of(cls, values: Float64, params: IbsiParams) -> Self:
        """The histogram of float64 (n,) intensities, ascending."""
        low, high = (bound if limit is None else limit for limit, bound in zip(params.resegment, values[[0, -1]], strict=True))
        if params.ivh == "discrete":
            return cls(values - low, low, 1.0, high - low)
        if params.ivh == "continuous":
            width = params.ivh_bin_size
            return cls(np.floor((values - low) / width), low + width / 2, width, (high - low) / width - 1)
        range_ = values[-1] - values[0]
        scaled = BINS * (values - values[0]) / (range_ if range_ > 0 else 1)
        return cls(np.minimum(np.floor(scaled), BINS - 1), 1.0, 1.0, BINS - 1.0)

    def volume(self, percent: int) -> float:
        """Share of the pixels at the lowest step of at least a percentage of the intensity range, and above."""
        least = np.ceil(percent * self.span / 100)
        return float(1 - np.searchsorted(self.steps, least) / len(self.steps))

    def intensity(self, percent: int) -> float:
        """The lowest intensity of the range that at most a percentage of the pixels reach; NaN where all are reached by more."""
        reached = self.steps[len(self.steps) - 1 - len(self.steps) * percent // 100]
        step = np.floor(reached) + 1
        return float(self.origin + step * self.width) if step <= self.span else np.nan


def features(params: IbsiParams) -> tuple[Feature, ...]:
    """The same for all parameters."""
    return FEATURES


def extract(subject: Subject) -> Extracted:
    """The features; NaN for one intensity, and where the highest step holds more pixels than the percentage."""
    if not subject.intensity.mask.any():
        return undefined(len(FEATURES), Reason.EMPTY)
    value, count = subject.distinct
    if value[0] == value[-1]:
        return undefined(len(FEATURES), Reason.CONSTANT)
    histogram = VolumeHistogram.of(np.repeat(value, count.astype(np.int64)), subject.params)
    if histogram.span <= 0:
        return undefined(len(FEATURES), Reason.TOO_SMALL)
    volumes, intensities = ([measure(percent) for percent in (10, 90)] for measure in (histogram.volume, histogram.intensity))
    return explained([*volumes, *intensities, volumes[0] - volumes[1], intensities[0] - intensities[1]])


IVH = Group(features, extract)
