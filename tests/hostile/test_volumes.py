"""Slices that are no volume (76): mixed patients and gaps are refused, never stacked."""

from __future__ import annotations

import random

import pytest
from dicom_series import SeriesSpec, as_bytes
from hostile.samples import change, ct
from multiframe import reconstruction, ultrasound_volume
from slice_grids import mosaic, vframe

from medray.data.volume import build_volume
from medray.errors import InputError, Quarantined


def slices(*heights_mm: float, **last: str) -> list[bytes]:
    """Axial CT slices of one series at these heights; the last with other values."""
    found = []
    for number, height_mm in enumerate(heights_mm):
        uid = f"1.2.3.{number + 1}"
        made = ct(
            SOPInstanceUID=uid,
            MediaStorageSOPInstanceUID=uid,
            InstanceNumber=str(number + 1),
            ImagePositionPatient=f"0\\0\\{height_mm}",
            ImageOrientationPatient="1\\0\\0\\0\\1\\0",
            SliceThickness="5",
        )
        found.append(made)
    return [*found[:-1], change(found[-1], **last)]


def test_76_even_slices_are_a_volume() -> None:
    volume = build_volume(slices(0, 5, 10, 15))
    assert volume.voxels.shape == (4, 128, 128)
    assert volume.spacing_mm[0] == 5.0


@pytest.mark.parametrize(
    ("files", "code"),
    [
        (slices(0, 5, 10, 15, PatientID="ANOTHER "), "VOLUME_MIXED_PATIENTS"),
        (slices(0, 5, 10, 25, 30), "VOLUME_GAP"),
        (slices(0, 5, 10, 10), "VOLUME_DUPLICATE_SLICE"),
        (slices(0, 5, 10, 15, ImageOrientationPatient="1\\0\\0\\0\\0\\-1"), "VOLUME_MIXED_ORIENTATION"),
        (slices(0, 5, 10, 15, PixelSpacing="0.5\\0.5"), "VOLUME_MIXED_SPACING"),
    ],
    ids=["patients", "gap", "duplicate", "orientation", "spacing"],
)
def test_76_what_is_no_volume_is_quarantined(files: list[bytes], code: str) -> None:
    with pytest.raises(Quarantined) as caught:
        build_volume(files)
    assert caught.value.code == code


SMALL = SeriesSpec(modality="MR", slices=5, rows=4, columns=6, slope=None)
MANY_SLICES = {
    "mosaic": as_bytes(mosaic(SMALL)),
    "vframe": as_bytes(vframe(SMALL)),
    "reconstruction": as_bytes(reconstruction(SMALL)),
    "ultrasound": as_bytes(ultrasound_volume(SMALL)),
}


def ending(data: bytes) -> str:
    """The code of the error, or the shape of the volume."""
    try:
        volume = build_volume(data, correct=["tilt", "spacing"], max_bytes=1 << 20)
    except InputError as error:
        return error.code
    assert volume.voxels.shape == (len(volume.headers), *volume.voxels.shape[1:])
    return str(volume.voxels.shape)


@pytest.mark.parametrize("name", MANY_SLICES)
def test_damaged_files_of_many_slices_end_in_a_volume_or_a_code(name: str) -> None:
    good, endings = MANY_SLICES[name], set()
    for seed in range(400):
        rng, data = random.Random(seed), bytearray(good)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(132, len(data) - 8)
            length = rng.choice([1, 1, 2, 4])
            data[at : at + length] = rng.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", rng.randbytes(4), b"9999", b"-1e9"])[:length]
        endings.add(ending(bytes(data)))
    assert len(endings) > 5
