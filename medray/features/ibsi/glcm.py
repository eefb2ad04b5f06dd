"""Features of the grey-level co-occurrence matrix."""

from __future__ import annotations

import numpy as np

from medray.features.ibsi.textures import directed
from medray.features.radiomics.classes.glcm import FEATURES, statistics
from medray.features.radiomics.matrices.glcm import glcm
from medray.types import Float64, Int64

ROWS = (
    ("GYBY", "joint_maximum", "largest p", "MaximumProbability"),
    ("60VM", "joint_average", "μ = Σ i p", "JointAverage"),
    ("UR99", "joint_variance", "Σ (i - μ)² p", "SumSquares"),
    ("TU9B", "joint_entropy", "entropy of p in bits", "JointEntropy"),
    ("TF7R", "difference_average", "mean of |i - j|", "DifferenceAverage"),
    ("D3YU", "difference_variance", "variance of |i - j|", "DifferenceVariance"),
    ("NTRS", "difference_entropy", "entropy of |i - j| in bits", "DifferenceEntropy"),
    ("ZGXS", "sum_average", "mean of i + j", "SumAverage"),
    ("OEEB", "sum_variance", "variance of i + j", "ClusterTendency"),
    ("P6QZ", "sum_entropy", "entropy of i + j in bits", "SumEntropy"),
    ("8ZQL", "angular_second_moment", "Σ p²", "JointEnergy"),
    ("ACUI", "contrast", "Σ (i - j)² p", "Contrast"),
    ("8S9J", "dissimilarity", "Σ |i - j| p", "DifferenceAverage"),
    ("IB1Z", "inverse_difference", "Σ p / (1 + |i - j|)", "Id"),
    ("NDRX", "normalised_inverse_difference", "Σ p / (1 + |i - j| / n), with n the highest level of the region", "Idn"),
    ("WF0Z", "inverse_difference_moment", "Σ p / (1 + (i - j)²)", "Idm"),
    ("1QCO", "normalised_inverse_difference_moment", "Σ p / (1 + (i - j)² / n²), with n the highest level of the region", "Idmn"),
    ("E8JP", "inverse_variance", "Σ p / (i - j)² over i ≠ j", "InverseVariance"),
    ("NI2N", "correlation", "Σ (i - μ) (j - μ) p by the variance of a level", "Correlation"),
    ("QWB0", "autocorrelation", "Σ i j p", "Autocorrelation"),
    ("DG8W", "cluster_tendency", "Σ (i + j - 2 μ)² p", "ClusterTendency"),
    ("7NFM", "cluster_shade", "Σ (i + j - 2 μ)³ p", "ClusterShade"),
    ("AE86", "cluster_prominence", "Σ (i + j - 2 μ)⁴ p", "ClusterProminence"),
    ("R8DG", "information_correlation_1", "(H - H1) / Hx: entropies of p, of independent levels under p, of a level", "Imc1"),
    ("JN9H", "information_correlation_2", "√(1 - exp(-2 (H2 - H))): entropies of independent levels and of p", "Imc2"),
)
"""IBSI code, name, definition with p(i, j) the share of pairs of levels in both orders, and the same feature of pyradiomics."""


def _statistics(counts: Int64) -> Float64:
    """The features of each matrix that is not empty."""
    names = [feature.name for feature in FEATURES]
    counts = counts + counts.transpose(0, 2, 1)
    found = statistics(counts[counts.any(axis=(1, 2))])
    return np.asarray(found[:, [names.index(name) for _, _, _, name in ROWS]], dtype=np.float64)


GLCM = directed("glcm", "3.6", ((code, name, text) for code, name, text, _ in ROWS), glcm, _statistics)
