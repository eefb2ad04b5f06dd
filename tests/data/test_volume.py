"""Volumes: classic and enhanced alike, against dcm2niix, and a typed error for whatever is no true volume."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from conftest import SHARED
from dicom_series import (
    AXIAL,
    CORONAL,
    OBLIQUE,
    SAGITTAL,
    SeriesSpec,
    as_bytes,
    compare,
    datasets,
    dcm2niix,
    decimal,
    enhanced,
    files,
    shuffled,
)
from pydicom.data import get_testdata_file
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRBigEndian, RLELossless, SecondaryCaptureImageStorage

import medray
from medray.data.dicom import acquisition_tags as more
from medray.data.dicom import tags
from medray.data.dicom.dataset import DataSet
from medray.data.frames import framed
from medray.data.plane import Plane
from medray.data.volume import Volume, build_volume, volume_stacks
from medray.errors import Excluded, InputError, Quarantined

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
DIRECTORIES = FILES / "dicomdirtests"
SPECS = {
    "axial CT": SeriesSpec(),
    "CT against its numbers": SeriesSpec(slice_mm=-2.5, reverse_numbers=True),
    "signed CT": SeriesSpec(signed=True, slope=1.0, intercept=0.0, spacing_mm=(0.7, 0.7)),
    "CT, feet first": SeriesSpec(orientation=(-1.0, 0.0, 0.0, 0.0, 1.0, 0.0), slope=0.5, intercept=-10.25),
    "coronal CT": SeriesSpec(orientation=CORONAL, slice_mm=-0.9, reverse_numbers=True),
    "sagittal MR": SeriesSpec(modality="MR", orientation=SAGITTAL, slope=None),
    "oblique MR with a slope": SeriesSpec(modality="MR", orientation=OBLIQUE, slope=2.47, intercept=3.5),
    "oblique MR downwards": SeriesSpec(modality="MR", orientation=OBLIQUE, slice_mm=-1.7, signed=True, slope=0.1, intercept=0.0),
    "two slices": SeriesSpec(slices=2),
    "sheared": SeriesSpec(step_mm=(0.0, 0.6, 2.5)),
    "tilted gantry": SeriesSpec(
        orientation=(1.0, 0.0, 0.0, 0.0, 0.9396926, -0.3420201), step_mm=(0.0, 0.0, 3.0), extra={"GantryDetectorTilt": "20"}
    ),
}


@pytest.fixture(params=SPECS.values(), ids=SPECS.keys())
def spec(request: pytest.FixtureRequest) -> SeriesSpec:
    return request.param  # type: ignore[no-any-return]


def truth(spec: SeriesSpec) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Voxel values in the order in which the slices were made."""
    slope, intercept = (1.0, 0.0) if spec.slope is None else (spec.slope, spec.intercept)
    return spec.stored() * slope + intercept


def assert_same(volume: Volume, other: Volume) -> None:
    np.testing.assert_array_equal(volume.voxels, other.voxels)
    np.testing.assert_array_equal(volume.affine, other.affine)
    np.testing.assert_array_equal(volume.positions_mm, other.positions_mm)
    assert volume.spacing_mm == other.spacing_mm
    assert volume.flags == other.flags


def test_a_volume_holds_what_was_put_into_the_series(spec: SeriesSpec) -> None:
    volume = build_volume(shuffled(files(spec)))
    expected = truth(spec)[::-1] if spec.slice_mm < 0 else truth(spec)
    np.testing.assert_allclose(volume.voxels, expected, rtol=1e-6)
    assert volume.voxels.dtype == np.float32
    positions = spec.positions()[::-1] if spec.slice_mm < 0 else spec.positions()
    np.testing.assert_allclose(volume.positions_mm, positions, atol=1e-6)
    first = np.asarray(spec.orientation[:3]) * spec.spacing_mm[1]
    np.testing.assert_allclose(volume.affine[:3, 0], first, atol=1e-6)
    for k in range(spec.slices):
        np.testing.assert_allclose(volume.affine @ [0, 0, k, 1], [*positions[k], 1], atol=1e-5)
    assert np.linalg.det(volume.affine) > 0
    assert volume.flags == (("VOLUME_SHEARED",) if spec.step_mm else ())
    assert len(set(volume.sop_uids)) == spec.slices


def test_a_volume_agrees_with_dcm2niix(spec: SeriesSpec, tmp_path: Path) -> None:
    data = shuffled(files(spec))
    (nifti,) = [path for path in dcm2niix(data, tmp_path) if "Tilt" not in path.name]
    agreement = compare(build_volume(data), nifti)
    assert agreement.place_mm < 1e-4 or spec.extra  # its matrix of a tilted gantry does not meet the stored positions, ours does
    assert agreement.spacing_mm < 1e-5
    assert agreement.value < 1e-3


def test_enhanced_and_classic_give_the_same_volume(spec: SeriesSpec) -> None:
    slices = shuffled(datasets(spec))
    volume = build_volume(as_bytes(enhanced(slices, spec)))
    assert_same(volume, build_volume([as_bytes(one) for one in slices]))
    assert len(set(volume.frames)) == spec.slices


@pytest.mark.parametrize("name", ["axial CT", "sagittal MR", "oblique MR with a slope"])
def test_an_enhanced_volume_agrees_with_dcm2niix(name: str, tmp_path: Path) -> None:
    spec = SPECS[name]
    data = [as_bytes(enhanced(shuffled(datasets(spec)), spec))]
    (nifti,) = dcm2niix(data, tmp_path)
    agreement = compare(build_volume(data), nifti)
    assert agreement.place_mm < 1e-4
    assert agreement.spacing_mm < 1e-5
    assert agreement.value < 1e-3


def test_each_frame_of_an_enhanced_image_has_its_own_rescale() -> None:
    spec = SeriesSpec(modality="MR", slope=1.0, intercept=0.0)
    slices = datasets(spec)
    for k, one in enumerate(slices):
        one.RescaleSlope, one.RescaleIntercept = str(k + 1), str(-k)
    volume = build_volume(as_bytes(enhanced(slices, spec)))
    k = np.arange(spec.slices)[:, None, None]
    np.testing.assert_array_equal(volume.voxels, spec.stored() * (k + 1.0) - k)
    assert_same(volume, build_volume([as_bytes(one) for one in slices]))


def test_an_enhanced_image_compressed_or_of_another_byte_order_gives_the_same_volume() -> None:
    spec = SeriesSpec()
    plain = enhanced(datasets(spec), spec)
    volume = build_volume(as_bytes(plain))
    compressed = pydicom.dcmread(io.BytesIO(as_bytes(plain)))
    compressed.compress(RLELossless, generate_instance_uid=False)
    assert_same(build_volume(as_bytes(compressed)), volume)
    swapped = pydicom.dcmread(io.BytesIO(as_bytes(plain)))
    swapped.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    swapped.PixelData = np.frombuffer(plain.PixelData, np.uint16).byteswap().tobytes()
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, swapped, implicit_vr=False, little_endian=False, force_encoding=True)
    assert_same(build_volume(buffer.getvalue()), volume)


def test_the_real_enhanced_ct_agrees_with_dcm2niix(tmp_path: Path) -> None:
    path = get_testdata_file("eCT_Supplemental.dcm", download=False)
    data = Path(path or pytest.skip("pydicom-data is not installed")).read_bytes()
    (nifti,) = dcm2niix([data], tmp_path)
    volume = build_volume(data)
    assert volume.voxels.shape == (2, 512, 512)
    assert volume.spacing_mm == (10.0, 0.388672, 0.388672)
    agreement = compare(volume, nifti)
    assert max(agreement.place_mm, agreement.spacing_mm, agreement.value) < 1e-4


def test_a_real_enhanced_mr_without_any_geometry_is_refused() -> None:
    path = get_testdata_file("emri_small.dcm", download=False) or pytest.skip("pydicom-data is not installed")
    refused("VOLUME_NO_GEOMETRY", path)


@pytest.mark.parametrize(
    "folder", [DIRECTORIES / "98892001" / "CT5N", SHARED / "data" / "series" / "ct-phantom"], ids=lambda path: path.name
)
def test_a_real_ct_series_agrees_with_dcm2niix(folder: Path, tmp_path: Path) -> None:
    if not folder.is_dir():
        pytest.skip("the series is not on this machine")
    (nifti,) = dcm2niix(folder, tmp_path)
    volume = medray.build_volume(folder)
    agreement = compare(volume, nifti)
    assert agreement.place_mm < 1e-4
    assert agreement.spacing_mm < 1e-5
    assert agreement.value == 0
    assert volume.left_out == (((0, "OBJECT_DICOMDIR"),) if folder.name == "ct-phantom" else ())


def test_real_single_mr_slices_agree_with_dcm2niix(tmp_path: Path) -> None:
    folder = DIRECTORIES / "98892003" / "MR700"
    niftis = dcm2niix(folder, tmp_path)
    found = volume_stacks(folder)
    assert len(found) == len(niftis) == 7
    volumes = [build_volume(folder, stack=number) for number in range(7)]
    assert {volume.flags for volume in volumes} == {("VOLUME_SINGLE_SLICE",)}
    for volume, nifti in zip(volumes, niftis, strict=True):
        agreement = compare(volume, nifti)
        assert max(agreement.place_mm, agreement.spacing_mm, agreement.value) < 1e-4


def with_copy(slices: list[Any]) -> list[Any]:
    other = datasets(SeriesSpec(seed=5))[2]
    return [*slices, other]


def changed(k: int, **values: Any) -> Callable[[list[Any]], list[Any]]:
    def change(slices: list[Any]) -> list[Any]:
        for name, value in values.items():
            setattr(slices[k], name, value)
        return slices

    return change


def smaller(slices: list[Any]) -> list[Any]:
    return [*slices[:3], *datasets(SeriesSpec(rows=4))[3:]]


def bent(slices: list[Any]) -> list[Any]:
    for k, one in enumerate(slices):
        one.ImagePositionPatient = ["0", decimal(0.2 * k * k), decimal(2.5 * k)]
    return slices


def refused(code: str, sources: Any, **options: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        build_volume(sources, **options)
    assert caught.value.code == code
    assert caught.value.hint
    assert isinstance(caught.value, Excluded if code in EXCLUDED else Quarantined)
    return caught.value


EXCLUDED = {"VOLUME_EMPTY", "VOLUME_MIXED_SERIES", "VOLUME_SEVERAL_STACKS", "VOLUME_MOSAIC"}
TROUBLES: dict[str, tuple[str, Callable[[list[Any]], list[Any]]]] = {
    "missing slice": ("VOLUME_GAP", lambda slices: slices[:2] + slices[3:]),
    "second slice at a place": ("VOLUME_DUPLICATE_SLICE", with_copy),
    "same slice twice": ("VOLUME_DUPLICATE_SLICE", lambda slices: [*slices, slices[1]]),
    "another patient": ("VOLUME_MIXED_PATIENTS", changed(5, PatientID="P2")),
    "a localizer": ("VOLUME_MIXED_ORIENTATION", changed(5, ImageOrientationPatient=list(CORONAL))),
    "another size": ("VOLUME_MIXED_SIZE", smaller),
    "another spacing": ("VOLUME_MIXED_SPACING", changed(5, PixelSpacing=["0.9", "0.5"])),
    "another frame of reference": ("VOLUME_MIXED_REFERENCE", changed(5, FrameOfReferenceUID="1.2.3")),
    "another series": ("VOLUME_MIXED_SERIES", changed(5, SeriesInstanceUID="1.2.3")),
    "another echo": ("VOLUME_SEVERAL_STACKS", changed(5, EchoTime="30")),
    "bent stack": ("VOLUME_TILT", bent),
}


@pytest.mark.parametrize(("code", "spoil"), TROUBLES.values(), ids=TROUBLES.keys())
def test_what_is_no_volume_is_refused_and_can_be_allowed_by_name(code: str, spoil: Callable[[list[Any]], list[Any]]) -> None:
    data = [as_bytes(one) for one in shuffled(spoil(datasets(SeriesSpec())))]
    error = refused(code, data)
    assert "P2" not in str(error)
    volume = build_volume(data, allow={code})
    assert code in volume.flags
    assert len({header.patient_key for header in volume.headers}) == 1
    assert len(volume.voxels) in (3, 5, 6)


def test_geometry_cannot_be_allowed_away() -> None:
    slices = datasets(SeriesSpec())
    del slices[2].ImagePositionPatient
    refused("VOLUME_NO_GEOMETRY", [as_bytes(one) for one in slices], allow={"VOLUME_NO_GEOMETRY"})


def test_slices_of_two_patients_are_refused_even_as_a_chosen_stack() -> None:
    data = [as_bytes(one) for one in changed(5, PatientID="P2")(datasets(SeriesSpec()))]
    refused("VOLUME_MIXED_PATIENTS", data, stack=0)


def test_a_volume_that_is_too_large_is_refused_before_it_is_allocated() -> None:
    refused("VOLUME_TOO_LARGE", files(SeriesSpec()), max_bytes=1000)
    refused("VOLUME_TOO_LARGE", as_bytes(enhanced(datasets(SeriesSpec()), SeriesSpec())), max_bytes=1000)


def test_a_mosaic_is_refused() -> None:
    kind = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    refused("VOLUME_MOSAIC", files(SeriesSpec(modality="MR", extra={"ImageType": kind})))


def test_nothing_and_what_is_no_image(tmp_path: Path) -> None:
    refused("VOLUME_EMPTY", [])
    refused("VOLUME_EMPTY", FILES / "rtplan.dcm")
    refused("DICOM_NOT_DICOM", [*files(SeriesSpec()), b"no DICOM" * 100])
    volume = build_volume([b"no DICOM" * 100, *files(SeriesSpec())], allow={"DICOM_NOT_DICOM"})
    assert volume.left_out == ((0, "DICOM_NOT_DICOM"),)


def two_echoes() -> list[Dataset]:
    first, second = SeriesSpec(modality="MR"), SeriesSpec(modality="MR", seed=1)
    late = datasets(second)
    for one in late:
        one.EchoTime, one.InstanceNumber = "40", one.InstanceNumber + 100
    return [*datasets(first), *late]


def test_echoes_are_stacks_and_each_agrees_with_dcm2niix(tmp_path: Path) -> None:
    data = [as_bytes(one) for one in shuffled(two_echoes())]
    refused("VOLUME_SEVERAL_STACKS", data)
    niftis = dcm2niix(data, tmp_path)
    volumes = [build_volume(data, stack=number) for number in range(2)]
    assert len(niftis) == 2
    for nifti in niftis:
        assert min(compare(volume, nifti).value for volume in volumes) == 0
    with pytest.raises(IndexError):
        build_volume(data, stack=2)


@pytest.mark.parametrize("told_by", ["TemporalPositionIdentifier", "InstanceNumber"])
def test_time_points_are_stacks_and_each_agrees_with_dcm2niix(told_by: str, tmp_path: Path) -> None:
    slices = []
    for t in range(3):
        for one in datasets(SeriesSpec(modality="MR", seed=t, orientation=OBLIQUE)):
            one.InstanceNumber = 6 * t + one.InstanceNumber
            setattr(one, told_by, t + 1 if told_by != "InstanceNumber" else one.InstanceNumber)
            slices.append(one)
    data = [as_bytes(one) for one in shuffled(slices)]
    refused("VOLUME_SEVERAL_STACKS", data)
    (nifti,) = dcm2niix(data, tmp_path)
    allow = {"VOLUME_SEVERAL_STACKS"} if told_by == "InstanceNumber" else set()  # instance numbers alone need permission
    if allow:
        refused("VOLUME_SEVERAL_STACKS", data, stack=0)
    for t in range(3):
        agreement = compare(build_volume(data, stack=t, allow=allow), nifti, time=t)
        assert agreement.place_mm < 1e-4
        assert agreement.value < 1e-3


def test_stacks_and_times_of_an_enhanced_image_are_chosen_by_number() -> None:
    specs = [SeriesSpec(modality="MR", seed=seed, origin_mm=(0.0, 0.0, 500.0 * (seed // 2))) for seed in range(4)]
    slices = [one for spec in specs for one in datasets(spec)]
    items = [
        {"StackID": str(1 + seed // 2), "TemporalPositionIndex": 1 + seed % 2}
        for seed in range(4)
        for _ in range(specs[0].slices)
    ]
    data = as_bytes(enhanced(slices, specs[0], frame_items=items))
    refused("VOLUME_SEVERAL_STACKS", data)
    assert [len(one.planes) for one in volume_stacks(data)] == [6, 6, 6, 6]
    for number, spec in enumerate(specs):
        np.testing.assert_allclose(build_volume(data, stack=number).voxels, truth(spec), rtol=1e-6)


def scaled_slice_by_slice() -> list[Any]:
    slices = datasets(SeriesSpec(modality="MR"))
    for k, one in enumerate(slices):
        one.RescaleSlope, one.Modality = str(1.5 + k / 4), "PT"
    return slices


def rotations() -> list[Any]:
    slices = datasets(SeriesSpec(slices=8))
    for k, one in enumerate(slices):
        one.AcquisitionNumber, one.Manufacturer = k // 4, "GE MEDICAL SYSTEMS"
    return slices


def with_localizer() -> list[Any]:
    return [*datasets(SeriesSpec()), *datasets(SeriesSpec(slices=1, orientation=CORONAL, seed=9))]


def magnitude_and_phase() -> list[Any]:
    slices = [*datasets(SeriesSpec(modality="MR")), *datasets(SeriesSpec(modality="MR", seed=1))]
    for k, one in enumerate(slices):
        one.InstanceNumber, one.ImageType = (
            k + 1,
            ["ORIGINAL", "PRIMARY", "M_FFE" if k < 6 else "PHASE MAP", "M" if k < 6 else "P"],
        )
        one.Manufacturer = "Philips Medical Systems"
    return slices


@pytest.mark.parametrize(
    ("make", "count"),
    [(scaled_slice_by_slice, 1), (rotations, 1), (with_localizer, 2), (magnitude_and_phase, 2)],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_stacks_are_those_of_dcm2niix(make: Callable[[], list[Any]], count: int, tmp_path: Path) -> None:
    data = [as_bytes(one) for one in shuffled(make())]
    niftis = dcm2niix(data, tmp_path)
    assert len(niftis) == len(volume_stacks(data)) == count
    for volume in (build_volume(data, stack=number) for number in range(count)):
        sizes = {path: nibabel.load(path).shape[2] for path in niftis}
        agreements = [compare(volume, path) for path in niftis if sizes[path] == len(volume.voxels)]
        best = min(agreements, key=lambda agreement: agreement.value)
        assert max(best.place_mm, best.spacing_mm, best.value) < 1e-4


def test_hounsfield_units_of_a_monochrome1_image_are_not_mirrored() -> None:
    slices = datasets(SeriesSpec())
    for one in slices:
        one.PhotometricInterpretation = "MONOCHROME1"
    np.testing.assert_array_equal(build_volume([as_bytes(one) for one in slices]).voxels, truth(SeriesSpec()))


def test_padding_is_marked_and_kept() -> None:
    slices = datasets(SeriesSpec(signed=True))
    pixels = np.frombuffer(slices[2].PixelData, np.int16).reshape(7, 9).copy()
    pixels[0, :4] = -2000
    slices[2].PixelData = pixels.tobytes()
    for one in slices:
        one.PixelPaddingValue = -2000
    volume = build_volume([as_bytes(one) for one in slices])
    assert volume.valid is not None
    assert np.argwhere(~volume.valid).tolist() == [[2, 0, column] for column in range(4)]


def test_paths_folders_and_bytes_give_the_same_volume(tmp_path: Path) -> None:
    spec = replace(SPECS["oblique MR downwards"], orientation=AXIAL)
    for number, data in enumerate(shuffled(files(spec))):
        (tmp_path / f"{number}").write_bytes(data)
    volume = build_volume(files(spec))
    assert_same(build_volume(tmp_path), volume)
    assert_same(build_volume(str(tmp_path)), volume)
    assert_same(build_volume([path for path in tmp_path.iterdir()]), volume)  # noqa: C416
    np.testing.assert_array_equal(volume.affine_ras[:2], -volume.affine[:2])


def test_members_of_a_tar_shard_and_a_shard_beside_loose_files(tmp_path: Path) -> None:
    data = files(SeriesSpec())
    with tarfile.open(tmp_path / "part.tar", "w") as shard:
        for number, one in enumerate(data[:4]):
            member = tarfile.TarInfo(f"{number}.dcm")
            member.size = len(one)
            shard.addfile(member, io.BytesIO(one))
    for number, one in enumerate(data[4:]):
        (tmp_path / f"loose{number}").write_bytes(one)
    assert_same(build_volume(tmp_path), build_volume(data))


@pytest.mark.parametrize("told", ["0", "1", "2", "3"])
def test_rows_that_a_ge_sequence_flips_are_left_and_flagged(told: str, tmp_path: Path) -> None:
    slices = datasets(SeriesSpec(modality="MR"))
    for one in slices:
        one.Manufacturer = "GE MEDICAL SYSTEMS"
        one.add_new(0x00190010, "LO", "GEMS_ACQU_01")
        one.add_new(0x0019109C, "LO", "research/ABCD/epi_pepolar")
        one.add_new(0x001910B3, "DS", told)
    data = [as_bytes(one) for one in slices]
    volume = build_volume(data)
    np.testing.assert_array_equal(volume.voxels, truth(SeriesSpec()))
    assert volume.flags == (() if told == "0" else ("GE_ROWS_FLIPPED",))
    assert ("GE_ROWS_FLIPPED" in volume.image().header.flags) == (told != "0")
    (nifti,) = dcm2niix(data, tmp_path)
    assert (compare(volume, nifti).value > 0) == (told == "1")  # which it turns over; of 2 and 3 every second volume


def two_contrasts(**values: Any) -> list[Any]:
    """Two images at each place, numbered in no order of what they show; ``values`` of the second."""
    first, second = datasets(SeriesSpec(modality="MR")), datasets(SeriesSpec(modality="MR", seed=1))
    for k, one in enumerate([*first, *second]):
        one.InstanceNumber = shuffled(range(12))[k] + 1
        for name, value in values.items():
            if k >= 6:
                setattr(one, name, value)
    return [*first, *second]


PRIVATE: dict[str, tuple[str, int, str, str, Any]] = {
    "Siemens": ("SIEMENS", 0x0019, "SIEMENS MR HEADER", "IS", (0x0C, "800")),
    "GE": ("GE MEDICAL SYSTEMS", 0x0043, "GEMS_PARM_01", "IS", (0x39, ["1000000800", "8", "0", "0"])),
    "Philips": ("Philips Medical Systems", 0x2001, "Philips Imaging DD 001", "FL", (0x03, 800.0)),
}


@pytest.mark.parametrize(
    "values",
    [
        {"DiffusionBValue": 1000.0},
        {"DiffusionGradientOrientation": [0.0, 0.6, 0.8]},
        {"TriggerTime": "350"},
        {"TemporalPositionIdentifier": 2},
        {"EchoTime": "25"},
        {"EchoNumbers": 2},
        {"InversionTime": "900"},
        {"FlipAngle": "25"},
        {"ImageType": ["DERIVED", "PRIMARY", "P", "ND"]},
        {"AcquisitionNumber": 2},
        {"ContrastBolusAgent": "GADOLINIUM"},
        {"ContentTime": "101113.5"},
        {"AcquisitionTime": "1012"},
    ],
    ids=lambda values: next(iter(values)),
)
def test_what_two_images_at_each_place_differ_in_divides_the_series(values: dict[str, Any]) -> None:
    data = [as_bytes(one) for one in shuffled(two_contrasts(**values))]
    error = refused("VOLUME_SEVERAL_STACKS", data)
    truths = [truth(SeriesSpec(modality="MR", seed=seed)) for seed in (0, 1)]
    found = volume_stacks(data)
    assert len(found) == 2
    for number, stack in enumerate(found):
        assert stack.divided_by[0][0] in str(error)
        voxels = build_volume(data, stack=number).voxels
        assert any(np.allclose(voxels, one) for one in truths)


@pytest.mark.parametrize(("maker", "number", "creator", "vr", "element"), PRIVATE.values(), ids=PRIVATE.keys())
def test_b_values_of_manufacturers(maker: str, number: int, creator: str, vr: str, element: tuple[int, Any]) -> None:
    slices = two_contrasts()
    for k, one in enumerate(slices):
        one.Manufacturer = maker
        if k >= 6:
            one.private_block(number, creator, create=True).add_new(element[0], vr, element[1])
    found = volume_stacks([as_bytes(one) for one in slices])
    assert [stack.divided_by for stack in found] == [(("b_value", "none"),), (("b_value", "800"),)]


def dimension_sequence(*keywords: str) -> list[Any]:
    items = []
    for keyword in keywords:
        items.append(Dataset())
        items[-1].DimensionIndexPointer = tag_for_keyword(keyword)
    return items


def per_frame(**values: Any) -> Callable[[Any, int], None]:
    """What sets a functional group of a frame; ``{}`` in it stands for which of two contrasts it is."""

    def put(frame: Any, second: int) -> None:
        for name, group in values.items():
            item = Dataset()
            for keyword, value in group.items():
                setattr(item, keyword, value(second))
            setattr(frame, name, [item])

    return put


def directions(second: int) -> list[Any]:
    item = Dataset()
    item.DiffusionGradientOrientation = [float(second), 1.0 - second, 0.0]
    return [item]


@pytest.mark.parametrize(
    ("name", "put"),
    [
        ("b_value", per_frame(MRDiffusionSequence={"DiffusionBValue": lambda k: 700.0 * k})),
        ("gradient", per_frame(MRDiffusionSequence={"DiffusionGradientDirectionSequence": directions})),
        ("trigger_time_ms", per_frame(CardiacSynchronizationSequence={"NominalCardiacTriggerDelayTime": lambda k: 40.0 * k})),
        ("echo_time_ms", per_frame(MREchoSequence={"EffectiveEchoTime": lambda k: 10.0 + 10 * k})),
        ("inversion_time_ms", per_frame(MRModifierSequence={"InversionTimes": lambda k: 100.0 + 80 * k})),
        ("flip_angle_deg", per_frame(MRTimingAndRelatedParametersSequence={"FlipAngle": lambda k: str(5 + 10 * k)})),
        ("image_type", per_frame(MRImageFrameTypeSequence={"ComplexImageComponent": lambda k: ("MAGNITUDE", "PHASE")[k]})),
        ("contrast_agent", per_frame(ContrastBolusUsageSequence={"ContrastBolusAgentNumber": lambda k: k + 1})),
        ("echo_time_ms", per_frame(UnassignedPerFrameConvertedAttributesSequence={"EchoTime": lambda k: str(10 + k)})),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_frames_that_functional_groups_tell_apart(name: str, put: Callable[[Any, int], None]) -> None:
    slices, order = two_contrasts(), shuffled(range(12), seed=8)
    image = enhanced([slices[k] for k in order], SeriesSpec(modality="MR"))
    for k, frame in zip(order, image.PerFrameFunctionalGroupsSequence, strict=True):
        del frame.FrameContentSequence[0].DimensionIndexValues
        put(frame, k // 6)
    data = as_bytes(image)
    assert [stack.divided_by[0][0] for stack in volume_stacks(data)] == [name, name]
    for seed in (0, 1):
        np.testing.assert_allclose(build_volume(data, stack=seed).voxels, truth(SeriesSpec(modality="MR", seed=seed)))


@pytest.mark.parametrize(
    ("keywords", "name"),
    [
        (("StackID", "InStackPositionNumber", "TemporalPositionIndex"), "TemporalPositionIndex"),
        (("StackID", "ImagePositionPatient", "FrameLabel"), "FrameLabel"),
        ((), "dimension 3"),
    ],
    ids=str,
)
def test_frames_that_dimensions_tell_apart(keywords: tuple[str, ...], name: str) -> None:
    slices, order = two_contrasts(), shuffled(range(12), seed=8)
    indices = [{"DimensionIndexValues": [1, 1 + k % 6, 1 + k // 6]} for k in order]
    image = enhanced([slices[k] for k in order], SeriesSpec(modality="MR"), frame_items=indices)
    if keywords:
        image.DimensionIndexSequence = dimension_sequence(*keywords)
    data = as_bytes(image)
    assert [stack.divided_by for stack in volume_stacks(data)] == [((name, "1"),), ((name, "2"),)]
    for seed in (0, 1):
        np.testing.assert_allclose(build_volume(data, stack=seed).voxels, truth(SeriesSpec(modality="MR", seed=seed)))


def test_enhanced_images_of_one_series_are_stacks_of_their_own() -> None:
    data = []
    for seed in (0, 1):
        spec = SeriesSpec(modality="MR", seed=seed)
        image = enhanced(datasets(spec), spec)
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{seed}"
        image.InstanceNumber = seed + 1
        data.append(as_bytes(image))
    assert [stack.divided_by for stack in volume_stacks(data)] == [(("instance", "1"),), (("instance", "2"),)]
    np.testing.assert_allclose(build_volume(data, stack=1).voxels, truth(SeriesSpec(modality="MR", seed=1)))


def test_a_counter_of_rotations_divides_no_phases() -> None:
    slices = [*datasets(SeriesSpec()), *datasets(SeriesSpec(seed=1))]
    for k, one in enumerate(slices):
        one.InstanceNumber, one.AcquisitionNumber = k + 1, k // 2 + 1
    data = [as_bytes(one) for one in shuffled(slices)]
    assert [len(stack.planes) for stack in volume_stacks(data)] == [6, 6]
    for options in ({}, {"stack": 0}, {"stack": 1}):
        assert "acquisition_number" in str(refused("VOLUME_SEVERAL_STACKS", data, **options))
    assert "VOLUME_SEVERAL_STACKS" in build_volume(data, stack=1, allow={"VOLUME_SEVERAL_STACKS"}).flags


def screen(**values: Any) -> bytes:
    """A secondary capture without any place, of the same study."""
    (one,) = datasets(SeriesSpec(slices=1, rows=30, columns=40, seed=7))
    one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    one.ImageType = ["DERIVED", "SECONDARY", "SCREEN SAVE"]
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "FrameOfReferenceUID"):
        delattr(one, name)
    for name, value in values.items():
        setattr(one, name, value)
    return as_bytes(one)


def localizer(**values: Any) -> bytes:
    (one,) = datasets(SeriesSpec(slices=1, orientation=CORONAL, seed=9))
    one.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    for name, value in values.items():
        setattr(one, name, value)
    return as_bytes(one)


OTHER_SERIES = {"SeriesInstanceUID": "1.2.3.4"}
BESIDE: dict[str, tuple[bytes, str]] = {
    "a screen in the series": (screen(), "VOLUME_NO_GEOMETRY"),
    "a screen of another series": (screen(**OTHER_SERIES), "VOLUME_NO_GEOMETRY"),
    "a screen of the class of the series": (screen(SOPClassUID=CTImageStorage), "VOLUME_NO_GEOMETRY"),
    "a localizer in the series": (localizer(), "VOLUME_LOCALIZER"),
    "a localizer of another series": (localizer(FrameOfReferenceUID="1.2.9", **OTHER_SERIES), "VOLUME_LOCALIZER"),
}


@pytest.mark.parametrize(("other", "code"), BESIDE.values(), ids=BESIDE.keys())
def test_screens_and_localizers_beside_a_series_leave_its_volume_alone(other: bytes, code: str) -> None:
    data = files(SeriesSpec())
    volume = build_volume([*data[:3], other, *data[3:]])
    assert_same(volume, build_volume(data))
    assert volume.left_out == ((3, code),)
    assert len(volume_stacks([*data, other])) == 2


def test_what_stands_beside_a_series_and_is_not_left_out() -> None:
    data, second = files(SeriesSpec()), files(SeriesSpec(series_uid="1.2.3.4"))
    refused("VOLUME_MIXED_PATIENTS", [*data, screen(PatientID="P2")])
    refused("VOLUME_MIXED_PATIENTS", [*data, localizer(PatientID="P2", **OTHER_SERIES)])
    refused("VOLUME_MIXED_SERIES", [*data, *second, screen()])
    refused("VOLUME_NO_GEOMETRY", screen())
    stripped = datasets(SeriesSpec())
    del stripped[5].ImagePositionPatient, stripped[5].ImageOrientationPatient
    refused("VOLUME_MIXED_ORIENTATION", [as_bytes(one) for one in stripped])  # a slice that lost its place is no screen
    assert build_volume([localizer(), localizer(SOPInstanceUID="1.2.5", **{"ImagePositionPatient": ["0", "9", "0"]})]) is not None


def test_what_a_classic_image_said_counts_where_a_functional_group_says_nothing() -> None:
    """Legacy converted enhanced images keep such attributes in Unassigned Converted Attributes (PS3.3 C.7.6.16.2.25)."""
    converted = DataSet({}, {more.UNASSIGNED_CONVERTED: (DataSet({more.FLIP_ANGLE: b"30 "}),)})
    assert framed(DataSet({}, {tags.PER_FRAME_GROUPS: (converted,)}), Plane()).flip_angle_deg == 30
