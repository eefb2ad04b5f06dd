"""Siemens MOSAIC and UIH VFRAME images as volumes: every voxel and its place, against dcm2niix; and what cannot be split."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pyarrow as pa
import pytest
from dicom_series import AXIAL, CORONAL, OBLIQUE, SAGITTAL, SeriesSpec, as_bytes, compare, dcm2niix
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import ImplicitVRLittleEndian
from slice_grids import csa_header, mosaic, normal_of, vframe

from medray.data.dicom import decode, inspect
from medray.data.dicom.csa import csa_values
from medray.data.stack_table import stack_table, volume_table
from medray.data.volume import build_volume, volume_stacks
from medray.errors import Excluded, InputError, Quarantined

SPEC = SeriesSpec(modality="MR", slices=11, rows=8, columns=10, slope=None)
ORIENTATIONS = {"axial": AXIAL, "sagittal": SAGITTAL, "coronal": CORONAL, "oblique": OBLIQUE}
NAMES = frozenset({"NumberOfImagesInMosaic", "SliceNormalVector"})


def of(orientation: str, slices: int = 11) -> SeriesSpec:
    return replace(SPEC, orientation=ORIENTATIONS[orientation], slices=slices)


@pytest.mark.parametrize("against", [False, True], ids=["with the normal", "against the normal"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_mosaic_is_split_as_dcm2niix_splits_it(orientation: str, against: bool, tmp_path: Path) -> None:
    spec = of(orientation)
    data = as_bytes(mosaic(spec, against=against))
    volume = build_volume(data)
    np.testing.assert_array_equal(volume.voxels, spec.stored()[:: -1 if against else 1])
    step = normal_of(spec) * spec.slice_mm * (-1 if against else 1)
    positions = np.asarray(spec.origin_mm) + np.arange(spec.slices)[:, None] * step
    np.testing.assert_allclose(volume.positions_mm, positions[:: -1 if against else 1], atol=1e-5)
    assert volume.frames == tuple(range(spec.slices))[:: -1 if against else 1]
    assert volume.flags == ()
    (nifti,) = dcm2niix([data], tmp_path)
    agreement = compare(volume, nifti)
    assert agreement.place_mm < 1e-4
    assert agreement.spacing_mm < 1e-5
    assert agreement.value == 0


@pytest.mark.parametrize("slices", [1, 2, 4, 5, 9, 10, 25])
def test_mosaics_of_any_number_of_slices(slices: int) -> None:
    spec = of("oblique", slices)
    np.testing.assert_array_equal(build_volume(as_bytes(mosaic(spec))).voxels, spec.stored())


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("slices", [6, 11, 27])
def test_a_uih_grid_is_split_as_dcm2niix_splits_it(slices: int, orientation: str, tmp_path: Path) -> None:
    spec = of(orientation, slices)
    spec = replace(spec, step_mm=tuple(-spec.step)) if slices == 11 else spec
    data = as_bytes(vframe(spec))
    volume = build_volume(data)
    np.testing.assert_array_equal(volume.voxels, spec.stored()[:: -1 if slices == 11 else 1])
    (nifti,) = dcm2niix([data], tmp_path)
    agreement = compare(volume, nifti)
    assert agreement.place_mm < 1e-4
    assert agreement.spacing_mm < 1e-5
    assert agreement.value == 0


def test_a_uih_grid_may_be_as_high_as_wide() -> None:
    np.testing.assert_array_equal(build_volume(as_bytes(vframe(SPEC, square=True))).voxels, SPEC.stored())


def test_a_series_of_mosaics_is_a_stack_each(tmp_path: Path) -> None:
    specs = [replace(SPEC, seed=seed) for seed in range(3)]
    data = []
    for number, spec in enumerate(specs):
        found = mosaic(spec)
        found.InstanceNumber = number + 1
        data.append(as_bytes(found))
    with pytest.raises(Excluded) as caught:
        build_volume(data)
    assert caught.value.code == "VOLUME_SEVERAL_STACKS"
    assert [len(stack.planes) for stack in volume_stacks(data[::-1])] == [11, 11, 11]
    (nifti,) = dcm2niix(data, tmp_path)
    for time, spec in enumerate(specs):
        volume = build_volume(data[::-1], stack=time)
        np.testing.assert_array_equal(volume.voxels, spec.stored())
        assert compare(volume, nifti, time=time).value == 0


def test_the_headers_of_slices_say_where_they_lie() -> None:
    volume = build_volume(as_bytes(mosaic(SPEC)))
    assert [header.position_mm for header in volume.headers] == [tuple(position) for position in volume.positions_mm.tolist()]
    assert {(header.rows, header.columns) for header in volume.headers} == {(SPEC.rows, SPEC.columns)}


def test_padding_and_rescale_of_a_mosaic_are_those_of_its_slices() -> None:
    found = mosaic(SPEC)
    found.RescaleSlope, found.RescaleIntercept, found.PixelPaddingValue = "2", "-5", int(SPEC.stored()[3, 2, 1])
    volume = build_volume(as_bytes(found))
    np.testing.assert_array_equal(volume.voxels, SPEC.stored() * 2.0 - 5)
    assert volume.valid is not None
    np.testing.assert_array_equal(volume.valid, SPEC.stored() != SPEC.stored()[3, 2, 1])


def test_one_image_is_still_decoded_as_one() -> None:
    assert decode(as_bytes(mosaic(SPEC))).pixels.shape == (32, 40)
    assert decode(as_bytes(vframe(SPEC))).pixels.shape == (24, 40)


def rows_of(data: list[bytes]) -> pa.Table:
    headers = [inspect(one, len(one)) for one in data]
    columns = {name: [getattr(header, name) for header in headers] for name in headers[0].__dataclass_fields__}
    places = {"uri": [str(number) for number in range(len(data))], "etag": ["e"] * len(data), "size_bytes": [1] * len(data)}
    return pa.table({**columns, **places})


@pytest.mark.parametrize("make", [mosaic, vframe])
def test_the_tables_of_a_catalog_take_each_grid_for_a_stack(make: Callable[[SeriesSpec], Any]) -> None:
    rows = rows_of([as_bytes(make(replace(SPEC, seed=seed))) for seed in range(3)])
    found = stack_table(rows).to_pylist()
    assert [row["instances"] for row in found] == [1, 1, 1]
    assert {row["spacing_mm"] for row in found} == {None}
    assert all("VOLUME_SINGLE_SLICE" not in row["problems"] for row in found)
    assert [len(row["members"]) for row in volume_table(rows).to_pylist()] == [1, 1, 1]


@pytest.mark.parametrize("second", [True, False], ids=["SV10", "first layout"])
def test_both_layouts_of_csa_headers_are_read(second: bool) -> None:
    data = csa_header({"A": ["1"], "SliceNormalVector": ["0.1", "-0.2", "0.9"], "B": [], "C": ["text"]}, second=second)
    assert csa_values(data, NAMES | {"B", "C"}) == {"SliceNormalVector": ("0.1", "-0.2", "0.9"), "B": (), "C": ("text",)}


@pytest.mark.parametrize("name", ["siemens_dwi_0.dcm.gz", "siemens_dwi_1000.dcm.gz"])
def test_the_real_mosaics_of_nibabel_agree_with_dcm2niix(name: str, tmp_path: Path) -> None:
    path = Path(nibabel.__file__).parent / "nicom" / "tests" / "data" / name
    if not path.exists():
        pytest.skip("nibabel was installed without its test files")
    data = gzip.decompress(path.read_bytes())
    volume = build_volume(data)
    assert volume.voxels.shape == (48, 128, 128)
    (nifti,) = dcm2niix([data], tmp_path)
    agreement = compare(volume, nifti)
    assert agreement.place_mm < 1e-4
    assert max(agreement.spacing_mm, agreement.value) < 1e-12


@pytest.mark.parametrize("block", [0x10, 0x11, 0x13])
@pytest.mark.parametrize("second", [True, False], ids=["SV10", "first layout"])
def test_the_csa_header_lies_in_the_block_of_its_creator(second: bool, block: int) -> None:
    found = mosaic(SPEC, second=second, block=block)
    if block != 0x10:
        found.add_new(0x00290010, "LO", "SOMEBODY ELSE")
        found.add_new(0x00291010, "OB", b"SV10" + b"\xff" * 60)
    np.testing.assert_array_equal(build_volume(as_bytes(found)).voxels, SPEC.stored())


def test_implicit_value_representations_and_lost_creators() -> None:
    for found in (mosaic(SPEC), vframe(SPEC)):
        found.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        np.testing.assert_array_equal(build_volume(as_bytes(found)).voxels, SPEC.stored())
    found = mosaic(SPEC)
    del found[0x00290010]
    np.testing.assert_array_equal(build_volume(as_bytes(found)).voxels, SPEC.stored())


def test_a_mosaic_of_unknown_direction_is_split_by_permission_only() -> None:
    data = as_bytes(mosaic(SPEC, csa=False))
    with pytest.raises(Quarantined) as caught:
        build_volume(data)
    assert caught.value.code == "VOLUME_DIRECTION"
    volume = build_volume(data, allow={"VOLUME_DIRECTION"})
    np.testing.assert_array_equal(volume.voxels, SPEC.stored())
    assert volume.flags == ("VOLUME_DIRECTION",)


def without(tag: int | str) -> Callable[[Any], None]:
    def change(found: Any) -> None:
        del found[tag]

    return change


def with_csa(**values: list[str]) -> Callable[[Any], None]:
    def change(found: Any) -> None:
        known = {"NumberOfImagesInMosaic": ["11"], "SliceNormalVector": ["0", "0", "1"]}
        found[0x00291010].value = csa_header({**known, **values})

    return change


def setting(**values: Any) -> Callable[[Any], None]:
    def change(found: Any) -> None:
        for name, value in values.items():
            setattr(found, name, value)

    return change


def with_other_count(found: Any) -> None:
    found.add_new(0x00190010, "LO", "SIEMENS MR HEADER")
    found.add_new(0x0019100A, "US", 12)


BROKEN: dict[str, Callable[[Any], None]] = {
    "no CSA header": without(0x00291010),
    "no spacing between slices": without("SpacingBetweenSlices"),
    "spacing of nothing": setting(SpacingBetweenSlices="0"),
    "no position": without("ImagePositionPatient"),
    "no orientation": without("ImageOrientationPatient"),
    "no pixel spacing": without("PixelSpacing"),
    "no number": with_csa(NumberOfImagesInMosaic=["many"]),
    "infinitely many": with_csa(NumberOfImagesInMosaic=["inf"]),
    "none": with_csa(NumberOfImagesInMosaic=["0"]),
    "billions": with_csa(NumberOfImagesInMosaic=["99999999999999999999"]),
    "a pixel each": with_csa(NumberOfImagesInMosaic=["1280"]),
    "no whole slices": with_csa(NumberOfImagesInMosaic=["20"]),
    "two numbers": with_other_count,
    "normal within the plane": with_csa(SliceNormalVector=["1", "0", "0"]),
    "normal that is none": with_csa(SliceNormalVector=["0", "0", "nan"]),
    "normal of words": with_csa(SliceNormalVector=["up", "and", "away"]),
    "no CSA header at all": setting(SpacingBetweenSlices="2.5"),
}


@pytest.mark.parametrize("spoil", BROKEN.values(), ids=BROKEN.keys())
def test_a_mosaic_without_what_is_needed_is_refused(spoil: Callable[[Any], None]) -> None:
    found = mosaic(SPEC)
    spoil(found)
    if spoil is BROKEN["no CSA header at all"]:
        found[0x00291010].value = b"no CSA header at all"
    with pytest.raises(Excluded) as caught:
        build_volume(as_bytes(found))
    assert caught.value.code == "VOLUME_MOSAIC"


@pytest.mark.parametrize("tag", [0x00651051, 0x00651050])
def test_a_uih_grid_without_what_is_needed(tag: int) -> None:
    found = vframe(SPEC)
    del found[tag]
    if tag == 0x00651050:  # the sequence counts them as well
        np.testing.assert_array_equal(build_volume(as_bytes(found)).voxels, SPEC.stored())
        return
    with pytest.raises(Excluded, match="where they lie"):
        build_volume(as_bytes(found))


def test_a_uih_grid_with_another_number_of_places_is_refused() -> None:
    found = vframe(SPEC)
    found[0x00651050].value = "10"
    with pytest.raises(Excluded, match="number of its slices"):
        build_volume(as_bytes(found))
    found = vframe(SPEC)
    del found[0x00651051].value[4].ImagePositionPatient
    with pytest.raises(Excluded, match="where they lie"):
        build_volume(as_bytes(found))


@settings(deadline=None)
@given(st.binary(max_size=600))
def test_no_bytes_are_read_as_a_csa_header_by_accident(data: bytes) -> None:
    assert csa_values(data, NAMES) == {}
    assert csa_values(b"SV10" + data, NAMES) == {}


@settings(deadline=None)
@given(st.data())
def test_a_damaged_csa_header_ends_the_reading(data: st.DataObject) -> None:
    whole = bytearray(csa_header({"A": ["1"], "NumberOfImagesInMosaic": ["11"], "SliceNormalVector": ["0", "0", "1"]}))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 4))
        struct.pack_into("<i", whole, at, data.draw(st.sampled_from([-1, 0, 1, 1 << 20, (1 << 31) - 1, -(1 << 31)])))
    found = mosaic(SPEC)
    found[0x00291010].value = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    assert outcome(as_bytes(found)) in {"", "VOLUME_MOSAIC", "VOLUME_DIRECTION"}


def outcome(data: bytes) -> str:
    """The code of the error, or "" where there is a volume."""
    try:
        build_volume(data)
    except InputError as error:
        return error.code
    return ""
