"""Statistics of the intensities, which are not discretised."""

from __future__ import annotations

import numpy as np

from medray.features.family import Extracted, Feature, Reason, explained, joined, undefined
from medray.features.ibsi.definition import Group, defined
from medray.features.ibsi.params import IbsiParams
from medray.features.ibsi.subject import Subject
from medray.features.radiomics.classes.firstorder import percentiles, statistics
from medray.types import Float64

GREY = "grey level"

SPREAD = (
    ("mean_absolute_deviation", "mean distance to the mean"),
    ("robust_mean_absolute_deviation", "mean distance to their mean of the values from the 10th to the 90th percentile"),
    ("median_absolute_deviation", "mean distance to the median"),
    ("coefficient_of_variation", "standard deviation by mean"),
    ("quartile_coefficient_of_dispersion", "75th less 25th percentile, by their sum"),
)

FEATURES = defined(
    "statistics",
    "3.3",
    (
        ("Q4LE", "mean_intensity", "mean", GREY),
        ("ECT3", "intensity_variance", "mean squared distance to the mean", "grey level²"),
        ("KE2A", "intensity_skewness", "third central moment by the cubed standard deviation", ""),
        ("IPH6", "excess_intensity_kurtosis", "fourth central moment by the squared variance, less 3", ""),
        ("Y12H", "median_intensity", "median", GREY),
        ("1GSF", "minimum_intensity", "smallest value", GREY),
        ("QG58", "10th_intensity_percentile", "10th percentile, interpolated", GREY),
        ("8DWT", "90th_intensity_percentile", "90th percentile, interpolated", GREY),
        ("84IY", "maximum_intensity", "largest value", GREY),
        ("SALO", "intensity_interquartile_range", "75th less 25th percentile", GREY),
        ("2OJQ", "intensity_range", "largest less smallest value", GREY),
        *(
            (code, f"intensity_based_{name}", definition, GREY if name.endswith("deviation") else "")
            for code, (name, definition) in zip(("4FUA", "1128", "N72L", "7TET", "9S40"), SPREAD, strict=True)
        ),
        ("N8CA", "intensity_based_energy", "sum of the squares", "grey level²"),
        ("5ZWQ", "root_mean_square_intensity", "root of the mean square", GREY),
    ),
)

ORDER = (
    "Mean",
    "Variance",
    "Skewness",
    "Kurtosis",
    "Median",
    "Minimum",
    "10Percentile",
    "90Percentile",
    "Maximum",
    "InterquartileRange",
    "Range",
    "MeanAbsoluteDeviation",
    "RobustMeanAbsoluteDeviation",
    "median_absolute_deviation",
    "coefficient_of_variation",
    "quartile_coefficient_of_dispersion",
    "Energy",
    "RootMeanSquared",
)
"""What :func:`moments` finds, in the order of the manual."""


def moments(value: Float64, count: Float64) -> dict[str, float]:
    """The features by the names in ORDER, NaN where one is not defined.

    Args:
        value: float64 (n,), ascending.
        count: float64 (n,); how often each occurs. Or (1,), for all of them.
    """
    found = statistics(value, count, 0)
    low, high = percentiles(value, count, (0.25, 0.75))
    away, mean = np.abs(value - found["Median"]), found["Mean"]
    return found | {
        "Kurtosis": found["Kurtosis"] - 3,
        "median_absolute_deviation": float(np.average(away, weights=np.broadcast_to(count, value.shape))),
        "coefficient_of_variation": float(np.sqrt(found["Variance"]) / mean) if mean != 0 else np.nan,
        "quartile_coefficient_of_dispersion": (high - low) / (high + low) if high + low != 0 else np.nan,
    }


def explained_moments(found: dict[str, float], names: tuple[str, ...]) -> Extracted:
    """Some of the moments, and why they are not defined: one value, too few, or division by zero."""
    reasons = {
        "Skewness": Reason.CONSTANT,
        "Kurtosis": Reason.CONSTANT,
        "RobustMeanAbsoluteDeviation": Reason.TOO_SMALL,
    }
    return joined([explained([found[name]], reasons.get(name, Reason.UNDEFINED)) for name in names])


def features(params: IbsiParams) -> tuple[Feature, ...]:
    """The same for all parameters."""
    return FEATURES


def extract(subject: Subject) -> Extracted:
    """The features; skewness and kurtosis of a constant region are not defined (the manual says 0)."""
    if not subject.intensity.mask.any():
        return undefined(len(FEATURES), Reason.EMPTY)
    return explained_moments(moments(*subject.distinct), ORDER)


STATISTICS = Group(features, extract)
