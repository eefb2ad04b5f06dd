"""The histogram of the grey levels."""

from __future__ import annotations

import numpy as np

from medray.features.family import Extracted, Feature, Reason, explained, joined, undefined
from medray.features.ibsi.definition import Group, defined
from medray.features.ibsi.params import IbsiParams
from medray.features.ibsi.statistics import ORDER, SPREAD, explained_moments, moments
from medray.features.ibsi.subject import Subject
from medray.types import Int64

FEATURES = defined(
    "histogram",
    "3.4",
    (
        ("X6K6", "mean_discretised_intensity", "mean level", ""),
        ("CH89", "discretised_intensity_variance", "mean squared distance to the mean", ""),
        ("88K1", "discretised_intensity_skewness", "third central moment by the cubed standard deviation", ""),
        ("C3I7", "excess_discretised_intensity_kurtosis", "fourth central moment by the squared variance, less 3", ""),
        ("WIFQ", "median_discretised_intensity", "median", ""),
        ("1PR8", "minimum_discretised_intensity", "lowest level", ""),
        ("GPMT", "10th_discretised_intensity_percentile", "10th percentile, interpolated", ""),
        ("OZ0C", "90th_discretised_intensity_percentile", "90th percentile, interpolated", ""),
        ("3NCY", "maximum_discretised_intensity", "highest level", ""),
        ("AMMC", "intensity_histogram_mode", "level of the most pixels; of several, the nearest to the mean", ""),
        ("WR0O", "discretised_intensity_interquartile_range", "75th less 25th percentile", ""),
        ("5Z3W", "discretised_intensity_range", "highest less lowest level", ""),
        *(
            (code, f"intensity_histogram_{name}", definition, "")
            for code, (name, definition) in zip(("D2ZX", "WRZB", "4RNL", "CWYJ", "SLWD"), SPREAD, strict=True)
        ),
        ("TLU2", "discretised_intensity_entropy", "entropy in bits", ""),
        ("BJ5W", "discretised_intensity_uniformity", "sum of the squared shares of the levels", ""),
        (
            "12CE",
            "maximum_histogram_gradient",
            "largest slope of the histogram, half the difference of neighbours",
            "pixels",
        ),
        ("8E6O", "maximum_histogram_gradient_intensity", "lowest level with this slope", ""),
        ("VQB3", "minimum_histogram_gradient", "smallest slope of the histogram", "pixels"),
        ("RHQZ", "minimum_histogram_gradient_intensity", "lowest level with this slope", ""),
    ),
)
MODE = 9


def features(params: IbsiParams) -> tuple[Feature, ...]:
    """The same for all parameters."""
    return FEATURES


def extract(subject: Subject) -> Extracted:
    """The features; a gradient needs two levels."""
    if isinstance(subject.levels, Reason):
        return undefined(len(FEATURES), subject.levels)
    histogram = subject.levels.histogram
    occurring = np.flatnonzero(histogram)
    found = moments((occurring + 1).astype(np.float64), histogram[occurring].astype(np.float64))
    share = histogram[occurring] / histogram.sum()
    information = explained([-np.sum(share * np.log2(share)) + 0.0, share @ share])
    return joined(
        [
            explained_moments(found, ORDER[:MODE]),
            explained([mode(histogram, found["Mean"])]),
            explained_moments(found, ORDER[MODE:-2]),
            information,
            explained(gradients(histogram), Reason.CONSTANT),
        ]
    )


def mode(histogram: Int64, mean: float) -> float:
    """The level, from 1, of the most pixels; of several the nearest to the mean, of two of these the lower."""
    most = np.flatnonzero(histogram == histogram.max()) + 1
    return float(most[np.argmin(np.abs(most - mean))])


def gradients(histogram: Int64) -> tuple[float, float, float, float]:
    """Largest slope and its level, smallest slope and its level; NaN for a histogram of one level."""
    if len(histogram) < 2:
        return (np.nan,) * 4
    slope = np.gradient(histogram.astype(np.float64))
    return float(slope.max()), float(slope.argmax() + 1), float(slope.min()), float(slope.argmin() + 1)


HISTOGRAM = Group(features, extract)
