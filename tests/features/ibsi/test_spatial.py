"""Moran's I and Geary's C against sums over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from features.ibsi.volumes import SPACING, measured, reasons, volume
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

from medray.features.family import Reason


def both(values: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    found = measured(volume(values, mask), groups=["morphology"])
    return found["morphology_morans_i_index"], found["morphology_gearys_c_measure"]


def by_pairs(values: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    x = values[mask].astype(np.float64)
    distance = squareform(pdist(np.argwhere(mask) * SPACING))
    weight = np.where(distance > 0, 1 / np.where(distance > 0, distance, 1), 0)
    centred, total, square = x - x.mean(), weight.sum(), np.sum((x - x.mean()) ** 2)
    moran = len(x) * (centred @ weight @ centred) / (total * square)
    return moran, (len(x) - 1) * np.sum(weight * (x[:, None] - x) ** 2) / (2 * total * square)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(2, 7), st.integers(0, 99), st.sampled_from([1.0, 1e-6, 1e6]))
def test_all_pairs(slices: int, rows: int, columns: int, seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    values = (scale * (5 + rng.normal(size=(slices, rows, columns)))).astype(np.float32)
    mask = rng.random(values.shape) < 0.7
    mask[0, 0, :2] = True
    assert both(values, mask) == pytest.approx(by_pairs(values, mask), rel=1e-6, abs=1e-9)


def test_neighbours_alike_and_unlike() -> None:
    mask = np.ones((4, 8, 8), bool)
    ramp = np.tile(np.arange(8.0), (4, 8, 1))
    chess = np.indices(mask.shape).sum(0) % 2
    assert both(ramp, mask)[0] > 0.1 > -0.01 > both(chess, mask)[0]
    assert both(ramp, mask)[1] < 0.9 < 1 < both(chess, mask)[1]


def test_what_is_not_defined() -> None:
    moran = "morphology_morans_i_index"
    assert reasons(volume([[[1, 1]]]), groups=["morphology"])[moran] == Reason.CONSTANT
    assert reasons(volume([[[1]]]), groups=["morphology"])[moran] == Reason.TOO_SMALL
    assert reasons(volume([[[1, 2]]]), groups=["morphology"], resegment=(3, None))[moran] == Reason.EMPTY


def test_too_large_a_box_is_not_tried() -> None:
    values = np.zeros((330, 330, 44), np.float32)
    mask = np.zeros(values.shape, bool)
    mask[0, 0, 0] = mask[-1, -1, -1] = values[0, 0, 0] = True
    why = reasons(volume(values, mask), groups=["morphology"])
    assert why["morphology_morans_i_index"] == why["morphology_gearys_c_measure"] == Reason.TOO_LARGE
