"""Preprocessing specs: order, output shape, fingerprint."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import SHARED
from placed_images import world
from pydantic import ValidationError
from pydicom import dcmread
from pydicom.data import get_testdata_file

from medray.data.volume import build_volume
from medray.errors import Excluded
from medray.imaging.op import OpSpec
from medray.imaging.preprocess import PreprocessSpec, preprocess
from medray.imaging.table import (
    BodyCrop,
    BreastCrop,
    CentreCrop,
    Clahe,
    ForegroundCrop,
    Gamma,
    HistogramMatch,
    Minmax,
    Orient,
    Pad,
    Percentile,
    Resample,
    Resize,
    Window,
    Zscore,
    clahe,
    window,
)
from medray.types import Image

FIT = Resize(rows=64, columns=96, keep_aspect=True)


def ct() -> Image:
    return Image(dcmread(get_testdata_file("CT_small.dcm")).pixel_array.astype(np.float32))


def test_steps_run_in_order() -> None:
    result = preprocess(ct(), PreprocessSpec(steps=(Window(), Clahe())))
    np.testing.assert_array_equal(result.pixels, clahe(window(ct(), Window()), Clahe()).pixels)


def test_no_steps_leave_the_image_alone() -> None:
    np.testing.assert_array_equal(preprocess(ct(), PreprocessSpec()).pixels, ct().pixels)


@pytest.mark.parametrize(
    ("steps", "shape"),
    [
        ((), None),
        ((Window(),), None),
        ((FIT,), None),
        ((FIT, Pad(rows=64, columns=96), Percentile()), (64, 96)),
        ((Resize(rows=8, columns=9),), (8, 9)),
        ((Resize(rows=8, columns=9), ForegroundCrop()), None),
    ],
)
def test_output_shape_is_the_one_that_results(steps: tuple, shape: tuple[int, int] | None) -> None:
    spec = PreprocessSpec(steps=steps)
    assert spec.output_shape == shape
    if shape is not None:
        assert preprocess(ct(), spec).pixels.shape == shape


def test_spec_round_trips_through_json_with_the_same_fingerprint() -> None:
    spec = PreprocessSpec(steps=(Window(centre=40, width=400), FIT, Pad(rows=64, columns=96)))
    again = PreprocessSpec.model_validate(json.loads(spec.model_dump_json()))
    assert again == spec
    assert again.fingerprint() == spec.fingerprint()
    assert spec.fingerprint() != PreprocessSpec(steps=spec.steps[:2]).fingerprint()


@pytest.mark.parametrize(
    "steps", [[{"op": "sharpen"}], [{"op": "window", "level": 40}], [FIT, {"op": "pad", "rows": 64, "columns": 64}]]
)
def test_wrong_steps_are_refused(steps: list) -> None:
    with pytest.raises(ValidationError):
        PreprocessSpec(steps=steps)


def test_too_large_an_image_is_excluded_before_anything_is_done() -> None:
    image = Image(np.broadcast_to(np.float32(0), (20_000, 20_000)))
    with pytest.raises(Excluded, match="IMAGE_TOO_LARGE"):
        preprocess(image, PreprocessSpec(steps=(Window(),)))


@pytest.mark.parametrize("shape", [(2, 3, 4), (4,)])
def test_an_op_for_planes_refuses_other_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(Excluded, match="OP_DIMENSIONS"):
        preprocess(Image(np.zeros(shape, np.float32)), PreprocessSpec(steps=(BreastCrop(),)))


def test_a_series_becomes_an_oriented_isotropic_windowed_crop() -> None:
    series = SHARED / "data" / "series" / "ct-phantom"
    if not series.is_dir():
        pytest.skip("the series is not on this machine")
    volume = build_volume(series)
    steps = (
        Orient(volume="PIR"),
        Resample(row_mm=2, column_mm=2, slice_mm=2),
        BodyCrop(threshold=-300, margin=2),
        Window(centre=40, width=400),
        CentreCrop(rows=40, columns=60, slices=50),
    )
    result = preprocess(volume.image(), PreprocessSpec(steps=steps))
    assert result.pixels.shape == (50, 40, 60)
    assert result.spacing_mm == (2, 2, 2)
    assert result.header.orientation == (0, 1, 0, 0, 0, -1)
    assert 0 <= result.pixels.min() < 0.01
    assert result.pixels.max() == 1
    inverse = np.linalg.inv(volume.affine)
    for index in ((10, 10, 10), (25, 20, 30), (45, 35, 50)):
        column, row, place = np.rint(inverse @ [*world(result, index), 1])[:3].astype(int)
        near = volume.voxels[place - 1 : place + 2, row - 4 : row + 5, column - 4 : column + 5]
        shown = np.clip((near - (40 - 200)) / 400, 0, 1)
        assert shown.min() - 0.01 <= result.pixels[index] <= shown.max() + 0.01


@pytest.mark.parametrize(
    "before",
    [(), (Resize(rows=8, columns=9),), (Window(), Zscore()), (Window(), HistogramMatch(reference=(0, 9)))],
)
@pytest.mark.parametrize("op", [Clahe(), Gamma()])
def test_an_op_of_the_unit_range_needs_one_that_makes_it(before: tuple, op: OpSpec) -> None:
    with pytest.raises(ValidationError, match=r"takes an image in \[0, 1\]"):
        PreprocessSpec(steps=(*before, op))


@pytest.mark.parametrize("before", [(Percentile(), FIT), (Minmax(), Clahe()), (HistogramMatch(reference=(0, 0.5, 1)),)])
def test_an_op_of_the_unit_range_may_follow_at_any_distance(before: tuple) -> None:
    assert preprocess(ct(), PreprocessSpec(steps=(*before, Gamma(gamma=0.5)))).pixels.max() <= 1
