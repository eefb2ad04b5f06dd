"""Standardised uptake values: the pixels, their units, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from dicom_series import as_bytes
from pydantic import ValidationError
from quantity_images import STORED, ct, pet, pet_dataset

from medray.bundles.input_spec import InputSpec
from medray.data.dicom import decode
from medray.data.volume import build_volume
from medray.errors import Excluded
from medray.imaging.ops.suv import UNITS
from medray.imaging.preprocess import PreprocessSpec, preprocess
from medray.imaging.table import Suv, suv
from medray.types import Header, Image

FACTOR = 70e3 / (370e6 * 2 ** (-3600 / 6586.2))


def series(**attributes: str) -> list[bytes]:
    """Three slices, each with a rescale slope of its own, as GE writes them."""
    slices = []
    for k, slope in enumerate(("1.5", "2.5", "4")):
        found = pet_dataset(STORED, RescaleSlope=slope, **attributes)
        found.ImagePositionPatient = [0, 0, float(k)]
        found.SOPInstanceUID = found.file_meta.MediaStorageSOPInstanceUID = f"{found.SOPInstanceUID}.{k}"
        found.InstanceNumber = k + 1
        slices.append(as_bytes(found))
    return slices


def test_activity_becomes_suv() -> None:
    image = decode(pet())
    assert image.header.units == "BQML"
    found = suv(image, Suv())
    np.testing.assert_allclose(found.pixels, STORED * 2.5 * FACTOR, rtol=1e-6)
    assert (found.header.units, UNITS, found.suv) == (UNITS, "{SUVbw}g/ml", None)
    assert suv(found, Suv()) is found


def test_gml_keeps_its_values() -> None:
    found = suv(decode(pet(Units="GML")), Suv())
    np.testing.assert_array_equal(found.pixels, STORED * np.float32(2.5))
    assert found.header.units == UNITS


def test_the_window_of_other_units_is_dropped() -> None:
    image = decode(pet(WindowCenter="800", WindowWidth="1600"))
    assert image.header.voi_window == (800, 1600)
    assert suv(image, Suv()).header.voi_window is None


def test_a_volume_of_slices_with_different_slopes() -> None:
    volume = build_volume(series())
    found = suv(volume.image(), Suv())
    for k, slope in enumerate((1.5, 2.5, 4)):
        np.testing.assert_allclose(found.pixels[k], STORED * slope * FACTOR, rtol=1e-6)
    assert found.header.units == UNITS


def test_a_crop_before_it_changes_nothing() -> None:
    spec = PreprocessSpec.model_validate({"steps": [{"op": "box_crop", "rows": 3, "columns": 4}, {"op": "suv"}]})
    np.testing.assert_allclose(preprocess(decode(pet()), spec).pixels, STORED[:3, :4] * 2.5 * FACTOR, rtol=1e-6)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (decode(pet(PatientWeight=None)), "Patient's Weight"),
        (decode(pet(Units="PROPCNTS")), "PROPCNTS"),
        (decode(ct()), "no PET image"),
        (Image(np.ones((4, 4), np.float32)), "no PET image"),
        (build_volume(series(PatientWeight="0")).image(), "Patient's Weight"),
    ],
)
def test_what_is_no_suv_is_refused(image: Image, said: str) -> None:
    with pytest.raises(Excluded) as caught:
        suv(image, Suv())
    assert caught.value.code == "SUV_UNKNOWN"
    assert said in caught.value.message


def test_no_other_units_are_taken_for_activity() -> None:
    spec = PreprocessSpec.model_validate({"steps": [{"op": "minmax"}, {"op": "suv"}]})
    with pytest.raises(Excluded, match="SUV_UNKNOWN"):
        preprocess(decode(pet()), spec)


def test_units_of_a_scope_are_those_that_the_op_brings() -> None:
    assert PreprocessSpec.model_validate({"steps": [{"op": "suv"}, {"op": "minmax"}]}).brings_units
    assert not PreprocessSpec.model_validate({"steps": [{"op": "minmax"}]}).brings_units
    with pytest.raises(ValidationError, match=r"\[0, 1\]"):
        InputSpec.model_validate({"preprocess": {"steps": [{"op": "minmax"}, {"op": "suv"}, {"op": "gamma"}]}})


def test_pixels_stay_finite() -> None:
    image = decode(pet())
    assert image.suv is not None
    huge = replace(image, suv=replace(image.suv, factor=1e38), header=Header(units="BQML"))
    assert np.isfinite(suv(huge, Suv()).pixels).all()
