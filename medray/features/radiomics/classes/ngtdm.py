"""Features of the neighbourhood grey tone difference matrix."""

from __future__ import annotations

import numpy as np

from medray.features.family import Extracted
from medray.features.radiomics.classes.definition import FeatureClass, defined, texture, too_many
from medray.features.radiomics.shared import Measured
from medray.types import Float64, Int64

WHERE = "; p the shares of the levels i and j that occur, s the sum of their differences to the mean of their neighbours"

FEATURES = defined(
    "3.10",
    (
        ("Busyness", "Σ p(i) s(i) / Σ |i p(i) - j p(j)|" + WHERE, "NQ30", ""),
        ("Coarseness", "1 / Σ p(i) s(i)" + WHERE, "QCDE", ""),
        ("Complexity", "mean over the pixels of Σ |i - j| (p(i) s(i) + p(j) s(j)) / (p(i) + p(j))" + WHERE, "HDEZ", ""),
        ("Contrast", "Σ p(i) p(j) (i - j)² / (n (n - 1)) for n levels, times the mean of s over the pixels" + WHERE, "65HE", ""),
        ("Strength", "Σ (p(i) + p(j)) (i - j)² / Σ s(i)" + WHERE, "1X9X", ""),
    ),
)


def extract(measured: Measured) -> Extracted:
    """The features; of a single grey level only the complexity is defined (pyradiomics answers 0, and a coarseness of 10⁶).

    As in pyradiomics, a pixel without neighbours counts in p, which IBSI leaves out.
    """
    levels, matrices = measured.discretised, measured.neighbours
    if levels is None or matrices is None:
        return too_many(FEATURES)
    with np.errstate(divide="ignore", invalid="ignore"):
        return texture(tones(levels.histogram, matrices.difference), levels)


def tones(pixels: Int64, difference: Float64) -> Float64:
    """The features from the pixels of each level, int64 (count,), and their differences, float64 (count,)."""
    level = np.flatnonzero(pixels).astype(np.float64)
    occurring = pixels > 0
    total = float(pixels.sum())
    share, difference = pixels[occurring] / total, difference[occurring]
    weighted, sum_difference = share * difference, difference.sum()
    apart = level[:, None] - level
    square = apart * apart
    sum_share = share[:, None] + share
    placed = (level + 1) * share
    count = len(level)
    busyness = weighted.sum() / np.abs(placed[:, None] - placed).sum()
    complexity = np.sum(np.abs(apart) * (weighted[:, None] + weighted) / sum_share) / total
    contrast = np.float64(share @ square @ share) / (count * (count - 1)) * sum_difference / total
    return np.array([busyness, 1 / weighted.sum(), complexity, contrast, np.sum(sum_share * square) / sum_difference])


NGTDM = FeatureClass(FEATURES, extract)
