"""Preprocessing ops keep dtype, range, mask and header in step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_windowing

from medray.errors import Excluded, Quarantined
from medray.imaging import table as ops
from medray.types import Header, Image

SPECS = [
    ops.Window(),
    ops.Window(centre=0.3, width=5),
    ops.Percentile(low=1, high=99),
    ops.ForegroundCrop(threshold=0.2, margin=1),
    ops.Median(kernel=5),
    ops.Gaussian(sigma=1.4),
    ops.Clahe(tiles=3),
    ops.Resize(rows=5, columns=7),
    ops.Resize(rows=9, columns=4, keep_aspect=True),
    ops.Pad(rows=20, columns=21),
    ops.BodyCrop(opening=1, outside="invalid"),
    ops.BodyCrop(threshold=100, margin=2),
    ops.BoxCrop(top=1, left=2, rows=4, columns=3),
    ops.BreastCrop(outside="invalid"),
    ops.CentreCrop(rows=5, columns=4),
    ops.Check(),
    ops.Collimator(level=0.3, straightness=0.8),
    ops.Collimator(level=0.3, straightness=0.8, action="invalid"),
    ops.Fill(modality="US", spacing_mm=(0.1, 0.2)),
    ops.LungCrop(threshold=-100, outside="invalid"),
    ops.Orient(unknown="keep"),
    ops.Resample(row_mm=0.7, column_mm=0.3),
    ops.TextMask(lowest=2),
    ops.TextMask(lowest=2, fill="inpaint"),
    ops.BiasField(shrink=1, levels=1, iterations=2),
]
MARK_INVALID = ops.Pad | ops.TextMask | ops.Collimator | ops.BodyCrop | ops.BreastCrop | ops.LungCrop
"""Ops that may make a mask of valid pixels."""
HEADER = Header(spacing_mm=(0.4, 0.2), position_mm=(1.0, 2.0, 3.0), orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0))


def apply(image: Image, spec: Any) -> Image:
    return ops.OPS[spec.op](image, spec)


def ct() -> Image:
    """A CT slice of 128 x 128 in Hounsfield units."""
    dataset = dcmread(get_testdata_file("CT_small.dcm"))
    pixels = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    return Image(pixels.astype(np.float32), header=Header(spacing_mm=(0.5, 0.25), voi_window=(40.0, 400.0)))


def masked(pixels: np.ndarray, valid: np.ndarray) -> Image:
    return Image(pixels.astype(np.float32), valid)


images = st.tuples(st.integers(1, 20), st.integers(1, 20), st.booleans()).flatmap(
    lambda size: st.builds(
        Image,
        arrays(np.float32, size[:2], elements=st.floats(-1000, 4000, width=32)),
        arrays(bool, size[:2]).filter(lambda valid: bool(valid.any())) if size[2] else st.none(),
        st.just(HEADER),
        mask=arrays(bool, size[:2]) if size[2] else st.none(),
    )
)


@settings(deadline=None, max_examples=50)
@given(images)
@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_every_op_keeps_the_invariants(spec: Any, image: Image) -> None:
    before = image.pixels.copy()
    try:
        result = apply(image, spec)
    except Excluded:
        return
    assert result.pixels.dtype == np.float32
    assert result.pixels.flags.c_contiguous
    assert result.pixels.size > 0
    assert np.isfinite(result.pixels).all()
    assert result.valid is not None or image.valid is None
    assert result.valid is None or image.valid is not None or isinstance(spec, MARK_INVALID)
    assert (result.mask is None) == (image.mask is None)
    for mask in (result.valid, result.mask):
        assert mask is None or (mask.dtype == bool and mask.shape == result.pixels.shape)
    if isinstance(spec, ops.Window | ops.Percentile | ops.Clahe):
        assert result.pixels.min() >= 0
        assert result.pixels.max() <= 1
    np.testing.assert_array_equal(image.pixels, before)
    np.testing.assert_array_equal(apply(image, spec).pixels, result.pixels)


def test_table_holds_every_spec_under_its_own_name() -> None:
    assert {spec.op for spec in SPECS} == set(ops.OPS)


def test_window_is_the_one_of_pydicom() -> None:
    dataset = dcmread(get_testdata_file("CT_small.dcm"))
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    image = ct()
    expected = apply_windowing(image.pixels.copy(), dataset)
    ours = ops.window(image, ops.Window(centre=40, width=400)).pixels
    scale = expected.max() - expected.min()
    np.testing.assert_allclose(ours, (expected - expected.min()) / scale, atol=1e-6)


def test_window_uses_the_images_own_window_and_then_drops_it() -> None:
    image = ct()
    own = ops.window(image, ops.Window())
    np.testing.assert_array_equal(own.pixels, ops.window(image, ops.Window(centre=40, width=400)).pixels)
    assert own.header.voi_window is None


def test_window_without_any_takes_the_range_of_valid_pixels() -> None:
    image = masked(np.array([[-2000, 10, 20, 30]]), np.array([[False, True, True, True]]))
    np.testing.assert_allclose(ops.window(image, ops.Window()).pixels, [[0, 0, 0.5, 1]])


def test_window_narrower_than_one_is_quarantined() -> None:
    image = ct()
    image = replace(image, header=replace(image.header, voi_window=(40.0, 0.0)))
    with pytest.raises(Quarantined, match="VOI_WINDOW_WIDTH"):
        ops.window(image, ops.Window())


def test_width_one_is_a_threshold_at_centre_minus_half() -> None:
    image = masked(np.array([[39.5, 39.6, 40.0]]), np.ones((1, 3), bool))
    np.testing.assert_array_equal(ops.window(image, ops.Window(centre=40, width=1)).pixels, [[0, 1, 1]])


def test_percentiles_ignore_padding() -> None:
    values = np.arange(101.0)
    image = masked(np.concatenate([values, [9999.0] * 50])[None], np.arange(151)[None] < 101)
    result = ops.percentile(image, ops.Percentile(low=10, high=90)).pixels[0]
    np.testing.assert_allclose(result[:101], np.clip((values - 10) / 80, 0, 1), atol=1e-6)


@pytest.mark.parametrize("spec", [ops.Percentile(), ops.Window()], ids=repr)
def test_constant_image_becomes_zeros(spec: Any) -> None:
    assert not apply(Image(np.full((4, 5), 7, np.float32)), spec).pixels.any()


def test_image_without_valid_pixels_is_quarantined() -> None:
    with pytest.raises(Quarantined, match="IMAGE_NO_VALID_PIXELS"):
        ops.percentile(masked(np.ones((2, 2)), np.zeros((2, 2), bool)), ops.Percentile())


def test_median_removes_a_lone_spike_and_gaussian_does_not_see_padding() -> None:
    pixels = np.ones((9, 9))
    pixels[4, 4] = 100
    smooth = ops.median(Image(pixels.astype(np.float32)), ops.Median()).pixels
    np.testing.assert_array_equal(smooth, np.ones((9, 9)))
    image = masked(pixels, pixels == 1)
    np.testing.assert_allclose(ops.gaussian(image, ops.Gaussian(sigma=0.8)).pixels, 1, rtol=1e-6)


def test_clahe_spreads_a_dull_image() -> None:
    image = ops.window(ct(), ops.Window(centre=0, width=4000))
    mild, strong = (ops.clahe(image, ops.Clahe(clip_limit=limit)).pixels.std() for limit in (2, 20))
    assert image.pixels.std() < mild < 0.7 * strong


@pytest.mark.parametrize(
    "build",
    [
        lambda: ops.Window(centre=1),
        lambda: ops.Window(centre=1, width=0.5),
        lambda: ops.Percentile(low=50, high=50),
        lambda: ops.Median(kernel=7),
        lambda: ops.Gaussian(sigma=0),
        lambda: ops.Resize(rows=0, columns=4),
        lambda: ops.Clahe(clip_limit=float("nan")),
    ],
)
def test_wrong_specs_are_refused(build: Any) -> None:
    with pytest.raises(ValidationError):
        build()
