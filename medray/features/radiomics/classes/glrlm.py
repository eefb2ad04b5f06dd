"""Features of the grey-level run-length matrix."""

from __future__ import annotations

import numpy as np

from medray.compiled import compiled
from medray.features.family import Extracted, Reason, undefined
from medray.features.radiomics.classes.definition import FeatureClass, defined, texture, too_many
from medray.features.radiomics.classes.sizes import STATISTICS, size_statistics
from medray.features.radiomics.matrices.glrlm import glrlm
from medray.features.radiomics.shared import Measured
from medray.types import Bool, Int64

MEAN = "; p(i, l) the share of runs of level i and length l, mean over the directions"

ROWS = (
    ("GrayLevelNonUniformity", "level_nonuniformity", "squared sums of runs of each level, by the number of runs", "R5YN"),
    ("GrayLevelNonUniformityNormalized", "level_nonuniformity_normalised", "squared shares of the runs of each level", "OVBL"),
    ("GrayLevelVariance", "level_variance", "variance of i under p", "8CE5"),
    ("HighGrayLevelRunEmphasis", "high", "Σ p i²", "G3QZ"),
    ("LongRunEmphasis", "large", "Σ p l²", "W4KF"),
    ("LongRunHighGrayLevelEmphasis", "large_high", "Σ p i² l²", "3KUM"),
    ("LongRunLowGrayLevelEmphasis", "large_low", "Σ p l² / i²", "IVPO"),
    ("LowGrayLevelRunEmphasis", "low", "Σ p / i²", "V3SW"),
    ("RunEntropy", "entropy", "entropy of p in bits", "HJ9O"),
    ("RunLengthNonUniformity", "size_nonuniformity", "squared sums of runs of each length, by the number of runs", "W92Y"),
    ("RunLengthNonUniformityNormalized", "size_nonuniformity_normalised", "squared shares of the runs of each length", "IC23"),
    ("RunPercentage", "percentage", "runs by pixels", "9ZK5"),
    ("RunVariance", "size_variance", "variance of l under p", "SXLW"),
    ("ShortRunEmphasis", "small", "Σ p / l²", "22OV"),
    ("ShortRunHighGrayLevelEmphasis", "small_high", "Σ p i² / l²", "GD3A"),
    ("ShortRunLowGrayLevelEmphasis", "small_low", "Σ p / (i² l²)", "HTZT"),
)

MOST_CELLS = 1 << 27
"""Of a matrix: levels times the longest side, 131,072 pixels at 1,024 levels."""

FEATURES = defined("3.7", ((name, definition + MEAN, code, "") for name, _, definition, code in ROWS))


def extract(measured: Measured) -> Extracted:
    """The features; NaN where no direction has a line with two pixels of the region, and where a matrix had too many cells."""
    levels = measured.discretised
    if levels is None:
        return too_many(FEATURES)
    if max(levels.levels.shape) * levels.count > MOST_CELLS:
        return undefined(len(FEATURES), Reason.TOO_LARGE)
    steps = measured.offsets((1,))
    steps = steps[[_has_line(measured.region.mask, step) for step in steps]]
    matrices = glrlm(levels.levels, levels.count, steps)
    lengths = np.arange(1, matrices.shape[2] + 1)
    found = [size_statistics(matrix, lengths) for matrix in matrices] or [np.full(len(STATISTICS), np.nan)]
    return texture(np.mean(found, axis=0)[[STATISTICS.index(name) for _, name, _, _ in ROWS]], levels)


@compiled
def _has_line(mask: Bool, step: Int64) -> bool:
    """Whether a line along the step meets two pixels; pyradiomics leaves out the other directions."""
    slices, rows, columns = mask.shape
    met = np.zeros(mask.shape, np.bool_)
    for s in range(slices):
        for r in range(rows):
            for c in range(columns):
                last_s, last_r, last_c = s - step[0], r - step[1], c - step[2]
                if 0 <= last_s < slices and 0 <= last_r < rows and 0 <= last_c < columns:
                    met[s, r, c] = met[last_s, last_r, last_c]
                if mask[s, r, c]:
                    if met[s, r, c]:
                        return True
                    met[s, r, c] = True
    return False


GLRLM = FeatureClass(FEATURES, extract)
