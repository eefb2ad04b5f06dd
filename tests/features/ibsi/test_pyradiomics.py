"""Where the definitions of the manual and of pyradiomics are the same, so are the values."""

from __future__ import annotations

import re

import numpy as np
import pytest
from features.ibsi.volumes import LEVELS, measured, random_levels, volume
from features.radiomics.oracle import pyradiomics

from medray.features.ibsi.family import IBSI
from medray.features.radiomics.family import RADIOMICS
from medray.features.radiomics.params import RadiomicsParams

PARAMS = RadiomicsParams(dimensions=3, bin_width=1)
OTHERS = ("_2d", "_2_5d", "_2d_averaged", "_2_5d_merged", "_3d_merged", "_slice_merged", "_direction_merged")
OWN_AXES = {"TDIC", "P9VJ", "7J51"}
"""Over n - 1 in the manual, over n in pyradiomics."""


def code(source: str) -> str:
    found = re.search(r"IBSI reference manual [\d.]+, (\w{4})", source)
    return found[1] if found else ""


def test_a_random_volume() -> None:
    places = np.indices((9, 10, 12))
    mask = sum(((p - s / 2) / (0.45 * s)) ** 2 for p, s in zip(places, (9, 10, 12), strict=True)) <= 1
    levels = random_levels(9, 10, 12, count=9)
    levels[4, 5, 6] = 1
    image = volume(levels, mask)
    ours, theirs = measured(image), pyradiomics(image, PARAMS)
    by_code = {code(feature.source): feature.name for feature in RADIOMICS.features(PARAMS)}
    compared = 0
    for feature in IBSI.features(LEVELS):
        name, found = feature.name.removeprefix("ibsi_"), code(feature.source)
        if found not in by_code or name.endswith(OTHERS):
            continue
        value = theirs[by_code[found]]
        if found in OWN_AXES:
            value *= np.sqrt(mask.sum() / (mask.sum() - 1))
        assert ours[name] == pytest.approx(value - 3 * (found == "IPH6"), rel=1e-9), name
        compared += 1
    assert compared == 102
