"""Masks of volumes: SEG objects of highdicom, put where their frames lie."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache

import numpy as np
import pydicom
import pytest
from dicom_series import AXIAL, CORONAL, OBLIQUE, SeriesSpec, as_bytes, datasets
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from segmentations import reordered, segmentation

from medray.data.volume import Volume, build_volume
from medray.data.volume_masks import decode_volume_mask
from medray.errors import Quarantined

NAMES = {"PatientName": "A^B", "PatientBirthDate": "", "PatientSex": "O", "AccessionNumber": "", "StudyID": "1"}


def series(orientation: tuple[float, ...] = AXIAL) -> tuple[list[Dataset], Volume]:
    spec = SeriesSpec(orientation=orientation, extra=NAMES)
    slices = list(datasets(spec))
    return slices, build_volume([as_bytes(one) for one in slices])


@cache
def marked() -> NDArray[np.uint8]:
    """Two segments; the first and the fourth slice have nothing of the first, the last one nothing at all."""
    found = np.random.default_rng(1).integers(0, 3, (6, 7, 9)).astype(np.uint8)
    found[[0, 3]] *= found[[0, 3]] == 2
    found[5] = 0
    return found


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, OBLIQUE])
def test_frames_lie_on_the_slices_that_they_were_drawn_on(orientation: tuple[float, ...]) -> None:
    slices, volume = series(orientation)
    found = reordered(segmentation(slices, marked()))
    assert found.NumberOfFrames == 8, "five slices with one or two segments"
    data = as_bytes(found)
    assert np.array_equal(decode_volume_mask(data, volume), marked() > 0)
    for segment in (1, 2, 3):
        assert np.array_equal(decode_volume_mask(data, volume, segment), marked() == segment)


def test_frames_may_lie_beside_their_slices_by_less_than_half_a_step() -> None:
    slices, volume = series()
    data = moved(segmentation(slices, marked()), (0.04, 0.07, 1.2))
    assert np.array_equal(decode_volume_mask(data, volume), marked() > 0)


def moved(found: Dataset, by_mm: tuple[float, float, float]) -> bytes:
    found = pydicom.dcmread(io.BytesIO(as_bytes(found)))  # whose frames share no item
    for frame in found.PerFrameFunctionalGroupsSequence:
        position = frame.PlanePositionSequence[0]
        position.ImagePositionPatient = [float(a) + b for a, b in zip(position.ImagePositionPatient, by_mm, strict=True)]
    return as_bytes(found)


def other_spacing(found: Dataset) -> bytes:
    found.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [0.8, 0.51]
    return as_bytes(found)


def other_orientation(found: Dataset) -> bytes:
    found.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]
    return as_bytes(found)


def other_reference(found: Dataset) -> bytes:
    found.FrameOfReferenceUID = "1.2.3"
    return as_bytes(found)


def without_places(found: Dataset) -> bytes:
    for frame in found.PerFrameFunctionalGroupsSequence:
        del frame.PlanePositionSequence
    return as_bytes(found)


@pytest.mark.parametrize(
    "change",
    [
        lambda found: moved(found, (0.06, 0, 0)),
        lambda found: moved(found, (0, 0.09, 0)),
        lambda found: moved(found, (0, 0, -1.3)),
        other_spacing,
        other_orientation,
        other_reference,
        without_places,
    ],
)
def test_a_mask_of_another_geometry_is_refused(change: Callable[[Dataset], bytes]) -> None:
    slices, volume = series()
    with pytest.raises(Quarantined) as caught:
        decode_volume_mask(change(segmentation(slices, np.ones((6, 7, 9), np.uint8))), volume)
    assert caught.value.code == "MASK_GEOMETRY"


def test_other_masks_are_refused() -> None:
    _, volume = series()
    wide = list(datasets(SeriesSpec(columns=8, extra=NAMES)))
    for data, code in (
        (as_bytes(segmentation(wide, np.ones((6, 7, 8), np.uint8))), "MASK_SIZE"),
        (b"\x89PNG\r\n\x1a\n", "MASK_UNREADABLE"),
        (as_bytes(segmentation(wide, np.ones((6, 7, 8), np.uint8)))[:-4], "MASK_UNREADABLE"),
    ):
        with pytest.raises(Quarantined) as caught:
            decode_volume_mask(data, volume)
        assert caught.value.code == code
