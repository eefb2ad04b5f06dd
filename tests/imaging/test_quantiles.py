"""Quantiles equal NumPy's to the last bit, whatever the values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medray.imaging.quantiles import BINS, BLOCK, quantiles

FRACTIONS = (0, 0.005, 0.1, 0.25, 1 / 3, 0.5, 0.75, 0.995, 1)
RNG = np.random.default_rng(3)
SIZE = 4 * BINS + 77
NOISE = RNG.normal(0, 1, SIZE)
SAMPLES = {
    "whole numbers": np.rint(NOISE * 300),
    "whole numbers of a wide range": np.rint(NOISE * 30000),
    "large whole numbers, some of which no float32 holds": np.rint(NOISE * 300) + 3e7,
    "whole numbers but one": np.append(np.rint(NOISE * 300), 0.5),
    "a tenth above whole numbers": np.rint(NOISE * 300) + np.float32(0.1),
    "a plateau": np.clip(NOISE, -0.5, 1),
    "an outlier": np.append(NOISE, 1e29),
    "a wild outlier": np.append(NOISE, [3e38, -3e38]),
    "one value": np.full(SIZE, 0.3),
    "two values": NOISE > 0,
    "tiny values": NOISE * 1e-40,
    "few": NOISE[:5],
    "a block": np.rint(NOISE[:BLOCK] * 50),
    "one": NOISE[:1],
}


def exactly(values: np.ndarray) -> None:
    expected = np.quantile(values.astype(np.float64), FRACTIONS)
    np.testing.assert_array_equal(quantiles(values, FRACTIONS), expected)


@pytest.mark.parametrize("values", SAMPLES.values(), ids=SAMPLES)
def test_quantiles_are_those_of_numpy(values: np.ndarray) -> None:
    exactly(values.astype(np.float32))


@settings(deadline=None, max_examples=40)
@given(arrays(np.float32, st.integers(1, 400), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_quantiles_of_any_finite_values_are_those_of_numpy(values: np.ndarray) -> None:
    exactly(values)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 100, 1e5, 1e20]), st.sampled_from([0, 1, 3]))
def test_quantiles_of_many_values_are_those_of_numpy(seed: int, scale: float, digits: int) -> None:
    values = np.random.default_rng(seed).standard_cauchy(2 * BINS) * scale
    exactly(np.clip(values.round(digits), -1e37, 1e37).astype(np.float32))
