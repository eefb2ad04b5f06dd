"""Features that runs, zones, distances and dependences have in common: counts by grey level i and size j."""

from __future__ import annotations

import numpy as np

from medray.features.radiomics.classes.sizes import STATISTICS, size_statistics
from medray.types import Float64, Int64

ROWS = (
    ("small", "{small}_emphasis", "Σ p / j²"),
    ("large", "{large}_emphasis", "Σ p j²"),
    ("low", "low_grey_level_{count}_emphasis", "Σ p / i²"),
    ("high", "high_grey_level_{count}_emphasis", "Σ p i²"),
    ("small_low", "{short}_low_grey_level_emphasis", "Σ p / (i² j²)"),
    ("small_high", "{short}_high_grey_level_emphasis", "Σ p i² / j²"),
    ("large_low", "{long}_low_grey_level_emphasis", "Σ p j² / i²"),
    ("large_high", "{long}_high_grey_level_emphasis", "Σ p i² j²"),
    ("level_nonuniformity", "grey_level_non_uniformity", "squared sums of the counts of each level, by their sum"),
    ("level_nonuniformity_normalised", "normalised_grey_level_non_uniformity", "squared shares of each level"),
    ("size_nonuniformity", "{size}_non_uniformity", "squared sums of the counts of each j, by their sum"),
    ("size_nonuniformity_normalised", "normalised_{size}_non_uniformity", "squared shares of each j"),
    ("percentage", "{percentage}_percentage", "counts by pixels"),
    ("level_variance", "grey_level_variance", "variance of i under p"),
    ("size_variance", "{size}_variance", "variance of j under p"),
    ("entropy", "{entropy}_entropy", "entropy of p in bits"),
)
"""Statistic, pattern of the name, definition."""


def rows(codes: str, what: str, **words: str) -> list[tuple[str, str, str]]:
    """IBSI code, name and definition of each feature.

    Args:
        codes: in the order of ROWS, separated by spaces.
        what: that p(i, j) is the share of.
        words: to be put into the names.
    """
    return [
        (code, pattern.format(**words), f"{text}; p(i, j) the share of {what}")
        for code, (_, pattern, text) in zip(codes.split(), ROWS, strict=True)
    ]


def statistics(counts: Int64, sizes: Int64) -> Float64:
    """The features of one matrix, float64 (16,); NaN where it is empty.

    Args:
        counts: int64 (levels, n); rows from level 1.
        sizes: int64 (n,); j of each column.
    """
    return size_statistics(counts, sizes)[[STATISTICS.index(name) for name, _, _ in ROWS]]


def numbered(counts: Int64) -> Float64:
    """The features of a matrix whose columns are j = 1, 2, …"""
    return statistics(counts, np.arange(1, counts.shape[1] + 1))
