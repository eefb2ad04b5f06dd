"""Radiomics through the feature table: bad input, reasons and parameters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from medray.errors import Excluded, Quarantined
from medray.features.family import Reason
from medray.features.radiomics.family import RADIOMICS
from medray.features.radiomics.params import RadiomicsParams
from medray.features.table import FeatureSpec, columns, extract, features
from medray.types import Header, Image

SPACING = Header(spacing_mm=(0.7, 0.5))
EVERYTHING = ("original", "log", "wavelet", "square", "squareroot", "logarithm", "exponential", "gradient")
ALL = ("firstorder", "shape", "shape2D", "glcm", "glrlm", "glszm", "ngtdm", "gldm")


def reasons(image: Image, **params: object) -> dict[Reason, set[str]]:
    """The columns that are NaN, by reason."""
    spec = FeatureSpec(families=(RadiomicsParams.model_validate(params),))
    found, names = extract(image, spec), columns(spec)
    assert set(found.reasons) == set(np.flatnonzero(np.isnan(found.values)))
    return {why: {names[n] for n, one in found.reasons.items() if one == why} for why in set(found.reasons.values())}


def textured(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(100, 50, shape).astype(np.float32)


images = st.tuples(st.integers(0, 2), st.integers(1, 7), st.integers(1, 7), st.booleans(), st.booleans()).flatmap(
    lambda drawn: st.builds(
        Image,
        arrays(np.float32, drawn[drawn[0] == 0 : 3], elements=st.sampled_from([0, 1, 30, 31.5, -200, 3e4, 1e30, -3e38, 1e-40])),
        header=st.just(SPACING if drawn[3] else Header()),
        mask=arrays(bool, drawn[drawn[0] == 0 : 3]) if drawn[4] else st.none(),
        slice_spacing_mm=st.just(2.0),
    )
)


@settings(deadline=None, max_examples=60)
@given(images, st.sampled_from([2, 3]), st.sampled_from([None, 8]))
def test_every_column_has_a_value_or_a_reason(image: Image, dimensions: int, count: int | None) -> None:
    params = RadiomicsParams(classes=ALL, filters=EVERYTHING, dimensions=dimensions, bin_count=count, sigmas=(1,))
    found = extract(image, FeatureSpec(families=(params,)))
    assert found.values.shape == (len(RADIOMICS.features(params)),)
    assert set(found.reasons) == set(np.flatnonzero(np.isnan(found.values)))
    assert not np.isinf(found.values).any()
    np.testing.assert_array_equal(found.values, extract(image, FeatureSpec(families=(params,))).values)


def test_an_image_with_everything_lacks_nothing() -> None:
    image = Image(textured(40, 50), header=SPACING)
    assert reasons(image) == {}
    assert reasons(image, filters=EVERYTHING, bin_count=16, distances=(1, 2)) == {}
    volume = Image(textured(6, 12, 14), header=SPACING, slice_spacing_mm=2)
    assert reasons(volume, dimensions=3, filters=EVERYTHING, bin_count=16) == {}


def test_columns_are_the_products_of_images_classes_and_features() -> None:
    spec = FeatureSpec(families=(RadiomicsParams(filters=EVERYTHING, sigmas=(2,)),))
    assert len(columns(spec)) == 9 + (18 + 75) * 11
    assert {"original_glcm_Contrast", "wavelet-LH_glszm_ZonePercentage", "log-sigma-2-0-mm-2D_firstorder_Mean"} < set(
        columns(spec)
    )
    for feature in features(spec):
        assert "IBSI" in feature.source or "pyradiomics" in feature.source
        assert feature.definition


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (Image(textured(9, 9), mask=np.zeros((9, 9), bool)), Reason.EMPTY),
        (Image(textured(0, 9)), Reason.EMPTY),
        (Image(textured(9, 9), np.zeros((9, 9), bool)), Reason.EMPTY),
    ],
)
def test_an_empty_region_has_no_feature(image: Image, reason: Reason) -> None:
    assert reasons(image) == {reason: set(columns(FeatureSpec(families=(RadiomicsParams(),))))}


@pytest.mark.parametrize("shape", [(1, 1), (9, 9)])
def test_one_pixel_has_the_features_of_one_pixel(shape: tuple[int, int]) -> None:
    mask = np.zeros(shape, bool)
    mask[-1, -1] = True
    found = reasons(Image(textured(*shape), header=SPACING, mask=mask))
    assert found.pop(Reason.CONSTANT) == {"original_firstorder_Kurtosis", "original_firstorder_Skewness"}
    assert {name.split("_")[1] for name in found[Reason.TOO_SMALL]} == {"shape2D", "glcm", "glrlm", "ngtdm"}
    assert set(found) == {Reason.TOO_SMALL}
    assert "original_shape2D_MeshSurface" not in found[Reason.TOO_SMALL]


def test_a_line_has_textures_along_it() -> None:
    assert reasons(Image(textured(1, 30), header=SPACING)) == {}


def test_unknown_spacing_takes_shape_and_what_is_in_mm() -> None:
    found = reasons(Image(textured(20, 20)), filters=("original", "log", "gradient"), sigmas=(1,))
    kinds = {"_".join(name.split("_")[:2]) for name in found[Reason.NO_SPACING]}
    assert {"original_shape2D", "gradient_glcm", "log-sigma-1-0-mm-2D_ngtdm"} < kinds
    assert not any(name.startswith("original_gl") for name in found[Reason.NO_SPACING])
    in_pixels = reasons(Image(textured(20, 20)), filters=("log", "gradient"), sigmas=(1,), length_unit="px", classes=("glcm",))
    assert in_pixels == {}


def test_too_many_levels_take_the_textures() -> None:
    found = reasons(Image(textured(20, 20) * 1000, header=SPACING), bin_width=1)
    assert set(found) == {Reason.TOO_MANY_LEVELS}
    assert {name.split("_")[1] for name in found[Reason.TOO_MANY_LEVELS]} == {
        "firstorder",
        "glcm",
        "glrlm",
        "glszm",
        "ngtdm",
        "gldm",
    }
    assert len(found[Reason.TOO_MANY_LEVELS]) == 75 + 2


def test_dimensions_must_fit() -> None:
    plane, volume = Image(textured(9, 9), header=SPACING), Image(textured(3, 9, 9), header=SPACING, slice_spacing_mm=1)
    assert set(reasons(plane, dimensions=3)) == {Reason.DIMENSIONS}
    found = reasons(volume, classes=ALL)
    assert {name.split("_")[1] for name in found[Reason.DIMENSIONS]} == {"shape2D"}
    assert set(found) == {Reason.DIMENSIONS}


def test_values_outside_the_limits_count_for_shape_alone() -> None:
    image = Image(textured(20, 20), header=SPACING)
    names = columns(FeatureSpec(families=(RadiomicsParams(),)))
    spec = FeatureSpec(families=(RadiomicsParams(resegment=(80, 120)),))
    found = dict(zip(names, extract(image, spec).values, strict=True))
    assert 80 <= found["original_firstorder_Minimum"] < found["original_firstorder_Maximum"] <= 120
    assert found["original_shape2D_PixelSurface"] == pytest.approx(400 * 0.35)
    nothing = reasons(image, resegment=(1e6, 2e6))
    assert len(nothing[Reason.EMPTY]) == 18 + 75


def test_filters_of_a_black_image_are_undefined() -> None:
    found = reasons(Image(np.zeros((9, 9), np.float32), header=SPACING), filters=("square", "exponential"), classes=("glszm",))
    assert set(found) == {Reason.UNDEFINED}


@pytest.mark.parametrize(
    ("pixels", "code"),
    [
        (np.full((4, 4), np.nan, np.float32), "IMAGE_NOT_FINITE"),
        (np.broadcast_to(np.float32(1), (20_000, 20_000)), "IMAGE_TOO_LARGE"),
    ],
    ids=["nan", "20,000 x 20,000"],
)
def test_what_cannot_be_measured_is_excluded(pixels: np.ndarray, code: str) -> None:
    with pytest.raises(Excluded) as caught:
        extract(Image(pixels), FeatureSpec(families=(RadiomicsParams(),)))
    assert caught.value.code == code


@pytest.mark.parametrize("shape", [(4, 4), (9, 9), (5,), (1, 5, 5)])
def test_a_mask_of_another_size_is_quarantined(shape: tuple[int, ...]) -> None:
    for image in (Image(textured(5, 5), mask=np.ones(shape, bool)), Image(textured(5, 5), np.ones(shape, bool))):
        with pytest.raises(Quarantined) as caught:
            extract(image, FeatureSpec(families=(RadiomicsParams(),)))
        assert caught.value.code == "MASK_SIZE"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"bin_width": -5}, "greater than 0"),
        ({"bin_width": 0}, "greater than 0"),
        ({"bin_count": 1}, "greater than or equal to 2"),
        ({"bin_count": 5000}, "less than or equal to 1024"),
        ({"bin_width": 5, "bin_count": 32}, "not both"),
        ({"distances": (0,)}, "greater than or equal to 1"),
        ({"distances": (1, 1)}, "must differ"),
        ({"distances": ()}, "at least 1 item"),
        ({"filters": ("sharpen",)}, "'original', 'log'"),
        ({"classes": ("glcm", "glcm")}, "must differ"),
        ({"resegment": (5, 1)}, "lowest"),
        ({"sigmas": (-1,)}, "greater than 0"),
        ({"gldm_alpha": -1}, "greater than or equal to 0"),
        ({"dimensions": 4}, "2 or 3"),
    ],
    ids=str,
)
def test_wrong_parameters_are_refused_with_their_range(params: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RadiomicsParams.model_validate(params)


def test_directions_are_measured_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image(np.random.default_rng(0).normal(0, 100, (5, 8, 9)).astype(np.float32))
    params = RadiomicsParams(dimensions=3, classes=("glcm",), distances=(1, 2), bin_count=8)
    whole = RADIOMICS.extract(image, params).values
    monkeypatch.setattr("medray.features.radiomics.classes.glcm.MOST_CELLS", 5 * 8**2)
    assert RADIOMICS.extract(image, params).values == pytest.approx(whole, rel=1e-12)


def test_run_lengths_of_a_line_with_too_many_cells_are_not_measured() -> None:
    image = Image(np.arange(1 << 18, dtype=np.float32)[None])
    found = RADIOMICS.extract(image, RadiomicsParams(classes=("glrlm",), bin_count=1024))
    assert set(found.reasons.values()) == {Reason.TOO_LARGE}
    assert len(found.reasons) == len(found.values)
