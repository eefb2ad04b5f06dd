"""Haralick's features against his own example, pyradiomics, mahotas, and loops."""

from __future__ import annotations

import logging

import mahotas
import numpy as np
import pytest
import radiomics
import SimpleITK
from feature_values import measured

from medray.features.cooccurrence import cooccurrences
from medray.features.haralick import HARALICK, NAMES, HaralickParams, haralick

EXAMPLE = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 2, 2, 2], [2, 2, 3, 3]], dtype=np.uint16) + np.uint16(1)
"""The 4 x 4 example of Haralick et al. (1973)."""
PYRADIOMICS = {
    "contrast": "Contrast",
    "dissimilarity": "DifferenceAverage",
    "homogeneity": "Idm",
    "energy": "JointEnergy",
    "entropy": "JointEntropy",
    "correlation": "Correlation",
    "cluster_shade": "ClusterShade",
    "cluster_prominence": "ClusterProminence",
    "information_correlation": "Imc1",
    "information_correlation_2": "Imc2",
    "variance": "SumSquares",
    "sum_average": "SumAverage",
    "sum_variance": "ClusterTendency",
    "sum_entropy": "SumEntropy",
    "difference_variance": "DifferenceVariance",
    "difference_entropy": "DifferenceEntropy",
    "maximal_correlation": "MCC",
}


def levels(seed: int, shape: tuple[int, int] = (7, 6), count: int = 4) -> np.ndarray:
    """Grey levels 1 … count, and 0 outside the region."""
    return np.random.default_rng(seed).integers(0, count + 1, shape).astype(np.uint16)


def test_matrices_of_the_example_of_haralick() -> None:
    found = cooccurrences(EXAMPLE, 4, 1)
    horizontal = np.array([[4, 2, 1, 0], [2, 4, 0, 0], [1, 0, 6, 1], [0, 0, 1, 2]])
    vertical = np.array([[6, 0, 2, 0], [0, 4, 2, 0], [2, 2, 2, 2], [0, 0, 2, 0]])
    np.testing.assert_array_equal(found[0], horizontal)
    np.testing.assert_array_equal(found[2], vertical)


@pytest.mark.parametrize("distance", [1, 2, 5, 6, 9])
def test_each_pair_inside_the_region_counts(distance: int) -> None:
    array = levels(distance)
    expected = []
    for row, column in ((0, 1), (1, 1), (1, 0), (1, -1)):
        matrix = np.zeros((4, 4))
        for r in range(7):
            for c in range(6):
                other = r + row * distance, c + column * distance
                if 0 <= other[0] < 7 and 0 <= other[1] < 6 and array[r, c] and array[other]:
                    matrix[array[r, c] - 1, array[other] - 1] += 1
                    matrix[array[other] - 1, array[r, c] - 1] += 1
        if matrix.any():
            expected.append(matrix)
    np.testing.assert_array_equal(cooccurrences(array, 4, distance), np.reshape(expected, (-1, 4, 4)))


def test_every_feature_equals_pyradiomics() -> None:
    array = levels(8, (30, 26), 9)
    radiomics.setVerbosity(logging.CRITICAL)
    image, mask = (SimpleITK.GetImageFromArray(part[None].astype(float)) for part in (array, array > 0))
    mask = SimpleITK.Cast(mask, SimpleITK.sitkUInt8)
    settings = {"binWidth": 1, "force2D": True, "force2Ddimension": 0}
    expected = radiomics.glcm.RadiomicsGLCM(image, mask, **settings).execute()
    found = haralick(cooccurrences(array, 9, 1)).mean(axis=0)
    assert dict(zip(NAMES, found, strict=True)) == pytest.approx(
        {name: float(expected[other]) for name, other in PYRADIOMICS.items()}, rel=1e-9
    )


@pytest.mark.parametrize("distance", [1, 3])
def test_the_numbered_features_equal_mahotas(distance: int) -> None:
    array = levels(9, (40, 40), 7) + np.uint16(1)
    expected = mahotas.features.haralick(array.astype(np.uint8), distance=distance, use_x_minus_y_variance=True)
    numbered = ["energy", "contrast", "correlation", "variance", "homogeneity", "sum_average", "sum_variance", "sum_entropy"]
    numbered += ["entropy", "difference_variance", "difference_entropy", "information_correlation", "information_correlation_2"]
    found = haralick(cooccurrences(array, 9, distance))[:, [NAMES.index(name) for name in numbered]]
    np.testing.assert_allclose(found.mean(axis=0), expected.mean(axis=0), rtol=1e-9)


def test_checkers_in_closed_form() -> None:
    pixels = (np.indices((16, 16)).sum(0) % 2) * 0.99
    found = measured(HARALICK, pixels, params=HaralickParams(levels=2, distances=(1, 2), ranges=True))
    assert found["haralick_contrast_d1"] == pytest.approx(0.5)
    assert found["haralick_contrast_d1_range"] == pytest.approx(1)
    assert found["haralick_contrast_d2"] == found["haralick_contrast_d2_range"] == 0
    assert found["haralick_correlation_d1"] == pytest.approx(0, abs=1e-6)
    assert found["haralick_correlation_d2"] == pytest.approx(1)
    assert found["haralick_energy_d1"] == pytest.approx(0.5, rel=1e-4)
    assert found["haralick_entropy_d1"] == pytest.approx(1, rel=1e-4)
    assert found["haralick_information_correlation_d2"] == pytest.approx(-1)
    assert found["haralick_maximal_correlation_d2"] == pytest.approx(1)


def test_flat_and_small_images() -> None:
    found = measured(HARALICK, np.full((16, 16), 0.5))
    assert found["haralick_energy_d1"] == 1
    assert np.isnan(found["haralick_correlation_d1"])
    assert np.isnan(list(measured(HARALICK, np.ones((1, 1))).values())).all()
    small = measured(HARALICK, np.random.default_rng(0).random((2, 3)))
    assert np.isfinite(small["haralick_contrast_d1"])
    assert np.isnan(small["haralick_contrast_d3"])


def test_what_is_outside_the_region_and_quarter_turns_do_not_show() -> None:
    rng = np.random.default_rng(1)
    pixels, noise = rng.random((40, 40)), rng.random((40, 60))
    noise[:, :40] = pixels
    expected = measured(HARALICK, pixels)
    assert measured(HARALICK, noise, np.arange(60) < np.full((40, 1), 40)) == pytest.approx(expected, rel=1e-12)
    assert measured(HARALICK, np.rot90(pixels)) == pytest.approx(expected, rel=1e-9)


def test_chosen_features_stand_in_their_order() -> None:
    params = HaralickParams(features=("entropy", "contrast"), distances=(2,))
    assert [feature.name for feature in HARALICK.features(params)] == ["haralick_entropy_d2", "haralick_contrast_d2"]
