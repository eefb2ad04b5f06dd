"""NIfTI, NRRD and MetaImage: every voxel comes back at its place, and what has no place or no values is refused."""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path

import foreign_files as made
import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medray.data.foreign import reading, secondary_capture
from medray.data.foreign.picture import Picture
from medray.data.foreign.secondary_capture import Said, instance
from medray.data.volume import Volume, build_volume
from medray.errors import InputError

VOXELS = np.random.default_rng(0).integers(-1024, 3000, (7, 6, 5)).astype(np.int16)


def placed(angles: tuple[float, float, float], signs: tuple[int, int, int] = (1, 1, 1)) -> made.Array:
    """An affine of NIfTI: turned, with axes of either direction."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.diag(np.array(signs) * (0.7, 0.8, 2.5))
    affine[:3, 3] = 12.5, -20, 31
    return affine


def no_file(name: str) -> bytes:
    raise FileNotFoundError(name)


def picture(data: bytes, name: str = "a.nii", *, rounded: bool = False) -> Picture:
    return reading.read(reading.kind_of(data[:4096], name), data, name, no_file, rounded=rounded)


def dicom(data: bytes, name: str = "a.nii", said: Said | None = None) -> bytes:
    return secondary_capture.file_of(instance(picture(data, name), said or Said()))


def code(data: bytes, name: str = "a.nii") -> str:
    with pytest.raises(InputError) as found:
        picture(data, name)
    return found.value.code


def check_places(volume: Volume, values: made.Array, affine: made.Array) -> None:
    """``values`` (column, row, slice) with their affine in RAS are the volume, voxel by voxel where they lie."""
    indices = np.stack(np.meshgrid(*map(range, values.shape), indexing="ij"), -1).reshape(-1, 3)
    mm = np.c_[indices, np.ones(len(indices))] @ affine.T
    found = mm @ np.linalg.inv(volume.affine_ras).T
    whole = np.rint(found[:, :3]).astype(int)
    assert np.abs(found[:, :3] - whole).max() < 1e-4
    assert np.array_equal(volume.voxels[whole[:, 2], whole[:, 1], whole[:, 0]], values.reshape(-1).astype(np.float32))


@settings(max_examples=25, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    signs=st.tuples(*[st.sampled_from([1, -1])] * 3),
    kind=st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64]),
)
def test_voxels_of_a_nifti_lie_where_they_did(
    angles: tuple[float, float, float], signs: tuple[int, int, int], kind: type[np.generic]
) -> None:
    values = (VOXELS % 200 if kind in (np.uint8, np.uint16) else VOXELS).astype(kind)
    volume = build_volume(dicom(made.nifti(values, placed(angles, signs))))
    check_places(volume, values, placed(angles, signs).astype(np.float32))
    assert np.allclose(volume.spacing_mm, (2.5, 0.8, 0.7), atol=1e-5)
    assert volume.flags == ()


def test_the_dicom_is_valid(tmp_path: Path) -> None:
    for values in (VOXELS, VOXELS.astype(np.uint16), (VOXELS % 200).astype(np.uint8), VOXELS[:, :, :1]):
        assert made.errors_of(dicom(made.nifti(values, placed((1, 2, 3)))), tmp_path) == []


def test_scaled_values_and_units_are_kept(tmp_path: Path) -> None:
    data = made.nifti(VOXELS, placed((0, 0, 0)), scl_slope=0.5, scl_inter=-10)
    found = dicom(data, said=Said("CT", None, "HU"))
    assert made.errors_of(found, tmp_path) == []
    check_places(build_volume(found), VOXELS * 0.5 - 10, placed((0, 0, 0)))
    (item,) = pydicom.dcmread(io.BytesIO(found)).SharedFunctionalGroupsSequence
    assert item.PixelValueTransformationSequence[0].RescaleType == "HU"


def test_a_gzipped_nifti_and_nifti_2_are_the_same() -> None:
    plain = made.nifti(VOXELS, placed((5, 6, 7)))
    second = nibabel.Nifti2Image(VOXELS, placed((5, 6, 7))).to_bytes()
    expected = picture(plain)
    for data, name in ((gzip.compress(plain), "a.nii.gz"), (second, "a.nii"), (gzip.compress(second), "without an ending")):
        found = picture(data, name)
        assert np.array_equal(found.pixels, expected.pixels)
        assert np.allclose(found.affine, expected.affine, atol=1e-5)


def test_extensions_and_byte_order_of_the_header_do_not_matter() -> None:
    for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
        image = kind(VOXELS, placed((5, 6, 7)))
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"x" * 5000))
        check_places(build_volume(dicom(gzip.compress(image.to_bytes()), "a.nii.gz")), VOXELS, placed((5, 6, 7)))
        swapped = kind(VOXELS.astype(">i2"), placed((5, 6, 7)), kind.header_class(endianness=">"))
        check_places(build_volume(dicom(swapped.to_bytes())), VOXELS, placed((5, 6, 7)))


def test_other_units_of_length_become_mm() -> None:
    for unit, mm in (("meter", 1000.0), ("micron", 0.001), ("mm", 1.0)):
        image = nibabel.Nifti1Image(VOXELS, np.diag([2.0, 3.0, 4.0, 1.0]))
        image.header.set_xyzt_units(unit)
        found = picture(image.to_bytes()).affine
        assert np.allclose(np.linalg.norm(found[:3, :3], axis=0), np.array([2, 3, 4]) * mm)


def test_the_sform_counts_then_the_qform_and_without_either_it_is_said() -> None:
    image = nibabel.Nifti1Image(VOXELS, None)
    image.header["pixdim"][1:4] = 2, 3, 4
    assert picture(image.to_bytes()).notes == ("IMPORT_ORIENTATION_ASSUMED",)
    image.set_qform(placed((10, 20, 30)), code=1)
    check_places(build_volume(dicom(image.to_bytes())), VOXELS, np.asarray(image.header.get_qform()))
    image.set_sform(placed((40, 20, 10)), code=2)
    check_places(build_volume(dicom(image.to_bytes())), VOXELS, placed((40, 20, 10)))
    assert picture(image.to_bytes()).notes == ()


def test_a_sheared_step_is_kept_and_sheared_rows_are_refused() -> None:
    tilted = placed((0, 0, 0))
    tilted[1, 2] = 0.6
    volume = build_volume(dicom(made.nifti(VOXELS, tilted)), allow=["VOLUME_TILT"])
    check_places(volume, VOXELS, tilted)
    assert volume.flags == ("VOLUME_SHEARED",)
    sheared = placed((0, 0, 0))
    sheared[0, 1] = 0.3
    assert code(made.nifti(VOXELS, sheared)) == "IMPORT_SHEARED"
    flat = placed((0, 0, 0))
    flat[:3, 1] = flat[:3, 0]
    assert code(made.nifti(VOXELS, flat)) == "IMPORT_AFFINE"


def colours() -> bytes:
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    return bytes(nibabel.Nifti1Image(np.zeros((4, 5, 6), kind), np.eye(4)).to_bytes())


def claims_to_be_large() -> bytes:
    data = bytearray(made.nifti(VOXELS, np.eye(4)))
    data[40:56] = np.array([3, 30_000, 30_000, 30_000, 1, 1, 1, 1], "<i2").tobytes()
    return bytes(data)


BAD = {
    "four dimensions": (made.nifti(np.zeros((4, 5, 6, 2), np.int16), np.eye(4)), "IMPORT_DIMENSIONS"),
    "colours": (colours(), "IMPORT_VALUES"),
    "complex": (made.nifti(np.zeros((4, 5, 6), np.complex64), np.eye(4)), "IMPORT_VALUES"),
    "cut": (made.nifti(VOXELS, np.eye(4))[:-10], "IMPORT_BROKEN"),
    "cut and gzipped": (gzip.compress(made.nifti(VOXELS, np.eye(4)))[:-100], "IMPORT_BROKEN"),
    "claims to be large": (claims_to_be_large(), "IMPORT_TOO_LARGE"),
    "a bomb": (gzip.compress(claims_to_be_large() + bytes(1 << 20)), "IMPORT_TOO_LARGE"),
    "no number": (made.nifti(np.full((3, 3, 3), np.nan, np.float32), np.eye(4)), "IMPORT_NOT_FINITE"),
    "fractions": (made.nifti(np.random.default_rng(0).normal(size=(50, 50, 30)).astype(np.float32), np.eye(4)), "IMPORT_FLOAT"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_volume_is_refused(kind: str) -> None:
    data, expected = BAD[kind]
    assert code(data, "a.nii") == expected


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_voxels_of_nrrd_and_metaimage_lie_where_they_did(ending: str, tmp_path: Path) -> None:
    direction = Rotation.from_euler("xyz", (10, 20, 30), degrees=True).as_matrix()
    values = np.ascontiguousarray(VOXELS.T)
    data = made.itk(values, tmp_path / f"a{ending}", direction)
    found = dicom(data, f"a{ending}")
    assert made.errors_of(found, tmp_path) == []
    affine = np.eye(4)
    affine[:3, :3] = direction * (0.5, 0.6, 2.0)
    affine[:3, 3] = 1.0, -2.0, 30.5
    check_places(build_volume(found), VOXELS, np.diag([-1, -1, 1, 1]) @ affine)


@pytest.mark.parametrize("ending", [".nhdr", ".mhd"])
def test_voxels_may_lie_beside_their_header(ending: str, tmp_path: Path) -> None:
    made.itk(np.ascontiguousarray(VOXELS.T), tmp_path / f"a{ending}")
    (beside,) = [path for path in tmp_path.iterdir() if path.suffix != ending]
    data = (tmp_path / f"a{ending}").read_bytes()
    found = reading.read("itk", data, f"a{ending}", lambda name: (tmp_path / name).read_bytes())
    assert np.array_equal(found.pixels.astype(int) + int(found.rescale[1]), VOXELS.T)
    for other in ("../secret.raw", "/etc/passwd", "C:\\a.raw", "LIST", "a%03d.raw 1 9 1"):
        with pytest.raises(InputError, match="IMPORT_DETACHED"):
            reading.read("itk", data.replace(beside.name.encode(), other.encode()), f"a{ending}", no_file)


def test_what_is_no_nrrd_or_metaimage_is_refused(tmp_path: Path) -> None:
    vectors = sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.float32), isVector=True)
    for ending in (".nrrd", ".mha"):
        sitk.WriteImage(vectors, str(tmp_path / f"v{ending}"))
        assert code((tmp_path / f"v{ending}").read_bytes(), f"v{ending}") == "IMPORT_DIMENSIONS"
        data = made.itk(VOXELS, tmp_path / f"a{ending}")
        assert code(data[:-20], f"a{ending}") == "IMPORT_BROKEN"
    data, space = made.itk(VOXELS, tmp_path / "a.nrrd"), b"\nspace: left-posterior-superior"
    assert space in data
    assert code(data.replace(space, space + b'\nspace units: "ft" "ft" "ft"'), "a.nrrd") == "IMPORT_UNITS"
    metres = picture(data.replace(space, space + b'\nspace units: "m" "m" "m"'), "a.nrrd").affine
    assert np.allclose(np.linalg.norm(metres[:3, :3], axis=0), (500, 600, 2000))
    unplaced = data.replace(space, b"\n# " + space[1:]).replace(b"space directions", b"# space d")
    unplaced = unplaced.replace(b"space origin", b"# space o").replace(b"\nencoding", b"\nspacings: 0.5 0.6 2\nencoding")
    assert picture(unplaced, "a.nrrd").notes == ("IMPORT_ORIENTATION_ASSUMED",)
    for other in (b"scanner-xyz", b"3D-right-handed"):
        assert picture(data.replace(space, b"\nspace: " + other), "a.nrrd").notes == ("IMPORT_ORIENTATION_ASSUMED",)


@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
def test_a_spacing_that_is_not_stated_is_not_one(ending: str, tmp_path: Path) -> None:
    line = rb"(space directions|space origin|space):.*\n" if ending == ".nrrd" else rb"ElementSpacing = .*\n"
    for values in (np.ascontiguousarray(VOXELS.T), made.random(20, 31)):
        data = re.sub(line, b"", made.itk(values, tmp_path / f"a{ending}"))
        data = re.sub(rb"spacings:.*\n", b"", data)
        found = picture(data, f"a{ending}")
        assert (found.spacing_mm, found.affine) == (None, None)
        said = instance(found, Said(spacing_mm=(2.0, 0.5, 0.25)))
        assert said.spacing_mm == (0.5, 0.25)


def test_a_plane_has_its_spacing(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(made.random(20, 31))
    image.SetSpacing((0.25, 0.5))
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    found = pydicom.dcmread(io.BytesIO(dicom((tmp_path / "a.mha").read_bytes(), "a.mha")))
    assert (list(found.PixelSpacing), found.SOPClassUID) == ([0.5, 0.25], "1.2.840.10008.5.1.4.1.1.7")


def test_a_stack_without_a_place_is_a_volume_where_its_spacing_is_given() -> None:
    values = np.ascontiguousarray(VOXELS.T)
    found = dicom(made.npy(values), "a.npy", Said(spacing_mm=(2.0, 0.5, 0.25)))
    volume = build_volume(found)
    assert np.array_equal(volume.voxels, values)
    assert volume.spacing_mm == (2.0, 0.5, 0.25)
    for said in (Said(), Said(spacing_mm=(None, 0.5, 0.5))):
        with pytest.raises(InputError, match="VOLUME_NO_GEOMETRY"):
            build_volume(dicom(made.npy(values), "a.npy", said))
