"""Haralick's texture features, of co-occurrence matrices of pixels at given distances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, get_args

import numpy as np
from pydantic import Field

from medray.features.cooccurrence import cooccurrences
from medray.features.family import Extracted, Feature, Reason, explained, joined, undefined
from medray.features.radiomics.classes.glcm import FEATURES, MCC, maximal_correlation, mean_where_defined, statistics
from medray.features.region import region_of
from medray.spec import Spec
from medray.types import Float64, Image, Int64

Name = Literal[
    "contrast",
    "dissimilarity",
    "homogeneity",
    "energy",
    "entropy",
    "correlation",
    "cluster_shade",
    "cluster_prominence",
    "information_correlation",
    "information_correlation_2",
    "variance",
    "sum_average",
    "sum_variance",
    "sum_entropy",
    "difference_variance",
    "difference_entropy",
    "maximal_correlation",
]
NAMES: tuple[Name, ...] = get_args(Name)

DEFINITIONS: Mapping[Name, tuple[str, str, str]] = {
    "contrast": ("Contrast", "Σ (i - j)² p(i, j)", "f2; IBSI ACUI"),
    "dissimilarity": ("DifferenceAverage", "Σ |i - j| p(i, j)", "IBSI 8S9J"),
    "homogeneity": ("Idm", "inverse difference moment, Σ p(i, j) / (1 + (i - j)²)", "f5; IBSI WF0Z"),
    "energy": ("JointEnergy", "angular second moment, Σ p(i, j)²", "f1; IBSI 8ZQL"),
    "entropy": ("JointEntropy", "joint entropy H = -Σ p(i, j) log₂ p(i, j)", "f9; IBSI TU9B"),
    "correlation": ("Correlation", "Σ (i - μ)(j - μ) p(i, j) / σ²", "f3; IBSI NI2N"),
    "cluster_shade": ("ClusterShade", "Σ (i + j - 2μ)³ p(i, j)", "IBSI 7NFM"),
    "cluster_prominence": ("ClusterProminence", "Σ (i + j - 2μ)⁴ p(i, j)", "IBSI AE86"),
    "information_correlation": ("Imc1", "(H - 2Hₓ) / Hₓ with the entropy Hₓ of p(i)", "f12; IBSI R8DG"),
    "information_correlation_2": ("Imc2", "√(1 - exp(-2 (2Hₓ - H)))", "f13; IBSI JN9H"),
    "variance": ("SumSquares", "joint variance, Σ (i - μ)² p(i, j)", "f4; IBSI UR99"),
    "sum_average": ("SumAverage", "Σ k p(i + j = k), grey levels from 1", "f6; IBSI ZGXS"),
    "sum_variance": ("ClusterTendency", "variance of k = i + j", "f7; IBSI OEEB"),
    "sum_entropy": ("SumEntropy", "entropy in bits of k = i + j", "f8; IBSI P6QZ"),
    "difference_variance": ("DifferenceVariance", "variance of k = |i - j|", "f10; IBSI D3YU"),
    "difference_entropy": ("DifferenceEntropy", "entropy in bits of k = |i - j|", "f11; IBSI NTRS"),
    "maximal_correlation": ("MCC", "√ of the second largest eigenvalue of Q(i, j) = Σₖ p(i, k) p(j, k) / (p(i) p(k))", "f14"),
}
"""Feature → its name in pyradiomics, its formula, its number in Haralick's paper and its code in IBSI's manual."""


class HaralickParams(Spec):
    """What to measure."""

    family: Literal["haralick"] = "haralick"
    levels: int = Field(default=32, ge=2, le=256, description="grey levels over [0, 1]")
    distances: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(default=(1, 3, 6), description="pixels between a pair")
    features: tuple[Name, ...] = Field(default=NAMES, description="which features, in order")
    ranges: bool = Field(default=False, description="for each feature also its range over the directions")


class Haralick:
    """Features of grey-level co-occurrence (Haralick, Shanmugam and Dinstein 1973), with the definitions of IBSI.

    The matrices are symmetric; each feature is the mean over the directions 0, 45, 90 and 135 degrees. Pairs with a pixel
    outside the region do not count.
    """

    name = "haralick"
    params: type[Spec] = HaralickParams
    dimensions: ClassVar[tuple[int, ...]] = (2,)
    unit_range: ClassVar[bool] = True

    def features(self, params: HaralickParams) -> tuple[Feature, ...]:
        """The features at each distance, then their ranges."""
        statistics = {"": "mean"} | ({"_range": "range"} if params.ranges else {})
        return tuple(
            Feature(
                f"haralick_{name}_d{distance}{suffix}",
                f"{DEFINITIONS[name][1]}; {statistic} over four directions, at a distance of {distance}",
                f"Haralick et al. 1973 (IEEE SMC 3), {DEFINITIONS[name][2]}",
            )
            for distance in params.distances
            for suffix, statistic in statistics.items()
            for name in params.features
        )

    def extract(self, image: Image, params: HaralickParams) -> Extracted:
        """See the class; NaN where no pair is in the region, and of correlations where there is one grey level."""
        levels = np.clip(image.pixels * params.levels, 0, params.levels - 1).astype(np.uint16) + np.uint16(1)
        levels[~region_of(image)] = 0
        return joined([_over_directions(cooccurrences(levels, params.levels, distance), params) for distance in params.distances])


def _over_directions(counts: Int64, params: HaralickParams) -> Extracted:
    """Mean (and range) of the features over the directions in which they are defined."""
    if not len(counts):
        return undefined(len(params.features) * (1 + params.ranges), Reason.TOO_SMALL)
    values = haralick(counts, params.features)
    ranges = np.fmax.reduce(values) - np.fmin.reduce(values)
    return explained([*mean_where_defined(values), *(ranges if params.ranges else ())], Reason.CONSTANT)


def haralick(counts: Int64, names: Sequence[Name] = NAMES) -> Float64:
    """The features of symmetric co-occurrence matrices.

    Args:
        counts: int64 (n, levels, levels), none of them empty.
        names: which features.

    Returns:
        float64 (n, names); correlations are NaN for one grey level.
    """
    found = statistics(counts)
    if "maximal_correlation" in names:
        found[:, MCC] = maximal_correlation(counts)
    columns = [feature.name for feature in FEATURES]
    return np.asarray(found[:, [columns.index(DEFINITIONS[name][0]) for name in names]], dtype=np.float64)


HARALICK = Haralick()
