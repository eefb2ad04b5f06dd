"""The IBSI family: its columns, its parameters, and any input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from features.ibsi.volumes import LEVELS, measured, names, random_levels, reasons, volume
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from pydicom import dcmread
from pydicom.data import get_testdata_file

from medray.errors import Excluded
from medray.features.family import Reason
from medray.features.ibsi.family import IBSI
from medray.features.ibsi.params import IbsiParams
from medray.features.table import FeatureSpec, columns, extract
from medray.types import Image

TEXTURES = ("ibsi_glcm", "ibsi_glrlm", "ibsi_glszm", "ibsi_gldzm", "ibsi_ngtdm", "ibsi_ngldm")
SPEC = FeatureSpec(families=(IbsiParams(),))


def test_columns_are_unique_and_named_after_their_group() -> None:
    found = columns(SPEC)
    assert len(found) == len(set(found)) == 482
    assert "ibsi_glcm_joint_entropy_3d_averaged" in found
    assert "ibsi_glszm_zone_size_entropy_2_5d" in found


def test_a_choice_has_the_columns_and_values_of_all() -> None:
    image = volume(random_levels(4, 6, 7))
    everything = measured(image)
    params: dict[str, Any] = {"groups": ["ngtdm", "glcm", "ivh"], "dimensions": ["3d", "2d"], "merging": ["merged"]}
    some = measured(image, **params)
    assert some == pytest.approx({name: everything[name] for name in some}, rel=0, abs=0, nan_ok=True)
    assert len(some) == 25 * 2 + 5 * 2 + 6
    assert next(iter(some)) == "ngtdm_coarseness_3d"


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)).flatmap(
        lambda shape: st.tuples(
            arrays(np.float32, shape, elements=st.one_of(st.integers(0, 3), st.floats(-1e6, 1e6, width=32))), arrays(bool, shape)
        )
    ),
    st.booleans(),
    st.sampled_from(["fixed_bin_number", "fixed_bin_size", "none"]),
    st.sampled_from(["discrete", "continuous", "arbitrary"]),
    st.sampled_from([(None, None), (0, 2), (1, None)]),
)
def test_any_volume_has_a_value_or_a_reason(
    both: tuple[np.ndarray, np.ndarray], spaced: bool, discretisation: str, ivh: str, resegment: tuple[float | None, float | None]
) -> None:
    params = IbsiParams.model_validate({"discretisation": discretisation, "ivh": ivh, "resegment": resegment})
    image = volume(*both, spacing=(2, 1, 1) if spaced else None)
    found = extract(image, FeatureSpec(families=(params,)))
    assert set(found.reasons) == set(np.flatnonzero(np.isnan(found.values)).tolist())
    assert not np.isinf(found.values).any()
    np.testing.assert_array_equal(found.values, extract(image, FeatureSpec(families=(params,))).values)


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 1), (1, 40), (3, 1, 1)])
def test_the_smallest_images(shape: tuple[int, ...]) -> None:
    image = Image(np.full(shape, 3, np.float32))
    found = measured(image)
    assert found["statistics_mean_intensity"] == 3
    assert found["glszm_zone_percentage_2d"] > 0
    why = reasons(image)
    assert why["morphology_volume_mesh"] == (Reason.DIMENSIONS if len(shape) == 2 else Reason.NO_SPACING)
    assert why["glcm_correlation_2d_averaged"] == (Reason.TOO_SMALL if np.prod(shape[1:]) == 1 else Reason.CONSTANT)


def test_an_empty_mask_and_numbers_that_are_none() -> None:
    empty = extract(volume(random_levels(2, 3, 3), np.zeros((2, 3, 3))), SPEC)
    assert set(empty.reasons.values()) == {Reason.EMPTY}
    assert len(empty.reasons) == 482
    with pytest.raises(Excluded, match="IMAGE_NOT_FINITE"):
        extract(volume([[[1, np.nan]]]), SPEC)


def test_nothing_within_the_range() -> None:
    why = reasons(volume(random_levels(3, 4, 5)), resegment=(100, None))
    shape = [name for name in names() if name.startswith("morphology")]
    assert [name for name in shape if name in why] == [
        "morphology_centre_of_mass_shift",
        "morphology_integrated_intensity",
        "morphology_morans_i_index",
        "morphology_gearys_c_measure",
    ]
    assert set(why.values()) == {Reason.EMPTY}
    assert len(why) == 482 - 21


def test_the_shape_is_that_of_the_whole_mask() -> None:
    image = volume(random_levels(4, 6, 7))
    whole, part = measured(image), measured(image, resegment=(2, 4))
    assert part["morphology_volume_mesh"] == whole["morphology_volume_mesh"]
    assert part["morphology_morans_i_index"] != whole["morphology_morans_i_index"]
    assert (part["statistics_minimum_intensity"], part["statistics_maximum_intensity"]) == (2, 4)


def test_what_lies_outside_the_mask_changes_the_peaks_alone() -> None:
    levels = random_levels(3, 6, 7)
    padded = np.pad(levels, 2, constant_values=77)
    inside = np.pad(np.ones(levels.shape, bool), 2)
    whole, masked = measured(volume(levels)), measured(volume(padded, inside))
    changed = {name for name in whole if whole[name] != pytest.approx(masked[name], rel=1e-9, nan_ok=True)}
    assert changed == {"local_local_intensity_peak", "local_global_intensity_peak"}
    assert measured(volume(padded, valid=inside)) == pytest.approx(whole, rel=1e-9, nan_ok=True)


def test_real_planes() -> None:
    for name in ("CT_small.dcm", "MR_small.dcm"):
        image = Image(dcmread(get_testdata_file(name)).pixel_array.astype(np.float32))
        why = reasons(image, IbsiParams())
        assert set(why.values()) == {Reason.DIMENSIONS}
        assert len(why) == 25 + 2 + 41 * 2 + 16 * 2 + 5 + 17


@pytest.mark.parametrize(
    "wrong",
    [
        {"bin_number": 1},
        {"bin_number": 5000},
        {"bin_size": 0},
        {"bin_size": -25},
        {"bin_size": float("nan")},
        {"ivh_bin_size": -1},
        {"groups": []},
        {"groups": ["glcm", "glcm"]},
        {"groups": ["colour"]},
        {"dimensions": ["2d", "2d"]},
        {"merging": []},
        {"resegment": (5, 5)},
        {"resegment": (5, -5)},
        {"resegment": (5, float("inf"))},
        {"discretisation": "equal"},
        {"width": 3},
    ],
    ids=str,
)
def test_wrong_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IbsiParams.model_validate(wrong)


def test_parameters_round_trip() -> None:
    params = IbsiParams(groups=("glcm",), resegment=(None, 400), discretisation="fixed_bin_size")
    assert IbsiParams.model_validate_json(params.model_dump_json()) == params
    assert params.fingerprint() != LEVELS.fingerprint()


def test_every_feature_names_its_section_and_code() -> None:
    for feature in IBSI.features(IbsiParams()):
        assert feature.source.startswith("IBSI reference manual 3.")
        codes = feature.source.split(", ")[1:]
        assert all(len(code) == 4 and code.isalnum() for code in codes)
        assert len(codes) == (2 if feature.name.startswith(TEXTURES) else 1)
