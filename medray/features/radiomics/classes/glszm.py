"""Features of the grey-level size zone matrix."""

from __future__ import annotations

from medray.features.family import Extracted
from medray.features.radiomics.classes.definition import FeatureClass, defined, texture, too_many
from medray.features.radiomics.classes.sizes import STATISTICS, size_statistics
from medray.features.radiomics.matrices.glszm import glszm
from medray.features.radiomics.shared import Measured

ZONES = "; p(i, s) the share of zones of level i and s pixels"

ROWS = (
    ("GrayLevelNonUniformity", "level_nonuniformity", "squared sums of zones of each level, by the number of zones", "JNSA"),
    ("GrayLevelNonUniformityNormalized", "level_nonuniformity_normalised", "squared shares of the zones of each level", "Y1RO"),
    ("GrayLevelVariance", "level_variance", "variance of i under p", "BYLV"),
    ("HighGrayLevelZoneEmphasis", "high", "Σ p i²", "5GN9"),
    ("LargeAreaEmphasis", "large", "Σ p s²", "48P8"),
    ("LargeAreaHighGrayLevelEmphasis", "large_high", "Σ p i² s²", "J17V"),
    ("LargeAreaLowGrayLevelEmphasis", "large_low", "Σ p s² / i²", "YH51"),
    ("LowGrayLevelZoneEmphasis", "low", "Σ p / i²", "XMSY"),
    ("SizeZoneNonUniformity", "size_nonuniformity", "squared sums of zones of each size, by the number of zones", "4JP3"),
    ("SizeZoneNonUniformityNormalized", "size_nonuniformity_normalised", "squared shares of the zones of each size", "VB3A"),
    ("SmallAreaEmphasis", "small", "Σ p / s²", "5QRC"),
    ("SmallAreaHighGrayLevelEmphasis", "small_high", "Σ p i² / s²", "HW1V"),
    ("SmallAreaLowGrayLevelEmphasis", "small_low", "Σ p / (i² s²)", "5RAI"),
    ("ZoneEntropy", "entropy", "entropy of p in bits", "GU8N"),
    ("ZonePercentage", "percentage", "zones by pixels", "P30P"),
    ("ZoneVariance", "size_variance", "variance of s under p", "3NSA"),
)

FEATURES = defined("3.8", ((name, definition + ZONES, code, "") for name, _, definition, code in ROWS))


def extract(measured: Measured) -> Extracted:
    """The features; always defined."""
    levels = measured.discretised
    if levels is None:
        return too_many(FEATURES)
    found = size_statistics(*glszm(levels.levels, levels.count, in_plane=measured.params.dimensions == 2))
    return texture(found[[STATISTICS.index(name) for _, name, _, _ in ROWS]], levels)


GLSZM = FeatureClass(FEATURES, extract)
