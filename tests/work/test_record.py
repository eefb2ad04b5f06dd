"""A sample as bytes and back, and the stored types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydantic import ValidationError

from medray.bundles.input_spec import InputSpec
from medray.bundles.stored import numbers, stored
from medray.errors import Excluded
from medray.features.table import FeatureSpec
from medray.imaging.preprocess import PreprocessSpec
from medray.work.record import Record

SHAPES = st.sampled_from([(5,), (3, 4), (7, 9), (3, 4, 5)])


@given(st.data(), st.sampled_from(["uint8", "uint16", "float16", "float32"]), st.booleans())
def test_samples_come_back_as_they_were(data: st.DataObject, dtype: str, masked: bool) -> None:
    shape = data.draw(SHAPES)
    record = Record(dtype, shape, masked and len(shape) > 1)
    values = data.draw(arrays.arrays(dtype, (3, *shape), elements=arrays.from_dtype(np.dtype(dtype), allow_nan=False)))
    masks = data.draw(arrays.arrays(np.bool_, (3, *shape[-2:])))
    packed = [record.packed(one, mask if record.masked else None) for one, mask in zip(values, masks, strict=True)]
    assert {len(one) for one in packed} == {record.size}
    rows = np.frombuffer(b"".join(packed), np.uint8).reshape(3, -1)
    np.testing.assert_array_equal(record.numbers(rows), numbers(values))
    if record.masked:
        np.testing.assert_array_equal(record.masks(rows), masks[:, None])


def test_a_sample_without_a_mask_has_nothing_marked() -> None:
    record = Record("float32", (3, 5), masked=True)
    row = np.frombuffer(record.packed(np.ones((3, 5), np.float32)), np.uint8)[None]
    assert not record.masks(row).any()
    assert record.masks(row[:0]).shape == (0, 1, 3, 5)
    assert record.numbers(row[:0]).shape == (0, 3, 5)


@pytest.mark.parametrize(("dtype", "step"), [("uint8", 1 / 255), ("uint16", 1 / 65535)])
@given(arrays.arrays(np.float32, (40,), elements=st.floats(0, 1, width=32)))
def test_levels_are_the_nearest_ones(dtype: Any, step: float, values: np.ndarray) -> None:
    back = numbers(stored(values, dtype))
    assert back.dtype == np.float32
    assert np.abs(back - values).max() <= step / 2 * 1.01
    np.testing.assert_array_equal(numbers(stored(back, dtype)), back)


@pytest.mark.parametrize(
    ("dtype", "values"),
    [("uint8", [0, 1.01]), ("uint16", [-0.01, 1]), ("float16", [1e5]), ("uint8", [np.nan]), ("float16", [0, np.nan])],
)
def test_what_a_type_does_not_hold_is_excluded(dtype: Any, values: list[float]) -> None:
    with pytest.raises(Excluded, match="VALUES_RANGE"):
        stored(np.float32(values), dtype)


def test_an_input_says_what_it_can_be_stored_as() -> None:
    grey, bounded = ({"steps": [{"op": op}]} for op in ("zscore", "minmax"))
    assert InputSpec(preprocess=PreprocessSpec.model_validate(bounded), stored="uint8").stored == "uint8"
    with pytest.raises(ValidationError, match="needs values between 0 and 1"):
        InputSpec(preprocess=PreprocessSpec.model_validate(grey), stored="uint8")
    with pytest.raises(ValidationError, match="features are float32"):
        InputSpec(preprocess=PreprocessSpec.model_validate(bounded), features=FeatureSpec(), stored="float16")
