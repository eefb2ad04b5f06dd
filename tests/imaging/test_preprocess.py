"""Preprocessing specs: order, output shape, fingerprint."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import ValidationError
from pydicom import dcmread
from pydicom.data import get_testdata_file

from medray.imaging.preprocess import PreprocessSpec, preprocess
from medray.imaging.table import Clahe, ForegroundCrop, Pad, Percentile, Resize, Window, clahe, window
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
