"""The texture matrices against plain loops, and against those of pyradiomics."""

from __future__ import annotations

import numpy as np
import pytest
from features.radiomics import twins
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from radiomics import cMatrices

from medray.features.radiomics.matrices.glcm import glcm
from medray.features.radiomics.matrices.glrlm import glrlm
from medray.features.radiomics.matrices.glszm import glszm, zones
from medray.features.radiomics.matrices.neighbours import neighbours
from medray.features.radiomics.matrices.offsets import offsets

COUNT = 4
volumes = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 7)).flatmap(
    lambda shape: arrays(np.uint16, shape, elements=st.integers(0, COUNT))
)


@settings(deadline=None, max_examples=60)
@given(volumes, st.sampled_from([(1,), (2,), (1, 3)]), st.booleans(), st.integers(0, 2))
def test_matrices_are_those_of_plain_loops(levels: np.ndarray, distances: tuple[int, ...], in_plane: bool, alpha: int) -> None:
    steps = offsets(levels.shape, distances, in_plane=in_plane)
    np.testing.assert_array_equal(glcm(levels, COUNT, steps), twins.glcm(levels, COUNT, steps))
    found = neighbours(levels, COUNT, steps, alpha)
    dependence, surrounded, difference = twins.neighbours(levels, COUNT, steps, alpha)
    np.testing.assert_array_equal(found.dependence, dependence)
    np.testing.assert_array_equal(found.surrounded, surrounded)
    np.testing.assert_allclose(found.difference, difference, rtol=1e-12, atol=1e-12)
    steps = offsets(levels.shape, in_plane=in_plane)
    np.testing.assert_array_equal(glrlm(levels, COUNT, steps), twins.glrlm(levels, COUNT, steps))


@settings(deadline=None, max_examples=60)
@given(volumes, st.booleans())
def test_zones_are_those_of_scipy(levels: np.ndarray, in_plane: bool) -> None:
    labels, level, size = zones(levels, in_plane=in_plane)
    expected, other_labels = twins.zones(levels, in_plane)
    assert sorted(zip(level.tolist(), size.tolist(), strict=True)) == expected
    pairs = {(int(a), int(b)) for a, b in zip(labels.ravel(), other_labels.ravel(), strict=True)}
    assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)
    counts, sizes = glszm(levels, COUNT, in_plane=in_plane)
    assert [(i + 1, s) for i in range(COUNT) for s, n in zip(sizes, counts[i], strict=True) for _ in range(n)] == expected


@pytest.mark.parametrize("shape", [(1, 40, 50), (9, 11, 12), (2, 30, 30)])
@pytest.mark.parametrize("count", [2, 7])
def test_matrices_are_those_of_pyradiomics(shape: tuple[int, int, int], count: int) -> None:
    levels = np.random.default_rng(count).integers(0, count + 1, shape).astype(np.uint16)
    image, mask, apart = levels.astype(np.int32), levels > 0, np.array([1])
    steps = offsets(shape)
    pairs, angles = cMatrices.calculate_glcm(image, mask, apart, count, False, 0)
    np.testing.assert_array_equal(steps, angles)
    np.testing.assert_array_equal(glcm(levels, count, steps), np.moveaxis(pairs[0], -1, 0))
    runs = np.moveaxis(cMatrices.calculate_glrlm(image, mask, count, max(shape), False, 0)[0][0], -1, 0)
    own = glrlm(levels, count, steps)
    np.testing.assert_array_equal(own, runs[:, :, : own.shape[2]])
    zone_counts = cMatrices.calculate_glszm(image, mask, count, int(mask.sum()), False, 0)[0]
    counts, sizes = glszm(levels, count)
    np.testing.assert_array_equal(counts, zone_counts[:, sizes - 1])
    found = neighbours(levels, count, steps, 1)
    dependence = cMatrices.calculate_gldm(image, mask, apart, count, 1, False, 0)[0]
    np.testing.assert_array_equal(found.dependence, dependence[:, : 2 * len(steps) + 1])
    tones = cMatrices.calculate_ngtdm(image, mask, apart, count, False, 0)[0]
    np.testing.assert_allclose(found.difference, tones[:, 1], rtol=1e-12)


@pytest.mark.parametrize("distances", [(1,), (2,), (1, 2), (3,)])
@pytest.mark.parametrize("shape", [(1, 5, 5), (3, 5, 5), (1, 2, 5), (2, 5, 4), (1, 1, 5)])
def test_offsets_are_the_angles_of_pyradiomics(shape: tuple[int, int, int], distances: tuple[int, ...]) -> None:
    for in_plane in (False, True):
        angles = cMatrices.generate_angles(np.array(shape), np.array(distances), False, in_plane, 0)
        np.testing.assert_array_equal(offsets(shape, distances, in_plane=in_plane), angles)
