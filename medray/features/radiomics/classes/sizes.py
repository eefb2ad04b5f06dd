"""Statistics of the matrices that count something by grey level and size: runs, zones and dependences alike."""

from __future__ import annotations

import numpy as np

from medray.compiled import compiled
from medray.types import Float64, Int64

STATISTICS = (
    "small",
    "large",
    "low",
    "high",
    "small_low",
    "small_high",
    "large_low",
    "large_high",
    "level_nonuniformity",
    "level_nonuniformity_normalised",
    "size_nonuniformity",
    "size_nonuniformity_normalised",
    "percentage",
    "level_variance",
    "size_variance",
    "entropy",
)
"""With P(i, j) how often size j occurs at level i, N its sum and p = P / N:

small Σ p / j², large Σ p j², low Σ p / i², high Σ p i², and the products of two of these; nonuniformity Σ (sum of a row or
column of P)² / N, normalised by N² instead; percentage N / Σ P j; variances of i and j under p; entropy of p in bits.
"""


def size_statistics(counts: Int64, sizes: Int64) -> Float64:
    """STATISTICS of a matrix, float64 (16,); NaN where it is empty.

    Args:
        counts: int64 (levels, n); rows from level 1.
        sizes: int64 (n,); the size of each column.
    """
    return np.asarray(_statistics(np.ascontiguousarray(counts), sizes), dtype=np.float64)


@compiled
def _statistics(counts: Int64, sizes: Int64) -> Float64:
    found = np.zeros(16)
    total = float(counts.sum())
    if total == 0:
        found[:] = np.nan
        return found
    by_size, level_mean, size_mean, pixels = np.zeros(len(sizes)), 0.0, 0.0, 0.0
    for row in range(len(counts)):
        in_row = 0.0
        low = 1.0 / (row + 1.0) ** 2
        high = (row + 1.0) ** 2
        for column in range(len(sizes)):
            count = float(counts[row, column])
            if count > 0:
                size = float(sizes[column])
                small, large, share = 1 / (size * size), size * size, count / total
                in_row += count
                by_size[column] += count
                pixels += count * size
                found[0] += share * small
                found[1] += share * large
                found[4] += share * small * low
                found[5] += share * small * high
                found[6] += share * large * low
                found[7] += share * large * high
                found[15] -= share * np.log2(share)
        found[2] += in_row / total * low
        found[3] += in_row / total * high
        found[8] += in_row * in_row / total
        level_mean += in_row / total * (row + 1)
    size_mean = pixels / total
    for row in range(len(counts)):
        found[13] += counts[row].sum() / total * (row + 1 - level_mean) ** 2
    for column in range(len(sizes)):
        found[10] += by_size[column] ** 2 / total
        found[14] += by_size[column] / total * (sizes[column] - size_mean) ** 2
    found[9], found[11], found[12] = found[8] / total, found[10] / total, total / pixels
    return found
