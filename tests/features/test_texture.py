"""Co-occurrence and local binary patterns against worked examples and loops."""

from __future__ import annotations

import numpy as np
import pytest

from medray.features.texture import TEXTURE, TextureParams, glcm
from medray.types import Image

HARALICK = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 2, 2, 2], [2, 2, 3, 3]])
"""The 4 x 4 example of Haralick et al. (1973)."""


def features(pixels: np.ndarray, valid: np.ndarray | None = None, params: TextureParams | None = None) -> dict[str, float]:
    params = params or TextureParams()
    valid = np.ones(pixels.shape, bool) if valid is None else valid
    values = TEXTURE.extract(Image(pixels.astype(np.float32), valid), params).values.tolist()
    return dict(zip(TEXTURE.columns(params), values, strict=True))


def test_glcm_of_the_example_of_haralick() -> None:
    matrices = glcm(HARALICK, 4, 1)
    horizontal = np.array([[4, 2, 1, 0], [2, 4, 0, 0], [1, 0, 6, 1], [0, 0, 1, 2]])
    vertical = np.array([[6, 0, 2, 0], [0, 4, 2, 0], [2, 2, 2, 2], [0, 0, 2, 0]])
    np.testing.assert_allclose(matrices[0], horizontal / 24)
    np.testing.assert_allclose(matrices[2], vertical / 24)


@pytest.mark.parametrize("distance", [1, 2, 5, 9])
def test_glcm_counts_each_pair_of_valid_pixels(distance: int) -> None:
    rng = np.random.default_rng(distance)
    levels = rng.integers(0, 5, (7, 6))
    expected = []
    for row, column in ((0, 1), (1, 1), (1, 0), (1, -1)):
        matrix = np.zeros((4, 4))
        for r in range(7):
            for c in range(6):
                other = r + row * distance, c + column * distance
                if 0 <= other[0] < 7 and 0 <= other[1] < 6 and max(levels[r, c], levels[other]) < 4:
                    matrix[levels[r, c], levels[other]] += 1
                    matrix[levels[other], levels[r, c]] += 1
        if matrix.any():
            expected.append(matrix / matrix.sum())
    np.testing.assert_allclose(glcm(levels, 4, distance), np.reshape(expected, (-1, 4, 4)))


def test_checkers_in_closed_form() -> None:
    pixels = (np.indices((16, 16)).sum(0) % 2) * 0.99
    found = features(pixels, params=TextureParams(levels=2, distances=(1, 2), radii=(1,)))
    assert found["texture_glcm_contrast_d1"] == pytest.approx(0.5)
    assert found["texture_glcm_contrast_d2"] == 0
    assert found["texture_glcm_correlation_d1"] == pytest.approx(0, abs=1e-6)
    assert found["texture_glcm_correlation_d2"] == pytest.approx(1)
    assert found["texture_glcm_energy_d1"] == pytest.approx(0.5, rel=1e-4)
    assert found["texture_glcm_entropy_d1"] == pytest.approx(1, rel=1e-4)
    assert found["texture_glcm_information_correlation_d2"] == pytest.approx(-1)


def test_flat_and_empty_images() -> None:
    found = features(np.full((16, 16), 0.5))
    assert found["texture_glcm_energy_d1"] == 1
    assert np.isnan(found["texture_glcm_correlation_d1"])
    assert found["texture_lbp_8_r1"] == 1
    assert np.isnan(list(features(np.ones((16, 16)), np.zeros((16, 16), bool)).values())).all()
    assert np.isnan(list(features(np.ones((1, 1))).values())).all()


def test_patterns_of_an_edge_and_of_a_spot() -> None:
    edge = np.where(np.arange(9) < 4, 0.2, 0.8) * np.ones((9, 1))
    found = features(edge, params=TextureParams(distances=(), radii=(1,)))
    assert found["texture_lbp_8_r1"] == pytest.approx(6 / 7)
    assert found["texture_lbp_5_r1"] == pytest.approx(1 / 7)
    spots = np.zeros((9, 9))
    spots[4, 4] = 1
    assert features(spots, params=TextureParams(radii=(1,)))["texture_lbp_0_r1"] == pytest.approx(1 / 49)


def test_texture_does_not_see_invalid_pixels_nor_quarter_turns() -> None:
    rng = np.random.default_rng(1)
    pixels = rng.random((40, 40))
    noise = np.where(np.arange(60) < 40, 0, rng.random((40, 60)))
    noise[:, :40] = pixels
    valid = np.broadcast_to(np.arange(60) < 40, (40, 60))
    expected = features(pixels)
    assert features(noise, valid) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert features(np.rot90(pixels).copy()) == pytest.approx(expected, rel=1e-4, abs=1e-5)
