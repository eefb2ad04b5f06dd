"""Features of the grey-level dependence matrix."""

from __future__ import annotations

import numpy as np

from medray.features.family import Extracted
from medray.features.radiomics.classes.definition import FeatureClass, defined, texture, too_many
from medray.features.radiomics.classes.sizes import STATISTICS, size_statistics
from medray.features.radiomics.shared import Measured

SHARES = "; p(i, k) the share of pixels of level i with k - 1 dependent neighbours"

ROWS = (
    ("DependenceEntropy", "entropy", "entropy of p in bits", "FCBV"),
    ("DependenceNonUniformity", "size_nonuniformity", "squared sums of pixels of each k, by the number of pixels", "Z87G"),
    ("DependenceNonUniformityNormalized", "size_nonuniformity_normalised", "squared shares of the pixels of each k", "OKJI"),
    ("DependenceVariance", "size_variance", "variance of k under p", "DNX2"),
    ("GrayLevelNonUniformity", "level_nonuniformity", "squared sums of pixels of each level, by the number of pixels", "FP8K"),
    ("GrayLevelVariance", "level_variance", "variance of i under p", "1PFV"),
    ("HighGrayLevelEmphasis", "high", "Σ p i²", "OAE7"),
    ("LargeDependenceEmphasis", "large", "Σ p k²", "IMOQ"),
    ("LargeDependenceHighGrayLevelEmphasis", "large_high", "Σ p i² k²", "9QMG"),
    ("LargeDependenceLowGrayLevelEmphasis", "large_low", "Σ p k² / i²", "NBZI"),
    ("LowGrayLevelEmphasis", "low", "Σ p / i²", "TL9H"),
    ("SmallDependenceEmphasis", "small", "Σ p / k²", "SODN"),
    ("SmallDependenceHighGrayLevelEmphasis", "small_high", "Σ p i² / k²", "JA6D"),
    ("SmallDependenceLowGrayLevelEmphasis", "small_low", "Σ p / (i² k²)", "EQ3F"),
)

FEATURES = defined("3.11", ((name, definition + SHARES, code, "") for name, _, definition, code in ROWS))


def extract(measured: Measured) -> Extracted:
    """The features; always defined."""
    levels, matrices = measured.discretised, measured.neighbours
    if levels is None or matrices is None:
        return too_many(FEATURES)
    found = size_statistics(matrices.dependence, np.arange(1, matrices.dependence.shape[1] + 1))
    return texture(found[[STATISTICS.index(name) for _, name, _, _ in ROWS]], levels)


GLDM = FeatureClass(FEATURES, extract)
