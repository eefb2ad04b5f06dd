"""Real-world value mappings: linear, by table, of frames, of mirrored images; what is ambiguous or none is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dicom_series import SeriesSpec, as_bytes, datasets, enhanced
from pydicom.sequence import Sequence
from pydicom.uid import MRImageStorage
from quantity_images import STORED, image, item, mapping

from medray.data.dicom import decode, inspect
from medray.data.volume import build_volume
from medray.errors import Excluded
from medray.imaging.table import RealWorld, real_world
from medray.types import Image

ADC = RealWorld(units="mm2/s")


def mr(*maps: Any, stored: Any = STORED, **attributes: Any) -> bytes:
    given = {"RescaleSlope": "2.5", "RescaleIntercept": "-40", **attributes}
    return as_bytes(image(MRImageStorage, "MR", stored, RealWorldValueMappingSequence=Sequence(maps), **given))


def code(data: bytes | Image, spec: RealWorld = ADC) -> str:
    with pytest.raises(Excluded) as caught:
        real_world(decode(data) if isinstance(data, bytes) else data, spec)
    return caught.value.code


def test_the_header_tells_the_mappings_and_the_pixels_stay() -> None:
    data = mr(mapping(), mapping("ms", label="T1"))
    header = inspect(data, len(data))
    assert header is not None
    assert (header.units, header.real_world_units, header.flags) == ("", ("mm2/s", "ms"), ())
    found = decode(data)
    assert found.header == header
    np.testing.assert_array_equal(found.pixels, STORED * np.float32(2.5) - 40)


@pytest.mark.parametrize("rescale", [("1", "0"), ("2.5", "-40"), ("-0.5", "3"), ("0.001", "1000")])
def test_stored_values_are_mapped_whatever_the_rescale(rescale: tuple[str, str]) -> None:
    slope, intercept = rescale
    found = decode(mr(mapping(slope=1.25e-6, intercept=3e-5), RescaleSlope=slope, RescaleIntercept=intercept))
    result = real_world(found, ADC)
    np.testing.assert_allclose(result.pixels, STORED * 1.25e-6 + 3e-5, rtol=2e-6, atol=1e-9 if slope != "0.001" else 1e-7)
    assert (result.header.units, result.valid, result.real_world) == ("mm2/s", None, ())


def test_it_needs_no_rescale() -> None:
    found = decode(mr(mapping(slope=3), RescaleSlope=None, RescaleIntercept=None))
    np.testing.assert_array_equal(real_world(found, ADC).pixels, STORED * np.float32(3))


def test_a_mirrored_image_is_mapped_by_its_stored_values() -> None:
    found = decode(mr(mapping(slope=2, intercept=1), PhotometricInterpretation="MONOCHROME1"))
    assert found.pixels[0, 0] > found.pixels[-1, -1]
    np.testing.assert_allclose(real_world(found, ADC).pixels, STORED * 2.0 + 1, rtol=1e-6)


def test_signed_values_and_their_range() -> None:
    stored = (STORED.astype(np.int16) - 500).astype(np.int16)
    found = decode(mr(mapping(slope=1, first=-100, last=300, vr="SS"), stored=stored))
    result = real_world(found, ADC)
    np.testing.assert_allclose(result.pixels, stored, atol=1e-4)
    assert result.valid is not None
    np.testing.assert_array_equal(result.valid, (stored >= -100) & (stored <= 300))


def test_a_table_and_its_range() -> None:
    table = (np.arange(16, 513) ** 0.5).tolist()
    result = real_world(decode(mr(mapping(first=16, last=512, table=table))), ADC)
    inside = (STORED >= 16) & (STORED <= 512)
    assert result.valid is not None
    np.testing.assert_array_equal(result.valid, inside)
    np.testing.assert_allclose(result.pixels[inside], STORED[inside] ** 0.5, rtol=1e-6)


def test_padding_stays_invalid() -> None:
    result = real_world(decode(mr(mapping(), PixelPaddingValue=16)), ADC)
    assert result.valid is not None
    np.testing.assert_array_equal(result.valid, STORED != 16)


def test_the_one_that_is_meant_is_chosen_by_units_and_label() -> None:
    data = mr(mapping(slope=1, label="a"), mapping(slope=2, label="b"), mapping("ms", slope=3))
    assert code(data) == "REAL_WORLD_SEVERAL"
    assert code(data, RealWorld(units="Bq/ml")) == "REAL_WORLD_MISSING"
    assert code(data, RealWorld(units="mm2/s", label="c")) == "REAL_WORLD_MISSING"
    for spec, slope in ((RealWorld(units="mm2/s", label="b"), 2), (RealWorld(units="ms"), 3)):
        np.testing.assert_allclose(real_world(decode(data), spec).pixels, STORED * float(slope), rtol=1e-6, atol=1e-4)


def without(name: str) -> Any:
    found = mapping()
    delattr(found, name)
    return found


@pytest.mark.parametrize(
    "wrong",
    [
        without("RealWorldValueSlope"),
        without("RealWorldValueIntercept"),
        without("MeasurementUnitsCodeSequence"),
        without("RealWorldValueFirstValueMapped"),
        mapping(slope=float("nan")),
        mapping(slope=float("inf")),
        mapping(first=10, last=9),
        mapping(first=0, last=3, table=[1.0, 2.0, 3.0]),
        mapping(first=0, last=1, table=[1.0, float("nan")]),
        mapping(units=" "),
    ],
    ids=range(10),
)
def test_a_mapping_that_is_none_is_left_out_and_flagged(wrong: Any) -> None:
    found = decode(mr(wrong))
    assert (found.header.real_world_units, found.header.flags) == ((), ("REAL_WORLD_INVALID",))
    assert code(found) == "REAL_WORLD_MISSING"


def test_behind_a_modality_lut_there_is_none() -> None:
    lut = item(ModalityLUTType="US", LUTData=bytes(128))
    lut.add_new(0x00283002, "US", [64, 0, 16])
    data = mr(mapping(), RescaleSlope=None, RescaleIntercept=None, ModalityLUTSequence=Sequence([lut]))
    assert decode(data).header.real_world_units == ("mm2/s",)
    assert code(data) == "REAL_WORLD_MISSING"


@pytest.mark.parametrize("slope", ["1e-300", "-1e-300"])
def test_numbers_beyond_all_bounds_leave_pixels_finite(slope: str) -> None:
    assert code(mr(mapping(slope=1e300), RescaleSlope=slope)) == "REAL_WORLD_MISSING"
    wide = mr(mapping(slope=1e308, intercept=-1e308), RescaleSlope=None, RescaleIntercept=None)
    assert np.isfinite(real_world(decode(wide), ADC).pixels).all()


def test_ends_as_doubles() -> None:
    found = mapping(slope=1)
    del found.RealWorldValueFirstValueMapped, found.RealWorldValueLastValueMapped
    found.DoubleFloatRealWorldValueFirstValueMapped, found.DoubleFloatRealWorldValueLastValueMapped = 0.0, 100.0
    result = real_world(decode(mr(found)), ADC)
    np.testing.assert_array_equal(result.valid, STORED <= 100)


def frames(shared: bool, slopes: tuple[float, ...], rescales: tuple[str, ...]) -> bytes:
    """An enhanced MR image of three frames with their mappings in the functional groups."""
    spec = SeriesSpec(modality="MR", slices=3, slope=1, intercept=0)
    found = enhanced(datasets(spec), spec)
    for group, slope, rescale in zip(found.PerFrameFunctionalGroupsSequence, slopes, rescales, strict=True):
        group.PixelValueTransformationSequence[0].RescaleSlope = rescale
        if not shared:
            group.RealWorldValueMappingSequence = Sequence([mapping(slope=slope), mapping("ms", slope=9 * slope)])
    if shared:
        found.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence = Sequence([mapping(slope=slopes[0])])
    return as_bytes(found)


def stored() -> Any:
    return SeriesSpec(modality="MR", slices=3).stored()


def test_a_frame_has_its_own_mapping_or_the_shared_one() -> None:
    data = frames(False, (1.0, 2.0, 3.0), ("1", "1", "1"))
    for k in range(3):
        found = decode(data, k)
        assert found.header.real_world_units == ("mm2/s", "ms")
        np.testing.assert_allclose(real_world(found, ADC).pixels, stored()[k] * (k + 1.0), rtol=1e-6)
    shared = frames(True, (2.0, 2.0, 2.0), ("1", "2", "4"))
    for k in range(3):
        np.testing.assert_allclose(real_world(decode(shared, k), ADC).pixels, stored()[k] * 2.0, rtol=1e-6)


def test_a_volume_is_mapped_where_all_slices_are_alike() -> None:
    volume = build_volume([frames(False, (2.0, 4.0, 8.0), ("1", "2", "4"))])
    np.testing.assert_allclose(real_world(volume.image(), ADC).pixels, stored() * np.array([2.0, 4, 8])[:, None, None], rtol=1e-6)
    other = build_volume([frames(False, (1.0, 2.0, 3.0), ("1", "1", "1"))])
    assert code(other.image()) == "REAL_WORLD_MISSING"


@pytest.mark.parametrize("fields", [{}, {"units": ""}, {"units": "a b"}, {"units": "x" * 65}])
def test_wrong_specs_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="units"):
        RealWorld.model_validate(fields)


@pytest.mark.parametrize("units", ["/min", "1", "%", "[hnsf'U]", "10*-6.mm2/s", "{SUVbw}g/ml"])
def test_any_code_of_ucum_names_units(units: str) -> None:
    assert decode(mr(mapping(units=units))).header.real_world_units == (units,)
