"""Slices that are no volume (76): mixed patients and gaps are refused, never stacked."""

from __future__ import annotations

import pytest
from hostile.samples import change, ct

from medray.data.volume import build_volume
from medray.errors import Quarantined


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
