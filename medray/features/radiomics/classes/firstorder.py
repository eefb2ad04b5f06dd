"""First-order statistics of the grey levels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from medray.compiled import compiled
from medray.features.family import Extracted, Reason, explained
from medray.features.radiomics.classes.definition import FeatureClass, defined
from medray.features.radiomics.region import Region
from medray.features.radiomics.shared import Measured
from medray.types import Bool, Float64, Int64

GREY, SQUARE = "grey level", "grey level²"

FEATURES = defined(
    "3.3",
    (
        ("10Percentile", "10th percentile, interpolated", "QG58", GREY),
        ("90Percentile", "90th percentile, interpolated", "8DWT", GREY),
        ("Energy", "sum of the squares of the values plus array_shift", "N8CA", SQUARE),
    ),
) + defined("3.4", (("Entropy", "entropy in bits of the discretised levels", "TLU2", ""),)) + defined(
    "3.3",
    (
        ("InterquartileRange", "75th less 25th percentile", "SALO", GREY),
        ("Kurtosis", "fourth central moment by the squared variance; 3 for a normal distribution, IBSI's is 3 less", "IPH6", ""),
        ("Maximum", "largest value", "84IY", GREY),
        ("MeanAbsoluteDeviation", "mean distance to the mean", "4FUA", GREY),
        ("Mean", "mean", "Q4LE", GREY),
        ("Median", "median", "Y12H", GREY),
        ("Minimum", "smallest value", "1GSF", GREY),
        ("Range", "largest less smallest value", "2OJQ", GREY),
        ("RobustMeanAbsoluteDeviation", "mean absolute deviation between the 10th and 90th percentiles", "1128", GREY),
        ("RootMeanSquared", "root of the mean square of the values plus array_shift", "5ZWQ", GREY),
        ("Skewness", "third central moment by the cubed standard deviation", "KE2A", ""),
        ("TotalEnergy", "energy times the size of a voxel in mm³, or of a pixel of a plane in mm²", "", "grey level² mm³"),
    ),
) + defined("3.4", (("Uniformity", "sum of the squared shares of the discretised levels", "BJ5W", ""),)) + defined(
    "3.3", (("Variance", "mean squared distance to the mean", "ECT3", SQUARE),)
)  # fmt: skip

MOST_DISTINCT = 1 << 16


def extract(measured: Measured) -> Extracted:
    """The features; skewness and kurtosis of a constant region are not defined (pyradiomics answers 0)."""
    region, levels = measured.region, measured.discretised
    value, count = distinct(region)
    found = statistics(value, count, measured.params.array_shift)
    share = np.full(1, np.nan) if levels is None else levels.histogram[levels.histogram > 0] / levels.histogram.sum()
    found["Entropy"], found["Uniformity"] = float(-np.sum(share * np.log2(share)) + 0.0), float(share @ share)
    voxel = float("nan") if region.spacing_mm is None else math.prod(region.spacing_mm)
    found["TotalEnergy"] = found["Energy"] * voxel
    extracted = explained(found[feature.name] for feature in FEATURES)
    return Extracted(extracted.values, {index: _reason(FEATURES[index].name) for index in extracted.reasons})


def _reason(name: str) -> Reason:
    """The reason why a feature is NaN."""
    if name == "TotalEnergy":
        return Reason.NO_SPACING
    if name == "RobustMeanAbsoluteDeviation":
        return Reason.TOO_SMALL
    return Reason.TOO_MANY_LEVELS if name in ("Entropy", "Uniformity") else Reason.CONSTANT


def statistics(value: Float64, count: Float64, shift: float) -> dict[str, float]:
    """The features that need nothing but the values.

    Args:
        value: float64 (n,), ascending.
        count: float64 (n,); how often each occurs. Or (1,), for all of them.
        shift: added to the values for the energy.
    """
    p10, p25, median, p75, p90 = percentiles(value, count, (0.1, 0.25, 0.5, 0.75, 0.9))
    total, mean, deviation, second, third, fourth, energy, middle, robust = _moments(value, count, p10, p90, shift)
    variance = second / total if value[0] < value[-1] else 0.0
    spread = np.sqrt(variance) if variance > 0 else np.nan
    return {
        "10Percentile": p10,
        "90Percentile": p90,
        "Energy": energy,
        "InterquartileRange": p75 - p25,
        "Kurtosis": fourth / total / spread**4,
        "Maximum": value[-1],
        "MeanAbsoluteDeviation": deviation / total,
        "Mean": mean,
        "Median": median,
        "Minimum": value[0],
        "Range": value[-1] - value[0],
        "RobustMeanAbsoluteDeviation": robust / middle if middle > 0 else np.nan,
        "RootMeanSquared": np.sqrt(energy / total),
        "Skewness": third / total / spread**3,
        "Variance": variance,
    }


def distinct(region: Region) -> tuple[Float64, Float64]:
    """The values of a region in ascending order and how often each occurs: whole numbers through a histogram, others sorted."""
    low, high = float(region.values.min()), float(region.values.max())
    if high - low < MOST_DISTINCT and low == np.floor(low):
        histogram = _histogram(region.values, region.mask, low, int(high - low) + 1)
        if len(histogram):
            occurring = np.flatnonzero(histogram)
            return np.asarray(occurring + low, dtype=np.float64), histogram[occurring].astype(np.float64)
    return np.sort(region.values[region.mask]), np.ones(1)


def percentiles(value: Float64, count: Float64, shares: Sequence[float]) -> list[float]:
    """Linear interpolation between order statistics, rounded as :func:`numpy.percentile` does."""
    below = np.cumsum(count)
    last = (below[-1] if len(count) == len(value) else len(value)) - 1
    place = np.array(shares) * last
    first = np.floor(place)
    orders = np.array([first, np.minimum(first + 1, last)])
    if len(count) == len(value):
        orders = np.searchsorted(below, orders, side="right")
    low, high = value[orders.astype(np.int64)]
    part = place - first
    found = np.where(part >= 0.5, high - (high - low) * (1 - part), low + (high - low) * part)
    return [float(percentile) for percentile in found]


@compiled
def _histogram(values: Float64, mask: Bool, low: float, size: int) -> Int64:
    """How often ``low``, ``low + 1`` … occur, int64 (size,); empty if a value is not a whole number."""
    counts = np.zeros(size, np.int64)
    place = np.empty(values.shape[2], np.int32)
    for s in range(values.shape[0]):
        for r in range(values.shape[1]):
            row, inside, whole = values[s, r], mask[s, r], 0
            for c in range(len(row)):
                above = np.int32(row[c] - low)
                whole += above + low == row[c]
                place[c] = above
            if whole < len(row):
                return np.zeros(0, np.int64)
            for c in range(len(row)):
                if inside[c]:
                    counts[np.uint32(place[c])] += 1
    return counts


@compiled
def _moments(value: Float64, count: Float64, p10: float, p90: float, shift: float) -> Float64:
    """How many values, their mean, and sums over them: |v - mean|, its square, (v - mean)³, its fourth power, (v + shift)²;
    of those from p10 to p90 how many, and the sum of their |v - their mean|.
    """
    found = np.zeros(9)
    step = np.uint64(len(count) > 1)
    total, sum_, middle, middle_sum = 0.0, 0.0, 0.0, 0.0
    for n in range(len(value)):
        weight = count[n * step]
        within = weight if p10 <= value[n] <= p90 else 0.0
        total += weight
        sum_ += weight * value[n]
        middle += within
        middle_sum += within * value[n]
    mean, middle_mean = sum_ / total, middle_sum / max(middle, 1.0)
    for n in range(len(value)):
        weight = count[n * step]
        away = value[n] - mean
        square = away * away
        found[2] += weight * abs(away)
        found[3] += weight * square
        found[4] += weight * square * away
        found[5] += weight * square * square
        found[6] += weight * (value[n] + shift) ** 2
        if p10 <= value[n] <= p90:
            found[8] += weight * abs(value[n] - middle_mean)
    found[0], found[1], found[7] = total, mean, middle
    return found


FIRSTORDER = FeatureClass(FEATURES, extract)
