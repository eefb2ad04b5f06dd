"""Connected components against SciPy's, on planes and volumes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from medray.imaging.components import at_border, components, filled

masks = array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=19).flatmap(lambda shape: arrays(bool, shape))


def labelled(mask: np.ndarray, diagonal: bool) -> tuple[np.ndarray, int]:
    return ndimage.label(mask, structure=np.ones((3,) * mask.ndim) if diagonal else None)


@settings(deadline=None, max_examples=60)
@given(masks, st.booleans())
def test_areas_boxes_and_masks_are_those_of_scipy(mask: np.ndarray, diagonal: bool) -> None:
    found = components(mask, diagonal=diagonal)
    labels, count = labelled(mask, diagonal)
    assert len(found) == count
    assert found.areas.tolist() == sorted(np.bincount(labels.ravel())[1:].tolist(), reverse=True)
    for number in range(min(count, 4)):
        own = found.mask([number])
        (label,) = np.unique(labels[own])
        np.testing.assert_array_equal(own, labels == label)
        assert found.box(number) == ndimage.find_objects(labels)[label - 1]
    np.testing.assert_array_equal(found.mask(np.ones(count, bool)), mask)
    assert not found.mask([]).any()


@pytest.mark.parametrize("density", [0.05, 0.4, 0.6, 0.95])
@pytest.mark.parametrize("shape", [(64, 200), (9, 40, 33)])
def test_dense_and_sparse_masks(density: float, shape: tuple[int, ...]) -> None:
    mask = np.random.default_rng(3).random(shape) < density
    for diagonal in (False, True):
        found, (labels, count) = components(mask, diagonal=diagonal), labelled(mask, diagonal)
        assert len(found) == count
        assert found.areas[0] == np.bincount(labels.ravel())[1:].max()


def test_equal_components_come_in_the_order_of_their_first_pixels() -> None:
    found = components(np.array([[False, True], [False, False], [True, False]]))
    assert [found.box(number)[0].start for number in range(2)] == [0, 2]


@settings(deadline=None, max_examples=40)
@given(masks)
def test_holes_are_filled_as_scipy_fills_them(mask: np.ndarray) -> None:
    planes = mask if mask.ndim == 3 else mask[None]
    expected = np.stack([ndimage.binary_fill_holes(plane) for plane in planes]).reshape(mask.shape)
    np.testing.assert_array_equal(filled(mask), expected)


def test_a_component_at_the_border_of_its_slice() -> None:
    mask = np.zeros((3, 7, 7), bool)
    mask[0, 3, 3] = mask[1, 2:5, 2] = mask[2, 0:3, 5] = True
    assert at_border(components(mask)).tolist() == [False, True]
