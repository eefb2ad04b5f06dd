"""Grey levels against pyradiomics, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from radiomics.imageoperations import binImage

from medray.features.radiomics.discretise import MAX_LEVELS, fixed_count, fixed_width
from medray.features.radiomics.region import Region, region
from medray.types import Header, Image

SHAPE = (2, 4, 5)
values = st.floats(-1000, 1000, width=32) | st.integers(-50, 50).map(float) | st.integers(-50, 50).map(lambda n: n * 0.1)


@settings(deadline=None, max_examples=80)
@given(
    arrays(np.float64, SHAPE, elements=values),
    arrays(bool, SHAPE).filter(np.any),
    st.sampled_from([25, 10, 3.7, 0.1, 0.3]),
    st.integers(2, 64),
)
def test_levels_are_those_of_pyradiomics(pixels: np.ndarray, mask: np.ndarray, width: float, count: int) -> None:
    own = Region(pixels, mask, None)
    inside = np.nonzero(mask)
    found = fixed_width(own, width)
    expected, _ = binImage(pixels, inside, binWidth=width)
    if expected.max() > MAX_LEVELS:
        assert found is None
    else:
        assert found is not None
        np.testing.assert_array_equal(found.levels, expected)
        np.testing.assert_array_equal(found.histogram, np.bincount(expected[inside])[1:])
    levels = fixed_count(own, count)
    np.testing.assert_array_equal(levels.levels, binImage(pixels, inside, binCount=count)[0])
    assert levels.count == levels.levels.max()


def test_bins_from_a_given_edge() -> None:
    pixels = np.array([[[-1000.0, -999, -990, 0]]])
    found = fixed_width(Region(pixels, np.ones(pixels.shape, bool), None), 10, first=-1000)
    assert found is not None
    assert found.levels.tolist() == [[[1, 1, 2, 101]]]
    assert found.histogram.sum() == 4


@pytest.mark.parametrize("shape", [(6, 7), (5, 6, 7)])
def test_a_region_is_cropped_to_its_box(shape: tuple[int, ...]) -> None:
    pixels = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    mask = np.zeros(shape, bool)
    mask[..., 1:4, 2:3] = True
    image = Image(pixels, mask=mask, header=Header(spacing_mm=(2, 3)), slice_spacing_mm=4 if len(shape) == 3 else None)
    found = region(image)
    assert found.values.shape == found.mask.shape == (1 if len(shape) == 2 else 5, 3, 1)
    assert found.values.dtype == np.float64
    assert found.mask.all()
    assert found.spacing_mm == ((1 if len(shape) == 2 else 4), 2, 3)
    assert region(Image(pixels)).spacing_mm is None
