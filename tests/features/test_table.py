"""The feature table: fixed columns, any image, and no trace of the image's size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from pydicom import dcmread
from pydicom.data import get_testdata_file

from medray.errors import Excluded
from medray.features.edges import EdgesParams
from medray.features.families import FAMILIES
from medray.features.family import Reason
from medray.features.haralick import HaralickParams
from medray.features.intensity import IntensityParams
from medray.features.shape import ShapeParams
from medray.features.table import FeatureSpec, columns, extract, features
from medray.imaging.preprocess import PreprocessSpec, preprocess
from medray.imaging.table import Percentile, Resize
from medray.types import Image

SPEC = FeatureSpec()
EVERY = FeatureSpec.model_validate({"families": [{"family": name} for name in FAMILIES]})
PREPROCESS = PreprocessSpec(steps=(Percentile(), Resize(rows=128, columns=128)))


def ct() -> Image:
    return Image(dcmread(get_testdata_file("CT_small.dcm")).pixel_array.astype(np.float32))


images = st.tuples(st.integers(1, 40), st.integers(1, 40), st.booleans()).flatmap(
    lambda size: st.builds(
        Image,
        arrays(np.float32, size[:2], elements=st.floats(0, 1, width=32)),
        arrays(bool, size[:2]) if size[2] else st.none(),
    )
)


@settings(deadline=None, max_examples=60)
@given(images)
def test_any_image_gives_one_value_a_column(image: Image) -> None:
    found = extract(image, EVERY)
    row = found.values
    assert row.dtype == np.float64
    assert set(found.reasons) == set(np.flatnonzero(np.isnan(row)))
    assert row.shape == (len(columns(EVERY)),)
    assert not np.isinf(row).any()
    np.testing.assert_array_equal(row, extract(image, EVERY).values)


ODD = {
    "one pixel": np.full((1, 1), 0.4),
    "two pixels": np.array([[0.1, 0.9]]),
    "a row": np.linspace(0, 1, 300)[None],
    "a column": np.linspace(0, 1, 300)[:, None],
    "black": np.zeros((20, 30)),
    "constant": np.full((20, 30), 0.3),
    "one bright pixel": np.eye(20) * (np.arange(20) == 9),
    "Hounsfield units": np.random.default_rng(0).normal(-200, 600, (40, 30)),
    "huge values": np.random.default_rng(1).normal(0, 1e15, (40, 30)),
    "tiny values": np.random.default_rng(2).random((40, 30)) * 1e-30,
}


@pytest.mark.parametrize("region", ["none", "one pixel", "two far pixels", "a line"])
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.filterwarnings("error")
def test_odd_images_and_regions_give_values_or_reasons(name: str, region: str) -> None:
    spec = FeatureSpec.model_validate({"families": [{"family": name}]})
    for pixels in ODD.values():
        mask = np.zeros(pixels.shape, bool)
        if region == "one pixel":
            mask[pixels.shape[0] // 2, pixels.shape[1] // 2] = True
        elif region == "two far pixels":
            mask[0, 0] = mask[-1, -1] = True
        elif region == "a line":
            mask[pixels.shape[0] // 2] = True
        found = extract(Image(pixels.astype(np.float32), mask=None if region == "none" else mask), spec)
        assert set(found.reasons) == set(np.flatnonzero(~np.isfinite(found.values)))
        assert not np.isinf(found.values).any()


@pytest.mark.parametrize("name", FAMILIES)
def test_an_empty_mask_is_a_reason(name: str) -> None:
    spec = FeatureSpec.model_validate({"families": [{"family": name}]})
    found = extract(Image(np.ones((8, 8), np.float32), mask=np.zeros((8, 8), bool)), spec)
    assert set(found.reasons.values()) == {Reason.EMPTY}
    assert len(found.reasons) == len(columns(spec))


def test_pixels_that_are_no_numbers_and_too_many_pixels_are_refused() -> None:
    with pytest.raises(Excluded, match="IMAGE_NOT_FINITE"):
        extract(Image(np.array([[0, np.nan]], np.float32)), SPEC)
    with pytest.raises(Excluded, match="IMAGE_TOO_LARGE"):
        extract(Image(np.broadcast_to(np.float32(0), (20_000, 20_000))), SPEC)


def test_a_real_image_has_every_feature() -> None:
    row = extract(preprocess(ct(), PREPROCESS), SPEC).values
    assert np.isfinite(row).all()


def test_names_differ_and_start_with_their_family() -> None:
    for params in SPEC.families:
        names = [feature.name for feature in FAMILIES[params.family].features(params)]
        assert all(name.startswith(f"{params.family}_") for name in names)
    assert len(set(columns(EVERY))) == len(columns(EVERY)) > 400


def test_every_feature_is_defined() -> None:
    for feature in features(EVERY):
        assert feature.name.replace("_", "").replace(".", "").replace("-", "").isalnum(), feature
        assert len(feature.definition) > 3, feature
        assert len(feature.source) > 3, feature


def test_the_default_has_the_columns_of_earlier_releases_by_their_new_names() -> None:
    found = [(params.family, len(FAMILIES[params.family].features(params))) for params in SPEC.families]
    assert found == [("intensity", 50), ("haralick", 27), ("lbp", 30), ("edges", 16), ("hog", 128), ("shape", 29)]


def test_families_stand_in_the_order_of_the_spec() -> None:
    spec = FeatureSpec(families=(EdgesParams(), IntensityParams()))
    image = preprocess(ct(), PREPROCESS)
    expected = np.concatenate([extract(image, FeatureSpec(families=(params,))).values for params in spec.families])
    np.testing.assert_array_equal(extract(image, spec).values, expected)
    assert columns(spec)[0].startswith("edges_")


def test_padding_is_not_measured() -> None:
    image = preprocess(ct(), PREPROCESS)
    names = ("haralick", "lbp", "gabor", "fourier", "fractal", "moments", "symmetry")
    families = [{"family": "intensity", "grid": 0, "centre": False}, *({"family": name} for name in names)]
    spec = FeatureSpec.model_validate({"families": families})
    padded = Image(np.pad(image.pixels, 20, constant_values=0.9), np.pad(np.ones((128, 128), bool), 20))
    np.testing.assert_allclose(extract(padded, spec).values, extract(image, spec).values, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("families", [(ShapeParams(), ShapeParams()), [{"family": "colour"}], [{"grid": 4}]])
def test_wrong_specs_are_refused(families: object) -> None:
    with pytest.raises(ValidationError):
        FeatureSpec(families=families)


def test_spec_round_trips() -> None:
    spec = FeatureSpec(families=(IntensityParams(grid=3), HaralickParams(distances=(2,))))
    again = FeatureSpec.model_validate_json(spec.model_dump_json())
    assert again == spec
    assert again.fingerprint() != SPEC.fingerprint()
