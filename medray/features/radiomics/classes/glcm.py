"""Features of the grey-level co-occurrence matrix."""

from __future__ import annotations

import numpy as np

from medray.compiled import compiled
from medray.features.family import Extracted
from medray.features.radiomics.classes.definition import FeatureClass, defined, texture, too_many
from medray.features.radiomics.discretise import Discretised
from medray.features.radiomics.matrices.glcm import glcm
from medray.features.radiomics.shared import Measured
from medray.types import Float64, Int64

WHERE = "; p(i, j) the share of pairs of neighbours of levels i and j, in both orders, mean over the directions"

FEATURES = defined(
    "3.6",
    (
        (name, definition + WHERE, code, "")
        for name, definition, code in (
            ("Autocorrelation", "Σ i j p", "QWB0"),
            ("ClusterProminence", "Σ (i + j - 2 μ)⁴ p, with μ the mean level", "AE86"),
            ("ClusterShade", "Σ (i + j - 2 μ)³ p, with μ the mean level", "7NFM"),
            ("ClusterTendency", "Σ (i + j - 2 μ)² p, with μ the mean level", "DG8W"),
            ("Contrast", "Σ (i - j)² p", "ACUI"),
            ("Correlation", "Σ (i - μ) (j - μ) p / σ², with the mean μ and variance σ² of a level", "NI2N"),
            ("DifferenceAverage", "mean of |i - j|", "TF7R"),
            ("DifferenceEntropy", "entropy of |i - j| in bits", "NTRS"),
            ("DifferenceVariance", "variance of |i - j|", "D3YU"),
            ("Id", "Σ p / (1 + |i - j|), the inverse difference", "IB1Z"),
            ("Idm", "Σ p / (1 + (i - j)²), the inverse difference moment", "WF0Z"),
            ("Idmn", "Σ p / (1 + (i - j)² / n²), with n the highest level", "1QCO"),
            ("Idn", "Σ p / (1 + |i - j| / n), with n the highest level", "NDRX"),
            ("Imc1", "(H - H1) / Hx: joint entropy, that of independent levels under p, entropy of a level", "R8DG"),
            ("Imc2", "√(1 - exp(-2 (H2 - H))): joint entropy of independent levels less the joint entropy", "JN9H"),
            ("InverseVariance", "Σ p / (i - j)² over i ≠ j", "E8JP"),
            ("JointAverage", "Σ i p", "60VM"),
            ("JointEnergy", "Σ p²", "8ZQL"),
            ("JointEntropy", "entropy of p in bits", "TU9B"),
            ("MCC", "maximal correlation coefficient: √ of the second largest eigenvalue of Σ p(i, k) p(j, k) / (p(i) p(k))", ""),
            ("MaximumProbability", "largest p", "GYBY"),
            ("SumAverage", "mean of i + j", "ZGXS"),
            ("SumEntropy", "entropy of i + j in bits", "P6QZ"),
            ("SumSquares", "variance of a level", "UR99"),
        )
    ),
)
MCC = 19
MOST_CELLS = 1 << 24
"""Of the matrices that are held at a time: 16 of 1,024 levels; there may be thousands of directions."""
TINY = 2.220446049250313e-16
"""What pyradiomics adds where 0 could divide or be taken the logarithm of."""


def extract(measured: Measured) -> Extracted:
    """The features.

    Directions without a pair do not count, and in the mean of a feature only those count in which it is defined: in one with
    a single level the correlation, the first information correlation and the maximal correlation coefficient are not
    (pyradiomics answers 1, 0 and 0, or 1 where the whole region has one level).
    """
    levels = measured.discretised
    if levels is None:
        return too_many(FEATURES)
    steps = measured.offsets(measured.params.distances)
    at_once = max(MOST_CELLS // levels.count**2, 1)
    parts = (_directions(levels, steps[first : first + at_once]) for first in range(0, len(steps), at_once))
    return texture(mean_where_defined(np.concatenate([np.empty((0, len(FEATURES))), *parts])), levels)


def _directions(levels: Discretised, steps: Int64) -> Float64:
    """The features in each direction that has a pair, float64 (n, 24)."""
    counts = glcm(levels.levels, levels.count, steps)
    counts = counts + counts.transpose(0, 2, 1)
    counts = counts[counts.any((1, 2))]
    found = np.asarray(statistics(counts), dtype=np.float64)
    found[:, MCC] = maximal_correlation(counts)
    return found


def mean_where_defined(found: Float64) -> Float64:
    """Mean of each column over its rows that are not NaN; NaN if there are none."""
    defined_in = np.count_nonzero(~np.isnan(found), axis=0)
    return np.where(defined_in > 0, np.nansum(found, axis=0) / np.maximum(defined_in, 1), np.nan)


def maximal_correlation(counts: Int64) -> Float64:
    """The maximal correlation coefficients of symmetric matrices of counts, none empty: (n, count, count) -> float64 (n,).

    NaN for a single level. With D the diagonal of the row sums, D⁻¹ P D⁻¹ Pᵀ has the squared eigenvalues of the symmetric
    D^-½ P D^-½. pyradiomics adds 2.2e-16 to the products p(i) p(k), which shows where levels are rare: that is followed to
    first order.
    """
    occurring = np.flatnonzero(counts.any((0, 1)))
    if len(occurring) < 2:
        return np.full(len(counts), np.nan)
    matrix = counts[:, occurring[:, None], occurring] / counts.sum((1, 2))[:, None, None]
    share = matrix.sum(2)
    several = np.count_nonzero(share, axis=1) > 1
    share[share == 0] = 1
    root = np.sqrt(share)
    matrix /= root[:, :, None] * root[:, None]
    values, vectors = np.linalg.eigh(matrix)
    second = np.argsort(np.abs(values), axis=1)[:, -2:][:, :1]
    value = np.take_along_axis(values, second, 1)[:, 0]
    rare = np.take_along_axis(vectors, second[:, None], 2)[:, :, 0] / share
    square = value**2 - TINY * value * np.einsum("di,dij,dj->d", rare, matrix, rare)
    return np.where(several, np.sqrt(np.maximum(square, 0)), np.nan)


@compiled
def statistics(counts: Int64) -> Float64:
    """Every feature but MCC of symmetric matrices of counts (n, count, count), none empty: float64 (n, 24)."""
    found = np.zeros((len(counts), 24))
    count = counts.shape[1]
    for d in range(len(counts)):
        total = float(counts[d].sum())
        one, apart, both = np.zeros(count), np.zeros(count), np.zeros(2 * count - 1)
        for i in range(count):
            for j in range(count):
                p = counts[d, i, j] / total
                one[i] += p
                apart[abs(i - j)] += p
                both[i + j] += p
        mean = 0.0
        for i in range(count):
            mean += (i + 1) * one[i]
        _of_pairs(found[d], counts[d], total, one, mean)
        _of_differences(found[d], apart)
        _of_sums(found[d], both, mean)
    return found


@compiled
def _of_pairs(found: Float64, counts: Int64, total: float, one: Float64, mean: float) -> None:
    """Features of both levels of a pair; ``one`` the shares of one level."""
    covariance, variance, joint, single, product_joint, product = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(len(one)):
        if one[i] == 0:
            continue
        single -= one[i] * np.log2(one[i])
        variance += (i + 1 - mean) ** 2 * one[i]
        for j in range(len(one)):
            if one[j] == 0:
                continue
            independent = np.log2(one[i] * one[j] + TINY)
            product -= one[i] * one[j] * independent
            if counts[i, j] > 0:
                p = counts[i, j] / total
                found[0] += (i + 1) * (j + 1) * p
                covariance += (i + 1 - mean) * (j + 1 - mean) * p
                joint -= p * np.log2(p)
                product_joint -= p * independent
                found[17] += p * p
                found[20] = max(found[20], p)
    found[5] = covariance / variance if variance > 0 else np.nan
    found[13] = (joint - product_joint) / single if single > 0 else np.nan
    found[14] = np.sqrt(1 - np.exp(-2 * max(product - joint, 0.0)))
    found[16], found[18], found[23] = mean, joint, variance


@compiled
def _of_differences(found: Float64, share: Float64) -> None:
    """Features of the difference of the levels of a pair; ``share`` of each."""
    count = len(share)
    for k in range(count):
        p = share[k]
        if p > 0:
            found[4] += k * k * p
            found[6] += k * p
            found[7] -= p * np.log2(p)
            found[9] += p / (1 + k)
            found[10] += p / (1 + k * k)
            found[11] += p / (1 + k * k / (count * count))
            found[12] += p / (1 + k / count)
            found[15] += p / (k * k) if k > 0 else 0.0
    for k in range(count):
        found[8] += (k - found[6]) ** 2 * share[k]


@compiled
def _of_sums(found: Float64, share: Float64, mean: float) -> None:
    """Features of the sum of the levels of a pair; ``share`` of each from 2."""
    for k in range(len(share)):
        p = share[k]
        if p > 0:
            away = k + 2 - 2 * mean
            found[1] += away**4 * p
            found[2] += away**3 * p
            found[3] += away**2 * p
            found[21] += (k + 2) * p
            found[22] -= p * np.log2(p)


GLCM = FeatureClass(FEATURES, extract)
