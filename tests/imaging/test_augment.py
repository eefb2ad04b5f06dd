from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medray.imaging.augment import AugmentSpec, apply, apply_to_masks, augment, draw

OFF = AugmentSpec(flip_horizontal=0, rotate_degrees=0, scale=0, stretch=0, translate=0, gain=0, bias=0, gamma=0, erase=0)
ALL = AugmentSpec(flip_vertical=0.5, noise=0.2, erase=0.5)


def images(count: int = 6, rows: int = 24, columns: int = 32) -> np.ndarray:
    smooth = np.random.default_rng(1).random((count, rows // 4, columns // 4), dtype=np.float32)
    return np.stack([cv2.resize(one, (columns, rows)) for one in smooth])


def test_nothing_switched_on_changes_nothing() -> None:
    x = images()
    np.testing.assert_allclose(augment(x, OFF, np.random.default_rng(0)), x, atol=1e-6)


@pytest.mark.parametrize(("field", "axis"), [("flip_horizontal", 2), ("flip_vertical", 1)])
def test_certain_flip_mirrors(field: str, axis: int) -> None:
    x = images()
    flipped = augment(x, OFF.model_copy(update={field: 1.0}), np.random.default_rng(0))
    np.testing.assert_allclose(flipped, np.flip(x, axis), atol=1e-4)


def test_same_generator_state_gives_the_same_bytes_and_another_gives_others() -> None:
    x = images()
    first, again, other = (augment(x, ALL, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_each_image_is_altered_by_its_own_parameters() -> None:
    x = np.repeat(images(1), 4, axis=0)
    assert len(np.unique(augment(x, ALL, np.random.default_rng(0)).reshape(4, -1), axis=0)) == 4


def test_drawn_parameters_stay_within_the_spec() -> None:
    spec = AugmentSpec(gain=0.3, bias=0.1, gamma=0.5, noise=0.2, translate=0.25)
    drawn = draw(spec, 5000, np.random.default_rng(0))
    assert np.abs(drawn.gain - 1).max() <= 0.3
    assert np.abs(drawn.gain - 1).max() > 0.29
    assert np.abs(drawn.bias).max() <= 0.1
    assert 1 / 1.5 <= drawn.gamma.min() < drawn.gamma.max() <= 1.5
    assert 0 <= drawn.noise.min() < drawn.noise.max() <= 0.2
    assert np.abs(drawn.affine[:, :, 2]).max() <= 0.25
    assert (drawn.affine[:, 0, 0] < 0).mean() == pytest.approx(0.5, abs=0.03)
    determinant = np.abs(np.linalg.det(drawn.affine[:, :, :2]))
    assert 1 / 1.2**2 - 1e-9 <= determinant.min() < determinant.max() <= 1.2**2 + 1e-9


def test_shading_follows_its_formula() -> None:
    x = images()
    spec = OFF.model_copy(update={"gain": 0.4, "bias": 0.2, "gamma": 0.5})
    drawn = draw(spec, len(x), np.random.default_rng(5))
    gain, bias, gamma = (value[:, None, None] for value in (drawn.gain, drawn.bias, drawn.gamma))
    np.testing.assert_allclose(apply(x, drawn), np.clip(gain * (x**gamma - 0.5) + 0.5 + bias, 0, 1), atol=1e-4)


def test_rotation_by_the_drawn_angle_keeps_the_centre_and_moves_a_corner() -> None:
    x = np.zeros((1, 33, 33), dtype=np.float32)
    x[0, 16, 16] = 1
    x[0, 16, 28] = 1
    spec = OFF.model_copy(update={"rotate_degrees": 180.0})
    drawn = draw(spec, 1, np.random.default_rng(2))
    turned = apply(x, drawn)[0]
    column, row = np.linalg.inv(drawn.affine[0, :, :2]) @ (12, 0)
    assert turned[16, 16] > 0.9
    around = turned[round(16 + row) - 1 : round(16 + row) + 2, round(16 + column) - 1 : round(16 + column) + 2]
    assert around.sum() == pytest.approx(1, abs=0.2)


def test_erased_rectangle_is_flat_and_within_its_size() -> None:
    x = images(20, 40, 40)
    erased = augment(x, OFF.model_copy(update={"erase": 1.0, "erase_side": 0.5}), np.random.default_rng(0))
    for before, after in zip(x, erased, strict=True):
        changed = np.abs(before - after) > 1e-5
        assert 0 < changed.sum() <= 20 * 20
        assert np.ptp(after[changed]) < 1e-6


@given(rows=st.integers(2, 40), columns=st.integers(2, 40), count=st.integers(0, 3), seed=st.integers(0, 2**32))
def test_any_size_stays_in_range(rows: int, columns: int, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.random((count, rows, columns), dtype=np.float32)
    before = x.copy()
    y = augment(x, ALL, rng)
    assert (y.shape, y.dtype) == (x.shape, np.float32)
    assert np.isfinite(y).all()
    assert y.min(initial=0) >= 0
    assert y.max(initial=1) <= 1
    np.testing.assert_array_equal(x, before)


def test_applying_to_another_number_of_images_is_refused() -> None:
    with pytest.raises(ValueError, match="6 images, but alterations of 5"):
        apply(images(6), draw(ALL, 5, np.random.default_rng(0)))


def test_channels_are_altered_alike() -> None:
    x = images()
    drawn = draw(ALL.model_copy(update={"noise": 0.0}), len(x), np.random.default_rng(3))
    np.testing.assert_array_equal(apply(np.stack([x, 1 - x], axis=1), drawn)[:, 0], apply(x, drawn))
    noisy = apply(np.stack([x, x], axis=1), draw(ALL, len(x), np.random.default_rng(3)))
    assert not np.array_equal(noisy[:, 0], noisy[:, 1])


def test_masks_move_with_their_images() -> None:
    rows, columns = np.mgrid[:48, :64]
    discs = np.stack([np.hypot(rows - 20, columns - at) < 11 for at in (24, 28, 34)])
    spec = OFF.model_copy(update={"rotate_degrees": 40.0, "scale": 0.3, "translate": 0.2, "flip_horizontal": 0.5})
    drawn = draw(spec, 3, np.random.default_rng(1))
    moved = apply_to_masks(discs[:, None], drawn)
    assert (moved.shape, moved.dtype) == ((3, 1, 48, 64), np.bool_)
    image = apply(discs.astype(np.float32), drawn)
    assert ((image > 0.5) != moved[:, 0]).mean() < 0.004
    assert not np.array_equal(moved[:, 0], discs)
    assert apply_to_masks(discs[:0, None], draw(spec, 0, np.random.default_rng(1))).shape == (0, 1, 48, 64)


def test_spec_names_the_allowed_range() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 180"):
        AugmentSpec(rotate_degrees=270)


def test_cost_keeps_up_with_training() -> None:
    x = images(64, 128, 128)
    fastest = np.inf
    for _ in range(5):
        start = time.process_time()
        augment(x, AugmentSpec(), np.random.default_rng(0))
        fastest = min(fastest, time.process_time() - start)
    assert fastest / len(x) < 2e-3
