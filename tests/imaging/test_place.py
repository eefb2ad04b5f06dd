"""Cuts, padding and turns keep every pixel at its place in the patient, and of its size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from placed_images import OBLIQUE, centre, marked, placed, same_place, world

from medray.data.ultrasound import common_spacing
from medray.imaging.place import cut, masked, moved, padded, turned
from medray.imaging.table import Fill, Resample, Resize, fill, resample, resize
from medray.types import Header, Image, UltrasoundRegion


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


# --- the size of a pixel -------------------------------------------------------------------------------------------------------

LEFT = UltrasoundRegion(1, 0, 0, 40, 30, 0.2, 0.1)
RIGHT = UltrasoundRegion(1, 0, 30, 40, 60, 0.4, 0.4)
M_MODE = UltrasoundRegion(2, 0, 30, 40, 60, None, None)


def scanned(*regions: UltrasoundRegion, **header: object) -> Image:
    """An ultrasound image of 40 × 60 pixels, its spacing as decode finds it."""
    known = {"spacing_mm": common_spacing(regions), "ultrasound_regions": regions, **header}
    return Image(np.arange(2400, dtype=np.float32).reshape(40, 60), header=Header(**known))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("regions", "columns", "spacing"),
    [
        ((LEFT, RIGHT), (0, 30), (0.2, 0.1)),
        ((LEFT, RIGHT), (35, 60), (0.4, 0.4)),
        ((LEFT, RIGHT), (20, 40), None),
        ((LEFT, M_MODE), (0, 60), (0.2, 0.1)),
        ((LEFT, M_MODE), (31, 60), None),
        ((LEFT,), (40, 60), None),
        ((LEFT,), (20, 60), (0.2, 0.1)),
    ],
)
def test_a_cut_takes_its_spacing_from_the_ultrasound_regions_in_it(
    regions: tuple[UltrasoundRegion, ...], columns: tuple[int, int], spacing: tuple[float, float] | None
) -> None:
    part = cut(scanned(*regions), slice(5, 20), slice(*columns))
    assert part.spacing_mm == spacing
    for one in part.header.ultrasound_regions:
        assert 0 <= one.left < one.right <= part.pixels.shape[1]
        assert 0 <= one.top < one.bottom <= 15


@pytest.mark.parametrize(
    ("regions", "columns", "spacing"),
    [
        ((LEFT, RIGHT), (3, 12), (0.2, 0.1)),
        ((LEFT, RIGHT), (40, 50), (0.4, 0.4)),
        ((LEFT, RIGHT), (20, 40), None),
        ((LEFT, M_MODE), (31, 40), None),
        ((LEFT, RIGHT), (0, 0), None),
    ],
)
def test_a_mask_takes_the_spacing_of_the_regions_that_it_meets(
    regions: tuple[UltrasoundRegion, ...], columns: tuple[int, int], spacing: tuple[float, float] | None
) -> None:
    mask = np.zeros((40, 60), bool)
    mask[5:9, slice(*columns)] = True
    image = masked(scanned(*regions), mask)
    assert image.mask is mask
    assert image.spacing_mm == spacing
    assert cut(image, slice(0, 20), slice(0, 60)).spacing_mm == spacing


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True), (True, True)])
def test_regions_are_turned_with_the_pixels(order: tuple[int, int], flips: tuple[bool, bool]) -> None:
    whole = scanned(LEFT, RIGHT, M_MODE)
    after = turned(whole, order, flips)
    for before, one in zip(whole.header.ultrasound_regions, after.header.ultrasound_regions, strict=True):
        inside = after.pixels[int(one.top) : int(one.bottom), int(one.left) : int(one.right)]
        expected = whole.pixels[int(before.top) : int(before.bottom), int(before.left) : int(before.right)]
        assert set(inside.ravel().tolist()) == set(expected.ravel().tolist())
        sizes = (before.row_mm, before.column_mm)
        assert (one.row_mm, one.column_mm) == tuple(sizes[axis] for axis in order)


def test_regions_follow_padding_and_scale() -> None:
    wide = padded(scanned(LEFT, RIGHT), (3, 5), (50, 70), 0)
    assert wide.header.ultrasound_regions[0] == (1, 3, 5, 43, 35, 0.2, 0.1)
    half = resize(wide, Resize(rows=25, columns=140))
    assert half.header.ultrasound_regions[1] == pytest.approx((1, 1.5, 70, 21.5, 130, 0.8, 0.2))
    assert cut(half, slice(2, 20), slice(70, 120)).spacing_mm == pytest.approx((0.8, 0.2))
    fine = resample(cut(half, slice(0, 25), slice(70, 130)), Resample(row_mm=0.4, column_mm=0.4))
    assert fine.spacing_mm == (0.4, 0.4)
    assert cut(fine, slice(5, 20), slice(2, 9)).spacing_mm == pytest.approx((0.4, 0.4))


def test_a_stated_spacing_stays_whatever_is_cut() -> None:
    stated = fill(scanned(LEFT, RIGHT, pixel_aspect=2.0), Fill(spacing_mm=(0.3, 0.3)))
    assert stated.header.pixel_aspect is None
    assert cut(stated, slice(0, 40), slice(0, 20)).spacing_mm == (0.3, 0.3)


@pytest.mark.parametrize("size", [(20, 60), (40, 90), (10, 15)])
def test_the_aspect_ratio_is_kept_in_step(size: tuple[int, int]) -> None:
    image = Image(np.ones((40, 60), np.float32), header=Header(pixel_aspect=2.0))
    tall = resize(image, Resize(rows=size[0], columns=size[1]))
    # the image is as high as it is wide by 80 : 60, whatever its pixels
    height, width = (one * two for one, two in zip(tall.pixels.shape, tall.pixel_shape, strict=True))
    assert height / width == pytest.approx(80 / 60)
    assert turned(image, (1, 0), (False, True)).header.pixel_aspect == 0.5
    assert turned(image, (0, 1), (True, True)).header.pixel_aspect == 2.0
    assert cut(image, slice(2, 9), slice(3, 9)).header.pixel_aspect == 2.0
    assert padded(image, (1, 1), (50, 70), 0).header.pixel_aspect == 2.0
    assert resize(Image(np.ones((40, 60), np.float32)), Resize(rows=20, columns=30)).header.pixel_aspect is None


def test_the_aspect_ratio_of_a_volume_turned_through_its_slices_is_unknown() -> None:
    volume = Image(np.ones((3, 4, 5), np.float32), header=Header(pixel_aspect=2.0), slice_spacing_mm=1.0)
    assert turned(volume, (1, 2, 0), (False,) * 3).header.pixel_aspect is None
    assert turned(volume, (0, 2, 1), (True, False, True)).header.pixel_aspect == 0.5
    small = resize(volume, Resize(rows=2, columns=5, slices=6))
    assert (small.header.pixel_aspect, small.slice_spacing_mm) == (4.0, 0.5)
