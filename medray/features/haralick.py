"""Haralick's texture features, of co-occurrence matrices of pixels at given distances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, get_args

import numpy as np
from pydantic import Field

from medray.features.cooccurrence import cooccurrences
from medray.features.family import Extracted, Feature, Reason, explained, joined, undefined
from medray.features.region import region_of
from medray.spec import Spec
from medray.types import Float64, Image

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

DEFINITIONS: Mapping[Name, tuple[str, str]] = {
    "contrast": ("Σ (i - j)² p(i, j)", "f2; IBSI ACUI"),
    "dissimilarity": ("Σ |i - j| p(i, j)", "IBSI 8S9J"),
    "homogeneity": ("inverse difference moment, Σ p(i, j) / (1 + (i - j)²)", "f5; IBSI WF0Z"),
    "energy": ("angular second moment, Σ p(i, j)²", "f1; IBSI 8ZQL"),
    "entropy": ("joint entropy H = -Σ p(i, j) log₂ p(i, j)", "f9; IBSI TU9B"),
    "correlation": ("Σ (i - μ)(j - μ) p(i, j) / σ²", "f3; IBSI NI2N"),
    "cluster_shade": ("Σ (i + j - 2μ)³ p(i, j)", "IBSI 7NFM"),
    "cluster_prominence": ("Σ (i + j - 2μ)⁴ p(i, j)", "IBSI AE86"),
    "information_correlation": ("(H - 2Hₓ) / Hₓ with the entropy Hₓ of p(i)", "f12; IBSI R8DG"),
    "information_correlation_2": ("√(1 - exp(-2 (2Hₓ - H)))", "f13; IBSI JN9H"),
    "variance": ("joint variance, Σ (i - μ)² p(i, j)", "f4; IBSI UR99"),
    "sum_average": ("Σ k p(i + j = k), grey levels from 1", "f6; IBSI ZGXS"),
    "sum_variance": ("variance of k = i + j", "f7; IBSI OEEB"),
    "sum_entropy": ("entropy in bits of k = i + j", "f8; IBSI P6QZ"),
    "difference_variance": ("variance of k = |i - j|", "f10; IBSI D3YU"),
    "difference_entropy": ("entropy in bits of k = |i - j|", "f11; IBSI NTRS"),
    "maximal_correlation": ("square root of the second largest eigenvalue of Q(i, j) = Σₖ p(i, k) p(j, k) / (p(i) p(k))", "f14"),
}


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

    def features(self, params: HaralickParams) -> tuple[Feature, ...]:
        """The features at each distance, then their ranges."""
        statistics = {"": "mean"} | ({"_range": "range"} if params.ranges else {})
        return tuple(
            Feature(
                f"haralick_{name}_d{distance}{suffix}",
                f"{DEFINITIONS[name][0]}; {statistic} over four directions, at a distance of {distance}",
                f"Haralick et al. 1973 (IEEE SMC 3), {DEFINITIONS[name][1]}",
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


def _over_directions(matrices: Float64, params: HaralickParams) -> Extracted:
    """Mean (and range) of the features of each direction."""
    if not len(matrices):
        return undefined(len(params.features) * (1 + params.ranges), Reason.TOO_SMALL)
    values = haralick(matrices)[[NAMES.index(name) for name in params.features]]
    return explained([*values.mean(axis=1), *(np.ptp(values, axis=1) if params.ranges else ())], Reason.CONSTANT)


def haralick(matrices: Float64) -> Float64:
    """The features NAMES of symmetric, normalised co-occurrence matrices.

    Args:
        matrices: float64 (n, levels, levels), n > 0; the sum of each is 1.

    Returns:
        float64 (features, n); correlations are NaN for one grey level.
    """
    count = matrices.shape[1]
    level = np.arange(1, count + 1, dtype=np.float64)
    single, total, difference = matrices.sum(axis=2), *_diagonals(matrices)
    mean = single @ level
    variance = _moment(single, level, mean, 2)
    tendency = [_moment(total, np.arange(2.0, 2 * count + 1), 2 * mean, power) for power in (2, 3, 4)]
    apart = np.arange(count, dtype=np.float64)
    contrast, dissimilarity = difference @ apart**2, difference @ apart
    joint, marginal = _entropy(matrices.reshape(len(matrices), -1)), _entropy(single)
    several = variance > 1e-9
    with np.errstate(invalid="ignore", divide="ignore"):
        features: Mapping[Name, Float64] = {
            "contrast": contrast,
            "dissimilarity": dissimilarity,
            "homogeneity": difference @ (1 / (1 + apart**2)),
            "energy": np.sum(matrices**2, axis=(1, 2)),
            "entropy": joint,
            "correlation": np.where(several, (tendency[0] - contrast) / (4 * variance), np.nan),
            "cluster_shade": tendency[1],
            "cluster_prominence": tendency[2],
            "information_correlation": np.where(several, (joint - 2 * marginal) / marginal, np.nan),
            "information_correlation_2": np.sqrt(np.maximum(1 - np.exp(-2 * (2 * marginal - joint)), 0)),
            "variance": variance,
            "sum_average": 2 * mean,
            "sum_variance": tendency[0],
            "sum_entropy": _entropy(total),
            "difference_variance": _moment(difference, apart, dissimilarity, 2),
            "difference_entropy": _entropy(difference),
            "maximal_correlation": np.where(several, _maximal_correlation(matrices, single), np.nan),
        }
    return np.array([features[name] for name in NAMES], dtype=np.float64)


def _diagonals(matrices: Float64) -> tuple[Float64, Float64]:
    """Shares of each i + j, float64 (n, 2 levels - 1), and of each |i - j|, float64 (n, levels)."""
    count = matrices.shape[1]
    level = np.arange(count)
    places = (level[:, None] + level, 2 * count - 1), (np.abs(level[:, None] - level), count)
    total, difference = (
        np.array([np.bincount(place.ravel(), matrix.ravel(), size) for matrix in matrices]) for place, size in places
    )
    return total, difference


def _moment(share: Float64, value: Float64, mean: Float64, power: int) -> Float64:
    """Central moments of the values, float64 (n,), with shares float64 (n, values) and means float64 (n,)."""
    return np.asarray(np.sum(share * (value - mean[:, None]) ** power, axis=1), dtype=np.float64)


def _entropy(share: Float64) -> Float64:
    """Entropy in bits of each row."""
    return np.asarray(-np.sum(share * np.log2(np.where(share > 0, share, 1)), axis=1), dtype=np.float64)


def _maximal_correlation(matrices: Float64, single: Float64) -> Float64:
    """Q of a symmetric matrix is similar to the square of S(i, j) = p(i, j) / √(p(i) p(j)), whose largest eigenvalue is 1."""
    root = np.sqrt(np.where(single > 0, single, 1))
    values = np.abs(np.linalg.eigvalsh(matrices / (root[:, :, None] * root[:, None, :])))
    return np.asarray(np.sort(values, axis=1)[:, -2], dtype=np.float64)


HARALICK = Haralick()
