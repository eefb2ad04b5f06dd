"""Texture features of every aggregation against the definitions of the manual in plain NumPy, and against matrices by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from features.ibsi.volumes import measured, random_levels, volume
from features.radiomics import twins
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion, generate_binary_structure

from medray.features.ibsi.gldzm import distances, gldzm
from medray.types import Image

STEPS = np.array([(s, r, c) for s in (0, 1) for r in (-1, 0, 1) for c in (-1, 0, 1) if (s, r, c) > (0, 0, 0)])
TEXTURES = ("glcm", "glrlm", "glszm", "gldzm", "ngtdm", "ngldm")


def steps(dimension: str) -> np.ndarray:
    return STEPS if dimension == "3d" else STEPS[STEPS[:, 0] == 0]


def entropy(p: np.ndarray) -> float:
    return float(-np.sum(p[p > 0] * np.log2(p[p > 0])))


def glcm(counts: np.ndarray) -> list[float]:
    """Of a matrix in one order, in the order of the manual."""
    p = counts + counts.T
    if not p.any():
        return [np.nan] * 25
    p = p / p.sum()
    n = len(p)
    i, j = np.indices(p.shape) + 1
    difference = np.array([p[abs(i - j) == k].sum() for k in range(n)])
    sums = np.array([p[i + j == k].sum() for k in range(2, 2 * n + 1)])
    k, total = np.arange(n), np.arange(2, 2 * n + 1)
    one = p.sum(1)
    mean = np.sum(i * p)
    variance = np.sum((i - mean) ** 2 * p)
    product = np.outer(one, one)
    cross = -np.sum(p[p > 0] * np.log2(product[p > 0]))
    cluster = [np.sum((i + j - 2 * mean) ** power * p) for power in (2, 3, 4)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return [
            p.max(),
            mean,
            variance,
            entropy(p),
            k @ difference,
            (k - k @ difference) ** 2 @ difference,
            entropy(difference),
            total @ sums,
            (total - total @ sums) ** 2 @ sums,
            entropy(sums),
            np.sum(p * p),
            np.sum((i - j) ** 2 * p),
            np.sum(abs(i - j) * p),
            np.sum(p / (1 + abs(i - j))),
            np.sum(p / (1 + abs(i - j) / n)),
            np.sum(p / (1 + (i - j) ** 2)),
            np.sum(p / (1 + (i - j) ** 2 / n**2)),
            2 * np.sum(p[i < j] / (i - j)[i < j] ** 2),
            (np.sum(i * j * p) - mean**2) / variance if variance > 1e-12 else np.nan,
            np.sum(i * j * p),
            *cluster,
            (entropy(p) - cross) / entropy(one) if entropy(one) > 0 else np.nan,
            np.sqrt(1 - np.exp(-2 * max(entropy(product) - entropy(p), 0))),
        ]


def sizes(counts: np.ndarray, pixels: float) -> list[float]:
    """Of counts by level and size 1, 2, …"""
    total = counts.sum()
    p = counts / total
    i, j = np.indices(p.shape) + 1.0
    return [
        np.sum(p / j**2),
        np.sum(p * j**2),
        np.sum(p / i**2),
        np.sum(p * i**2),
        np.sum(p / i**2 / j**2),
        np.sum(p * i**2 / j**2),
        np.sum(p * j**2 / i**2),
        np.sum(p * i**2 * j**2),
        np.sum(counts.sum(1) ** 2) / total,
        np.sum(counts.sum(1) ** 2) / total**2,
        np.sum(counts.sum(0) ** 2) / total,
        np.sum(counts.sum(0) ** 2) / total**2,
        total / pixels,
        np.sum((i - np.sum(i * p)) ** 2 * p),
        np.sum((j - np.sum(j * p)) ** 2 * p),
        entropy(p),
    ]


def ngtdm(n: np.ndarray, s: np.ndarray) -> list[float]:
    if not n.any():
        return [np.nan] * 5
    level, total = np.flatnonzero(n) + 1.0, n.sum()
    p, s = n[n > 0] / total, s[n > 0]
    i, j = np.meshgrid(level, level, indexing="ij")
    pi, pj = np.meshgrid(p, p, indexing="ij")
    si, sj = np.meshgrid(s, s, indexing="ij")
    count = len(level)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.array(
            [
                1 / np.sum(p * s),
                np.sum(pi * pj * (i - j) ** 2) / (count * (count - 1)) * np.sum(s) / total,
                np.sum(p * s) / np.sum(abs(i * pi - j * pj)),
                np.sum(abs(i - j) * (pi * si + pj * sj) / (pi + pj)) / total,
                np.sum((pi + pj) * (i - j) ** 2) / np.sum(s),
            ]
        )
    return list(np.where(np.isfinite(found), found, np.nan))


def depth(mask: np.ndarray, dimension: str) -> np.ndarray:
    """Erosions that a pixel survives, and one more."""
    structure = generate_binary_structure(3, 1)
    if dimension != "3d":
        structure[::2] = False
    found = np.zeros(mask.shape, int)
    while mask.any():
        found += mask
        mask = binary_erosion(mask, structure)
    return found


def table(levels: np.ndarray, columns: np.ndarray, count: int) -> np.ndarray:
    counts = np.zeros((count, int(columns.max())))
    np.add.at(counts, (levels - 1, columns - 1), 1)
    return counts


def zone_counts(levels: np.ndarray, count: int, dimension: str, of: str) -> np.ndarray:
    found, labels = twins.zones(levels, dimension != "3d")
    inside = depth(levels > 0, dimension)
    zone = [labels == number for number in range(1, len(found) + 1)]
    measure = np.array([one.sum() if of == "glszm" else inside[one].min() for one in zone])
    return table(np.array([levels[one][0] for one in zone]), measure, count)


def directed(matrices: Callable[..., np.ndarray], features: Callable[[np.ndarray, float], list[float]]) -> Callable[..., object]:
    def every(slabs: list[np.ndarray], count: int, dimension: str) -> Iterator[np.ndarray]:
        averaged, merged = [], []
        for levels in slabs:
            counts, pixels = matrices(levels, count, steps(dimension)), np.count_nonzero(levels)
            averaged += [features(matrix, pixels) for matrix in counts]
            merged.append(features(counts.sum(0), pixels * len(counts)))
        with np.errstate(all="ignore"):
            yield from (mean(averaged), mean(merged))

    return every


def mean(rows: list[list[float]]) -> np.ndarray:
    array = np.array(rows)
    count = (~np.isnan(array)).sum(0)
    return np.where(count > 0, np.nansum(array, 0) / np.maximum(count, 1), np.nan)


def undirected(features: Callable[[np.ndarray, int, str], list[float]]) -> Callable[..., object]:
    def every(slabs: list[np.ndarray], count: int, dimension: str) -> Iterator[np.ndarray]:
        yield mean([features(levels, count, dimension) for levels in slabs])

    return every


def dependence(levels: np.ndarray, count: int, dimension: str) -> list[float]:
    counts = twins.neighbours(levels, count, steps(dimension), 0)[0]
    return [*sizes(counts, counts.sum()), np.sum((counts / counts.sum()) ** 2)]


ORACLES = {
    "glcm": directed(twins.glcm, lambda counts, pixels: glcm(counts)),
    "glrlm": directed(twins.glrlm, sizes),
    "glszm": undirected(lambda *slab: sizes(zone_counts(*slab, "glszm"), np.count_nonzero(slab[0]))),
    "gldzm": undirected(lambda *slab: sizes(zone_counts(*slab, "gldzm"), np.count_nonzero(slab[0]))),
    "ngtdm": undirected(lambda *slab: ngtdm(*twins.neighbours(slab[0], slab[1], steps(slab[2]), 0)[1:])),
    "ngldm": undirected(dependence),
}


def expected(group: str, levels: np.ndarray) -> np.ndarray:
    """Features by aggregation, in the order of the columns."""
    count = int(levels.max())
    found = []
    for dimension in ("2d", "2_5d", "3d"):
        slabs = [plane[None] for plane in levels if plane.any()] if dimension == "2d" else [levels]
        found += list(ORACLES[group](slabs, count, dimension))
    return np.array(found).T.ravel()


def matches(group: str, levels: np.ndarray) -> None:
    found = measured(volume(levels, levels > 0), groups=[group])
    for (name, value), other in zip(found.items(), expected(group, levels), strict=True):
        assert value == pytest.approx(other, rel=1e-9, abs=1e-9, nan_ok=True), name


@pytest.mark.parametrize("group", TEXTURES)
def test_a_volume_with_holes(group: str) -> None:
    rng = np.random.default_rng(3)
    levels = np.where(rng.random((4, 7, 8)) < 0.85, random_levels(4, 7, 8), 0)
    matches(group, levels)
    matches(group, np.kron(levels, np.ones((1, 2, 3), int)))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.sampled_from(TEXTURES))
def test_any_volume(seed: int, group: str) -> None:
    rng = np.random.default_rng(seed)
    shape, share, most = rng.integers(1, 5, 3), rng.uniform(0.2, 1), rng.integers(1, 5)
    levels = np.where(rng.random(shape) < share, rng.integers(1, most + 1, shape), 0)
    levels.flat[0] = 1
    matches(group, levels)


def test_a_plane_is_a_volume_of_one_slice_without_neighbours_across() -> None:
    levels = random_levels(9, 11)
    flat = measured(Image(levels.astype(np.float32)), groups=TEXTURES)
    deep = measured(volume(levels[None]), groups=TEXTURES)
    for name, value in flat.items():
        assert np.isnan(value) if "_3d" in name else value == deep[name]


@pytest.mark.parametrize("dimension", ["2d", "3d"])
def test_distances_to_the_border(dimension: str) -> None:
    mask = np.random.default_rng(2).random((6, 12, 13)) < 0.95
    np.testing.assert_array_equal(distances(mask, in_plane=dimension == "2d"), depth(mask, dimension))


def test_a_zone_lies_as_far_as_its_nearest_pixel() -> None:
    levels = np.ones((1, 5, 5), np.uint16)
    levels[0, 2, 2] = 2
    levels[0, 1, 1:3] = 3
    found = gldzm(levels, 3, distances(levels > 0, in_plane=True), in_plane=True)
    assert found.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_zones_lie_in_the_morphological_mask() -> None:
    """Resegmentation leaves the border where it was."""
    values = np.full((1, 5, 5), 9)
    values[0, 2, 2] = 1
    found = measured(volume(values), groups=["gldzm"], dimensions=["2d"], resegment=(None, 5))
    assert found["gldzm_large_distance_emphasis_2d"] == 9
    assert found["gldzm_zone_percentage_2d"] == 1


def test_by_hand() -> None:
    """Pairs 1-1, 1-2 and 2-2 along the row, once each, in both orders."""
    found = measured(volume([[[1, 1, 2, 2]]]), groups=["glcm", "glrlm"], dimensions=["2d"])
    one, two = "_2d_averaged", "_2d_slice_merged"
    assert found["glcm_joint_maximum" + one] == pytest.approx(1 / 3)
    assert found["glcm_contrast" + one] == pytest.approx(1 / 3)
    assert found["glcm_correlation" + two] == pytest.approx(1 / 3)
    assert found["glcm_joint_entropy" + two] == pytest.approx(2 / 3 * np.log2(3) + 1 / 3 * np.log2(6))
    assert found["glrlm_long_runs_emphasis" + one] == pytest.approx((4 + 1 + 1 + 1) / 4)
    assert found["glrlm_run_percentage" + two] == pytest.approx((2 + 4 + 4 + 4) / 16)
