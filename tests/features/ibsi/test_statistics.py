"""Statistics of the intensities, their histogram and their volume histogram by NumPy, SciPy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from features.ibsi.volumes import measured, reasons, volume
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from medray.features.family import Reason
from medray.features.ibsi.histogram import gradients, mode

values_of = arrays(np.float32, st.integers(2, 60), elements=st.floats(-1000, 1000, width=32))


def group(name: str, values: object, **changes: object) -> dict[str, float]:
    found = measured(volume(np.reshape(values, (1, 1, -1))), groups=[name], **changes)
    return {column.removeprefix(f"{name}_"): value for column, value in found.items()}


def expected_moments(x: np.ndarray) -> list[float]:
    p10, p25, p75, p90 = np.percentile(x, [10, 25, 75, 90])
    middle = x[(x >= p10) & (x <= p90)]
    constant = x.min() == x.max()
    with np.errstate(all="ignore"):
        return [
            x.mean(),
            x.var(),
            np.nan if constant else stats.skew(x),
            np.nan if constant else stats.kurtosis(x),
            np.median(x),
            x.min(),
            p10,
            p90,
            x.max(),
            p75 - p25,
            np.ptp(x),
            np.abs(x - x.mean()).mean(),
            np.abs(middle - middle.mean()).mean() if len(middle) else np.nan,
            np.abs(x - np.median(x)).mean(),
            x.std() / x.mean(),
            (p75 - p25) / (p75 + p25),
        ]


@settings(deadline=None, max_examples=50)
@given(values_of.map(lambda values: np.rint(values) / 8 + 400))
def test_statistics(values: np.ndarray) -> None:
    x = values.astype(np.float64)
    expected = [*expected_moments(x), np.sum(x * x), np.sqrt(np.mean(x * x))]
    found = list(group("statistics", values).values())
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


@settings(deadline=None, max_examples=50)
@given(arrays(np.int64, st.integers(2, 40), elements=st.integers(1, 9)))
def test_histogram(levels: np.ndarray) -> None:
    x = levels.astype(np.float64)
    found = group("histogram", levels)
    share = np.bincount(levels)[1:] / len(levels)
    expected = expected_moments(x)
    names = list(found)
    assert names[9] == "intensity_histogram_mode"
    np.testing.assert_allclose([found[name] for name in names[:9] + names[10:17]], expected, rtol=1e-9, atol=1e-9)
    assert found["discretised_intensity_entropy"] == pytest.approx(stats.entropy(share, base=2), abs=1e-12)
    assert found["discretised_intensity_uniformity"] == pytest.approx(np.sum(share**2))


def test_a_constant_region() -> None:
    why = reasons(volume(np.full((2, 3, 3), 4)), groups=["statistics", "histogram", "ivh"])
    assert set(why.values()) == {Reason.CONSTANT}
    assert {name for name in why if name.startswith("statistics")} == {
        "statistics_intensity_skewness",
        "statistics_excess_intensity_kurtosis",
    }
    assert sum(name.startswith("histogram") for name in why) == 2
    assert sum(name.startswith("ivh") for name in why) == 6


@pytest.mark.parametrize(
    ("counts", "mean", "level"), [([3, 5, 1], 1.5, 2), ([4, 0, 4, 0], 2.9, 3), ([4, 0, 4, 0], 2.0, 1), ([2, 2, 2, 2], 2.2, 2)]
)
def test_mode(counts: list[int], mean: float, level: int) -> None:
    assert mode(np.array(counts), mean) == level


def test_gradients() -> None:
    assert gradients(np.array([50, 0, 1, 16, 0, 7])) == (8, 3, -50, 1)
    assert gradients(np.array([2, 2])) == (0, 1, 0, 1)
    assert np.isnan(gradients(np.array([9]))).all()


def test_bins_of_a_fixed_number_and_of_a_fixed_size() -> None:
    values = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]
    number = {"discretisation": "fixed_bin_number", "bin_number": 5}
    assert group("histogram", values, **number)["maximum_discretised_intensity"] == 5
    assert group("histogram", values, **number)["mean_discretised_intensity"] == 3
    size = {"discretisation": "fixed_bin_size", "bin_size": 4}
    assert group("histogram", values, **size)["maximum_discretised_intensity"] == 3
    assert group("histogram", values, **size, resegment=(-2, None))["maximum_discretised_intensity"] == 4
    assert group("histogram", values, **size, resegment=(-2, 5))["maximum_discretised_intensity"] == 2


def test_intensity_volume_histogram_by_hand() -> None:
    values = [10, 10, 12, 13, 13, 13, 15, 15, 15, 20]
    discrete = group("ivh", values, ivh="discrete")
    assert list(discrete.values()) == pytest.approx([0.8, 0.1, 16, 11, 0.7, 5])
    limited = group("ivh", values, ivh="discrete", resegment=(0, 100))
    assert list(limited.values()) == pytest.approx([1, 0, 16, 11, 1, 5])
    # bins of 4 from 10: centres 12 (6 pixels), 16 (3), 20 (1); the range is 12 to 18
    continuous = group("ivh", values, ivh="continuous", ivh_bin_size=4)
    assert continuous["volume_at_intensity_fraction_10"] == pytest.approx(0.4)
    assert continuous["volume_at_intensity_fraction_90"] == pytest.approx(0.1)
    assert continuous["intensity_at_volume_fraction_90"] == pytest.approx(16)
    assert np.isnan(continuous["intensity_at_volume_fraction_10"])
    arbitrary = group("ivh", values)
    assert list(arbitrary.values()) == pytest.approx([0.8, 0.1, 502, 2, 0.7, 500])


def test_levels_that_are_none() -> None:
    assert set(reasons(volume([[[0, 1]]]), groups=["histogram"]).values()) == {Reason.UNDEFINED}
    assert set(reasons(volume([[[1, 1.5]]]), groups=["histogram"]).values()) == {Reason.UNDEFINED}
    assert set(reasons(volume([[[1, 1025]]]), groups=["histogram"]).values()) == {Reason.TOO_MANY_LEVELS}
    assert not reasons(volume([[[1, 1024, 5]]]), groups=["histogram"])
    constant = volume(np.ones((2, 2, 2)))
    assert set(reasons(constant, groups=["histogram"], discretisation="fixed_bin_number").values()) == {Reason.CONSTANT}
    wide = volume([[[0, 2000]]])
    assert set(reasons(wide, groups=["glcm"], discretisation="fixed_bin_size", bin_size=1).values()) == {Reason.TOO_MANY_LEVELS}
