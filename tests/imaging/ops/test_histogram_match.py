"""Histogram matching."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from filter_checks import LARGEST, ct, makes_constants, masked, needs_a_valid_pixel
from pydantic import ValidationError
from skimage.exposure import match_histograms

from medray.imaging.ops.histogram_match import reference
from medray.imaging.table import HistogramMatch, histogram_match
from medray.types import Image

RNG = np.random.default_rng(0)
GAMMA = Image(RNG.gamma(3, 2, (60, 70)).astype(np.float32))
NORMAL = Image(RNG.normal(1000, 50, (64, 64)).astype(np.float32))


def test_it_is_that_of_scikit_image() -> None:
    spec = HistogramMatch(reference=reference([NORMAL], 1001))
    expected = match_histograms(GAMMA.pixels, NORMAL.pixels)
    np.testing.assert_allclose(histogram_match(GAMMA, spec).pixels, expected, rtol=0.02)


def test_the_result_has_the_quantiles_of_the_reference() -> None:
    spec = HistogramMatch(reference=reference([NORMAL], 11))
    np.testing.assert_allclose(reference([histogram_match(GAMMA, spec)], 11), spec.reference, rtol=1e-4)


def test_a_match_to_itself_changes_nothing() -> None:
    np.testing.assert_allclose(
        histogram_match(GAMMA, HistogramMatch(reference=reference([GAMMA]))).pixels, GAMMA.pixels, rtol=1e-5
    )


@pytest.mark.parametrize("count", [2, 7, 4097])
def test_it_is_linear_between_quantiles(count: int) -> None:
    own = np.quantile(GAMMA.pixels.astype(np.float64), np.linspace(0, 1, count))
    becomes = np.sort(RNG.normal(0, 10, count))
    result = histogram_match(GAMMA, HistogramMatch(reference=tuple(becomes.tolist()))).pixels
    np.testing.assert_allclose(result, np.interp(GAMMA.pixels, own, becomes), atol=1e-4)


def test_a_plateau_becomes_the_mean_of_its_quantiles() -> None:
    image = Image(np.array([[0, 0, 0, 0, 8]], np.float32))
    np.testing.assert_array_equal(histogram_match(image, HistogramMatch(reference=(1, 2, 3, 6, 10))).pixels, [[3, 3, 3, 3, 10]])


def test_a_reference_is_the_mean_of_quantiles_of_valid_pixels() -> None:
    first, second = masked([[0, 1, 2, 99]], [[1, 1, 1, 0]]), Image(np.array([[[2, 4], [6, 6]]], np.float32))
    assert reference([first, second], 3) == (1, 3, 4)


def test_invalid_pixels_are_mapped_into_the_reference_and_count_for_nothing() -> None:
    image = masked([[-LARGEST, 0, 5, 10, LARGEST]], [[0, 1, 1, 1, 0]])
    result = histogram_match(image, HistogramMatch(reference=(-1e30, 0, 1e30))).pixels
    np.testing.assert_allclose(result, [[-1e30, -1e30, 0, 1e30, 1e30]])
    assert histogram_match(ct(), HistogramMatch(reference=(0, 1))).header.voi_window is None


def test_bad_images() -> None:
    makes_constants(HistogramMatch(reference=(1, 2, 6)), 3)
    needs_a_valid_pixel(HistogramMatch(reference=(1, 2, 6)))
    for images, count in [([], 5), ([GAMMA], 1)]:
        with pytest.raises(ValueError, match="a reference"):
            reference(images, count)


@pytest.mark.parametrize("values", [(1,), (1, 2, 1.5), (0, float("nan")), (0, 1e31)])
def test_wrong_specs_are_refused(values: Any) -> None:
    with pytest.raises(ValidationError):
        HistogramMatch(reference=values)
