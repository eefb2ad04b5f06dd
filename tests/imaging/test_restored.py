"""What is found in a prepared plane goes back to the grid of the plane that was decoded, whatever ops moved the pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from medray.errors import Excluded
from medray.imaging import table as ops
from medray.imaging.place import cut, restored, turned
from medray.imaging.preprocess import PreprocessSpec, preprocess
from medray.types import Bool, Header, Image, RealWorldMap, SuvFactor

Y, X = np.mgrid[:160, :200]
RNG = np.random.default_rng(5)
TRANSPOSED = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0)
HEADER = Header(
    modality="US",
    spacing_mm=(0.5, 0.4),
    position_mm=(0.0, 0.0, 0.0),
    orientation=TRANSPOSED,
    voi_window=(0, 2000),
    voi_function="LINEAR",
)
MAPS = (RealWorldMap("mm2/s", "", -np.inf, np.inf, 1e-6, 0.5),)


def disc(row: float, column: float, down: float, across: float) -> Bool:
    return ((Y - row) / down) ** 2 + ((X - column) / across) ** 2 < 1


BLOB = disc(70, 60, 16, 12)
"""Lies inside all that the crops below find."""


def scan(pixels: np.ndarray, **header: Any) -> Image:
    return Image(pixels.astype(np.float32), None, replace(HEADER, **header), mask=BLOB, real_world=MAPS, suv=SuvFactor(3e-4))


def chest() -> Image:
    """A section in HU with two lungs."""
    pixels = np.where(disc(80, 100, 70, 90), 40.0, -1000.0)
    pixels[disc(76, 60, 40, 30) | disc(76, 140, 40, 30)] = -850
    return scan(pixels + RNG.normal(0, 5, pixels.shape))


def breast() -> Image:
    """A mammogram, the chest wall on the right, where it does not hang."""
    pixels = np.where(disc(70, 60, 60, 50) | (disc(70, 130, 60, 90) & (X > 60)), 900.0, 0.0)
    return scan(pixels, modality="MG", laterality="L")


def radiograph() -> Image:
    """A shaded field inside a shutter."""
    return scan(np.where((Y > 20) & (Y < 150) & (X > 25) & (X < 180), 900 + 300 * np.sin(X / 15) * np.cos(Y / 19), 5.0))


SPECS: list[tuple[Any, Any]] = [
    (chest, ops.Window()),
    (chest, ops.Percentile(low=1, high=99)),
    (chest, ops.ForegroundCrop(threshold=0.5, margin=3)),
    (chest, ops.Median(kernel=5)),
    (chest, ops.Gaussian(sigma=1.4)),
    (chest, ops.Clahe(tiles=3)),
    (chest, ops.Resize(rows=64, columns=64)),
    (chest, ops.Resize(rows=333, columns=211)),
    (chest, ops.Resize(rows=90, columns=90, keep_aspect=True)),
    (chest, ops.Pad(rows=201, columns=256)),
    (chest, ops.BiasField(shrink=2, levels=1, iterations=2)),
    (chest, ops.BodyCrop(threshold=-300, opening=1, outside="invalid")),
    (chest, ops.BoxCrop(top=30, left=41, rows=90, columns=101)),
    (breast, ops.BreastCrop()),
    (chest, ops.CentreCrop(rows=120, columns=121)),
    (chest, ops.Check()),
    (radiograph, ops.Collimator()),
    (radiograph, ops.Collimator(action="invalid")),
    (chest, ops.Fill(spacing_mm=(0.1, 0.2))),
    (chest, ops.LungCrop(margin=4)),
    (chest, ops.Orient()),
    (chest, ops.Orient(axial="RA")),
    (breast, ops.Orient()),
    (chest, ops.RealWorld(units="mm2/s")),
    (chest, ops.Resample(row_mm=0.77, column_mm=0.93)),
    (chest, ops.Resample(row_mm=0.13, column_mm=0.5)),
    (chest, ops.Resample(square=True)),
    (chest, ops.Suv()),
    (chest, ops.TextMask(lowest=2)),
    (chest, ops.AnisotropicDiffusion(edge=40)),
    (chest, ops.Bilateral(sigma_range=30)),
    (chest, ops.Frost(radius=2)),
    (chest, ops.Gamma(gamma=0.6)),
    (chest, ops.HistogramMatch(reference=(-5, 0, 0, 3, 90))),
    (chest, ops.Lee()),
    (chest, ops.Minmax()),
    (chest, ops.NonLocalMeans(patch=1, search=2, strength=50)),
    (chest, ops.Unsharp(amount=4)),
    (chest, ops.WaveletDenoise()),
    (chest, ops.Zscore()),
]
MOVING = {
    "foreground_crop",
    "resize",
    "pad",
    "body_crop",
    "box_crop",
    "breast_crop",
    "centre_crop",
    "lung_crop",
    "orient",
    "resample",
}
"""Ops that always move pixels in the scenes above."""


def dice(one: Bool, other: Bool) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def centre(weight: np.ndarray) -> np.ndarray:
    return np.array([(grid * weight).sum() / weight.sum(dtype=np.float64) for grid in np.indices(weight.shape)])


def back(prepared: Image, shape: tuple[int, int]) -> np.ndarray:
    assert prepared.mask is not None
    return restored(prepared.mask.astype(np.float32), prepared, shape)


@pytest.mark.parametrize(("scene", "spec"), SPECS, ids=lambda one: one.__name__ if callable(one) else repr(one))
def test_a_mask_comes_back_from_every_op(scene: Any, spec: Any) -> None:
    image = scene()
    prepared = ops.OPS[spec.op](image, spec)
    mask = back(prepared, image.pixels.shape)
    assert mask.dtype == np.float32
    assert mask.shape == image.pixels.shape
    assert dice(mask >= 0.5, BLOB) > 0.95
    np.testing.assert_allclose(centre(mask), centre(BLOB), atol=0.3)  # of a mask drawn anew on pixels of up to 3
    assert (prepared.grid is not None) == (spec.op in MOVING or prepared.pixels.shape != image.pixels.shape)
    if prepared.grid is None or prepared.grid.step in ((1, 1), (-1, 1), (1, -1), (-1, -1)):
        np.testing.assert_array_equal(mask, BLOB)


def test_every_op_is_tried() -> None:
    assert {spec.op for _, spec in SPECS} == set(ops.OPS)


@pytest.mark.parametrize("size", [(40, 50), (80, 200), (320, 600), (53, 400)])
def test_the_grid_says_where_the_centres_of_resized_pixels_are(size: tuple[int, int]) -> None:
    prepared = ops.resize(Image((Y + 1000 * X).astype(np.float32)), ops.Resize(rows=size[0], columns=size[1]))
    grid = prepared.grid
    assert grid is not None
    rows, columns = (grid.first[axis] + grid.step[axis] * np.arange(size[axis]) for axis in (0, 1))
    expected = rows[:, None] + 1000 * columns
    tolerance = 1e-2 if 160 % size[0] == 0 or size[0] > 160 else 0.5  # means over parts of pixels are no line
    np.testing.assert_allclose(prepared.pixels[8:-8, 8:-8], expected[8:-8, 8:-8], atol=tolerance)


@pytest.mark.parametrize(("first", "second"), [((0, 1), (1, 0)), ((1, 0), (1, 0)), ((1, 0), (0, 1))])
@pytest.mark.parametrize("flips", [(False, True), (True, False), (True, True)])
def test_turns_and_cuts_come_back_exactly(first: tuple[int, int], second: tuple[int, int], flips: tuple[bool, bool]) -> None:
    image = Image(RNG.normal(size=(11, 17)).astype(np.float32))
    part = cut(turned(cut(turned(image, first, flips), slice(2, 9), slice(1, 8)), second, flips), slice(1, 5), slice(0, 6))
    values = restored(part.pixels, part, (11, 17))
    inside = restored(np.ones(part.pixels.shape, np.float32), part, (11, 17)) > 0
    assert inside.sum() == part.pixels.size
    np.testing.assert_array_equal(values, np.where(inside, image.pixels, 0))


def test_the_edge_of_a_coarse_plane_reaches_the_edge_of_the_image() -> None:
    prepared = ops.resize(Image(np.ones((100, 90), np.float32)), ops.Resize(rows=7, columns=8))
    np.testing.assert_allclose(restored(prepared.pixels, prepared, (100, 90)), 1, rtol=1e-6)


def test_a_fine_plane_comes_back_as_means() -> None:
    prepared = ops.resize(Image(np.ones((4, 4), np.float32)), ops.Resize(rows=16, columns=16))
    values = np.indices((16, 16)).sum(0).astype(np.float32) % 2
    np.testing.assert_allclose(restored(values, prepared, (4, 4)), 0.5)


def test_a_volume_and_values_of_another_shape_are_refused() -> None:
    with pytest.raises(Excluded, match="MODEL_INPUT_SHAPE"):
        restored(np.ones((4, 4), np.float32), Image(np.ones((2, 4, 4), np.float32)), (4, 4))
    with pytest.raises(ValueError, match="values of"):
        restored(np.ones((4, 5), np.float32), Image(np.ones((4, 4), np.float32)), (4, 4))
    with pytest.raises(ValueError, match="decoded"):
        restored(np.ones((4, 4), np.float32), Image(np.ones((4, 4), np.float32)), (8, 8))


SIDES = st.integers(70, 260)
STEPS = st.one_of(
    st.builds(ops.Resize, rows=SIDES, columns=SIDES, keep_aspect=st.booleans()),
    st.builds(ops.Pad, rows=st.integers(200, 330), columns=st.integers(200, 330), value=st.just(-1000.0)),
    st.builds(ops.CentreCrop, rows=SIDES, columns=SIDES),
    st.builds(ops.BoxCrop, top=st.integers(0, 40), left=st.integers(0, 40), rows=SIDES, columns=SIDES),
    st.builds(ops.Orient, axial=st.sampled_from(["LP", "RP", "LA", "RA"])),
    st.builds(ops.Resample, row_mm=st.floats(0.3, 1.2), column_mm=st.floats(0.3, 1.2)),
)
ORIENTATIONS = st.sampled_from([TRANSPOSED, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)])


@settings(deadline=None, max_examples=150)
@given(st.lists(STEPS, min_size=1, max_size=5), ORIENTATIONS)
def test_a_mask_comes_back_from_any_chain(steps: list[Any], orientation: Any) -> None:
    image = scan(np.zeros((160, 200)), orientation=orientation)
    try:
        prepared = preprocess(image, PreprocessSpec(steps=tuple(steps)))
    except (Excluded, ValueError):  # does not fit
        assume(False)
    valid = np.ones(prepared.pixels.shape, bool) if prepared.valid is None else prepared.valid
    kept = BLOB & (restored(valid.astype(np.float32), prepared, (160, 200)) >= 0.5)
    assume(kept.sum() > 300)
    assume(prepared.grid is None or max(map(abs, prepared.grid.step)) < 3)  # coarser pixels cannot draw the blob
    assert dice(back(prepared, (160, 200)) >= 0.5, kept) > 0.9
