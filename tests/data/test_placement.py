"""Frames that Plane Position (Patient) does not place: NM reconstructions and Enhanced US volumes."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_series import AXIAL, CORONAL, OBLIQUE, SAGITTAL, SeriesSpec, as_bytes, compare, dcm2niix
from multiframe import item, reconstruction, ultrasound_volume
from pydicom.uid import ExplicitVRBigEndian, RLELossless
from slice_grids import mosaic, vframe

from medray.data.dicom import decode, inspect
from medray.data.volume import build_volume, volume_stacks
from medray.errors import Excluded, InputError, Quarantined

SPEC = SeriesSpec(slices=6, slope=None)
ORIENTATIONS = {"axial": AXIAL, "sagittal": SAGITTAL, "coronal": CORONAL, "oblique": OBLIQUE}
SHUFFLED = [3, 1, 0, 2, 5, 4]


def refused(code: str, found: Any) -> InputError:
    with pytest.raises((Excluded, Quarantined)) as caught:
        build_volume(as_bytes(found))
    assert caught.value.code == code
    return caught.value


@pytest.mark.parametrize("order", [range(6), SHUFFLED], ids=["in order", "shuffled"])
@pytest.mark.parametrize("sign", [1, -1], ids=["along the normal", "against the normal"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_reconstruction_lies_where_its_detector_says(orientation: str, sign: int, order: list[int]) -> None:
    spec = replace(SPEC, orientation=ORIENTATIONS[orientation])
    volume = build_volume(as_bytes(reconstruction(spec, order=order, sign=sign)))
    np.testing.assert_array_equal(volume.voxels, spec.stored()[::sign])
    positions = np.asarray(spec.origin_mm) + sign * np.arange(6)[:, None] * spec.step
    np.testing.assert_allclose(volume.positions_mm, positions[::sign], atol=1e-5)
    assert volume.frames == tuple(list(order).index(at) for at in range(6))[::sign]
    assert [header.position_mm for header in volume.headers] == [tuple(position) for position in volume.positions_mm.tolist()]
    assert volume.flags == ()


@pytest.mark.parametrize("orientation", ["axial", "oblique"])
def test_a_reconstruction_agrees_with_dcm2niix(orientation: str, tmp_path: Path) -> None:
    """It stacks slices to the head, whatever the sign of the spacing and the normal; these two are so."""
    data = as_bytes(reconstruction(replace(SPEC, orientation=ORIENTATIONS[orientation])))
    (nifti,) = dcm2niix([data], tmp_path)
    agreement = compare(build_volume(data), nifti)
    assert agreement.place_mm < 1e-4
    assert max(agreement.spacing_mm, agreement.value) < 1e-6


@pytest.mark.parametrize("kind", ["TOMO", "DYNAMIC", "GATED", "STATIC", "WHOLE BODY", "GATED TOMO"])
def test_projections_lie_nowhere(kind: str) -> None:
    refused("VOLUME_NO_GEOMETRY", reconstruction(SPEC, kind=kind))


def without(name: str) -> Callable[[Any], None]:
    def change(found: Any) -> None:
        delattr(found, name)

    return change


def setting(**values: Any) -> Callable[[Any], None]:
    def change(found: Any) -> None:
        for name, value in values.items():
            setattr(found, name, value)

    return change


def unplaced(found: Any) -> None:
    del found.DetectorInformationSequence[0].ImagePositionPatient


def unturned(found: Any) -> None:
    found.DetectorInformationSequence[0].ImageOrientationPatient = [1, 0, 0, 1, 0, 0]


BROKEN: dict[str, Callable[[Any], None]] = {
    "no slice vector": without("SliceVector"),
    "a short slice vector": setting(SliceVector=[1, 2, 3]),
    "slices from 0": setting(SliceVector=[0, 1, 2, 3, 4, 5]),
    "frames counted by something else": setting(FrameIncrementPointer=[0x00540020]),
    "no spacing": without("SpacingBetweenSlices"),
    "no detector": without("DetectorInformationSequence"),
    "no position": unplaced,
    "no orientation": unturned,
    "no pixel spacing": without("PixelSpacing"),
}


@pytest.mark.parametrize("spoil", BROKEN.values(), ids=BROKEN.keys())
def test_a_reconstruction_that_does_not_say_where_it_lies_is_refused(spoil: Callable[[Any], None]) -> None:
    found = reconstruction(SPEC)
    spoil(found)
    refused("VOLUME_NO_GEOMETRY", found)


def test_detectors_that_agree_or_are_named() -> None:
    found = reconstruction(SPEC, detectors=2)
    np.testing.assert_array_equal(build_volume(as_bytes(found)).voxels, SPEC.stored())
    found.DetectorInformationSequence[1].ImagePositionPatient = [0, 0, 0]
    refused("VOLUME_NO_GEOMETRY", found)
    found.FrameIncrementPointer, found.DetectorVector = [0x00540020, 0x00540080], [2] * 6
    np.testing.assert_allclose(build_volume(as_bytes(found)).positions_mm[0], 0)


def test_slices_of_several_detectors_and_time_slots_are_stacks_of_their_own() -> None:
    for vector, name in ((0x00540020, "DetectorVector"), (0x00540070, "TimeSlotVector"), (0x00540010, "EnergyWindowVector")):
        specs = [replace(SPEC, seed=seed) for seed in range(2)]
        found = reconstruction(SPEC, detectors=2, order=[*range(6), *range(6)], kind="RECON GATED TOMO")
        found.FrameIncrementPointer = [vector, 0x00540080]
        setattr(found, name, [1] * 6 + [2] * 6)
        found.PixelData = np.concatenate([spec.stored() for spec in specs]).tobytes()
        refused("VOLUME_SEVERAL_STACKS", found)
        for number, spec in enumerate(specs):
            np.testing.assert_array_equal(build_volume(as_bytes(found), stack=number).voxels, spec.stored())


def test_two_frames_of_one_slice_that_nothing_sets_apart_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        build_volume(as_bytes(reconstruction(SPEC, order=[0, 1, 2, 2, 4, 5])))
    assert caught.value.code in {"VOLUME_DUPLICATE_SLICE", "VOLUME_SEVERAL_STACKS"}


def test_a_reconstruction_of_one_slice() -> None:
    volume = build_volume(as_bytes(reconstruction(SPEC, order=[0])))
    np.testing.assert_allclose(volume.positions_mm, [SPEC.origin_mm])
    assert volume.flags == ("VOLUME_SINGLE_SLICE",)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_an_ultrasound_volume_lies_in_its_own_frame_of_reference(orientation: str) -> None:
    spec = replace(SPEC, orientation=ORIENTATIONS[orientation])
    data = as_bytes(ultrasound_volume(spec, order=SHUFFLED))
    volume = build_volume(data)
    np.testing.assert_array_equal(volume.voxels, spec.stored())
    np.testing.assert_allclose(volume.positions_mm, spec.positions(), atol=1e-9)
    np.testing.assert_allclose(volume.affine @ [0, 0, 5, 1], [*spec.positions()[5], 1], atol=1e-9)
    np.testing.assert_allclose(volume.spacing_mm, (spec.slice_mm, *spec.spacing_mm), rtol=1e-6)
    assert volume.flags == ("VOLUME_FRAME_OF_REFERENCE",)
    assert volume_stacks(data)[0].orientation_name == ""
    assert {(header.position_mm, header.orientation) for header in volume.headers} == {(None, None)}


def test_an_ultrasound_volume_is_an_image_as_well() -> None:
    data = as_bytes(ultrasound_volume(SPEC))
    header = inspect(data, len(data))
    assert header is not None
    assert (header.frames, header.modality) == (6, "US")
    np.testing.assert_array_equal(decode(data, frame=4).pixels, SPEC.stored()[4])


def test_an_ultrasound_volume_without_its_places_is_refused() -> None:
    found = ultrasound_volume(SPEC)
    found.PerFrameFunctionalGroupsSequence[2].PlanePositionVolumeSequence = [item(ImagePositionVolume=[float("nan"), 0.0, 0.0])]
    refused("VOLUME_NO_GEOMETRY", found)
    found = ultrasound_volume(SPEC)
    del found.PerFrameFunctionalGroupsSequence[2].PlanePositionVolumeSequence
    refused("VOLUME_NO_GEOMETRY", found)
    found = ultrasound_volume(SPEC)
    del found.SharedFunctionalGroupsSequence[0].PlaneOrientationVolumeSequence
    refused("VOLUME_NO_GEOMETRY", found)


@pytest.mark.parametrize("make", [reconstruction, ultrasound_volume, mosaic, vframe])
def test_another_byte_order_and_compression_change_nothing(make: Callable[[SeriesSpec], Any]) -> None:
    plain = make(replace(SPEC, modality="MR"))
    volume = build_volume(as_bytes(plain))
    swapped = pydicom.dcmread(io.BytesIO(as_bytes(plain)))
    swapped.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    swapped.PixelData = np.frombuffer(plain.PixelData, np.uint16).byteswap().tobytes()
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, swapped, implicit_vr=False, little_endian=False, force_encoding=True)
    compressed = pydicom.dcmread(io.BytesIO(as_bytes(plain)))
    compressed.compress(RLELossless, generate_instance_uid=False)
    for data in (buffer.getvalue(), as_bytes(compressed)):
        other = build_volume(data)
        np.testing.assert_array_equal(other.voxels, volume.voxels)
        np.testing.assert_array_equal(other.affine, volume.affine)
