"""Cuts, padding and turns keep every pixel at its place in the patient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from placed import OBLIQUE, centre, marked, placed, same_place, world

from medray.imaging.place import cut, moved, padded, turned


@pytest.mark.parametrize("shape", [(12, 15), (4, 12, 15)])
def test_a_cut_and_a_pad_leave_the_content_where_it_was(shape: tuple[int, ...]) -> None:
    image = placed(marked(shape, tuple(size - 2 for size in shape), tuple(size // 2 for size in shape)))
    part = cut(image, *(slice(size // 2, size) for size in shape))
    assert part.pixels.sum() == 2
    same_place(image, part)
    wide = padded(image, [2] * len(shape), [size + 5 for size in shape], 0)
    same_place(image, wide)
    assert wide.valid is not None
    assert wide.valid.sum() == image.pixels.size


@pytest.mark.parametrize("lost", ["spacing_mm", "orientation"])
def test_a_position_that_cannot_be_known_is_dropped(lost: str) -> None:
    image = placed(np.ones((4, 4)), **{lost: None})
    assert cut(image, slice(0, 2), slice(0, 2)).header.position_mm == (10.0, -20.0, 30.0)
    assert cut(image, slice(1, 2), slice(0, 2)).header.position_mm is None


@pytest.mark.parametrize("flag", ["VOLUME_GAP", "VOLUME_SHEARED", "VOLUME_TILT"])
def test_slices_of_an_uneven_volume_have_no_place_but_rows_do(flag: str) -> None:
    image = placed(np.ones((3, 4, 4)), flags=(flag,))
    assert moved(image, (1, 0, 0)).position_mm is None
    assert moved(image, (0, 1, 1)).position_mm == moved(placed(np.ones((4, 4))), (1, 1)).position_mm


def test_a_volume_of_unknown_slice_spacing_moves_in_its_planes_alone() -> None:
    image = replace(placed(np.ones((3, 4, 4))), slice_spacing_mm=None)
    assert moved(image, (0, 2, 0)).position_mm is not None
    assert moved(image, (1, 0, 0)).position_mm is None


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True), (True, True)])
def test_a_turned_plane_has_every_pixel_where_it_was(order: tuple[int, int], flips: tuple[bool, bool]) -> None:
    image = replace(placed(np.arange(12).reshape(3, 4)), valid=np.arange(12).reshape(3, 4) > 2, mask=np.eye(3, 4, dtype=bool))
    after = turned(image, order, flips)
    assert after.valid is not None
    assert after.mask is not None
    for value in range(12):
        (old,), (new,) = np.argwhere(image.pixels == value), np.argwhere(after.pixels == value)
        np.testing.assert_allclose(world(after, tuple(new)), world(image, tuple(old)), atol=1e-9)
        assert after.valid[tuple(new)] == (value > 2)
        assert after.mask[tuple(new)] == (old[0] == old[1])


def test_a_right_handed_turn_of_a_volume_moves_no_voxel() -> None:
    image = placed(np.arange(60).reshape(3, 4, 5), OBLIQUE)
    after = turned(image, (1, 2, 0), (False, False, False))
    assert after.spacing_mm == (0.5, 0.3, 2.0)
    np.testing.assert_allclose(centre(after), centre(image), atol=1e-6)
