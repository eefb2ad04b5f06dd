"""What the values of a SEG mark: label maps, fractions, and what contradicts its description."""

from __future__ import annotations

from typing import Any

import highdicom
import numpy as np
import pytest
from dicom_series import SeriesSpec, as_bytes, datasets
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from segmentations import LABEL_MAP, drawn, item, of_segment, segmentation

from medray.data.dicom import decode
from medray.data.masks import decode_mask
from medray.data.volume import build_volume
from medray.data.volume_masks import decode_volume_mask
from medray.errors import Excluded, Quarantined
from medray.types import Bool, Header, Image

LABELS = np.random.default_rng(3).integers(0, 3, (7, 9))
IMAGE = Image(np.zeros((7, 9), np.float32), header=Header(sop_uid="1.2.3"))
NAMES = {"PatientName": "A^B", "PatientBirthDate": "", "PatientSex": "O", "AccessionNumber": "", "StudyID": "1"}
BACKGROUND = [item(CodeValue="125040", CodingSchemeDesignator="DCM")]


def described(*numbers: int, background: int | None = None) -> list[Dataset]:
    """A Segment Sequence of these numbers, one of which may be coded as background."""
    codes: list[dict[str, Any]] = [
        {"SegmentedPropertyTypeCodeSequence": BACKGROUND} if one == background else {} for one in numbers
    ]
    return [item(SegmentNumber=number, **code) for number, code in zip(numbers, codes, strict=True)]


def label_map(values: NDArray[Any], **attributes: Any) -> bytes:
    return as_bytes(drawn(values[None], kind="LABELMAP", **attributes))


def mask(data: bytes, **choice: Any) -> Bool:
    return decode_mask(data, IMAGE, **choice)


def code(data: bytes, **choice: Any) -> str:
    with pytest.raises(Quarantined) as caught:
        mask(data, **choice)
    return caught.value.code


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "PALETTE COLOR"])
def test_pixel_padding_value_names_the_background(dtype: type, photometric: str) -> None:
    highest = int(np.iinfo(dtype).max)
    values = np.where(LABELS == 2, highest, LABELS).astype(dtype)  # 0 and 1 are segments, the largest is the background
    data = label_map(
        values, PixelPaddingValue=highest, SegmentSequence=described(0, 1, highest), PhotometricInterpretation=photometric
    )
    assert np.array_equal(mask(data), LABELS < 2)
    assert np.array_equal(mask(data, segment=0), LABELS == 0)
    assert np.array_equal(mask(data, segment=1), LABELS == 1)
    assert not mask(data, segment=5).any()
    assert code(data, segment=highest) == "MASK_UNREADABLE", "the background is no segment"


def test_without_padding_the_background_is_0_unless_it_is_described() -> None:
    values = LABELS.astype(np.uint8)
    assert np.array_equal(mask(label_map(values, SegmentSequence=described(1, 2))), LABELS > 0)
    assert np.array_equal(mask(label_map(values)), LABELS > 0)
    assert code(label_map(values), segment=0) == "MASK_UNREADABLE"
    assert mask(label_map(values, SegmentSequence=described(0, 1, 2))).all()
    coded = label_map(values, SegmentSequence=described(0, 1, 2, background=0))
    assert np.array_equal(mask(coded), LABELS > 0)
    coded = label_map(values, SegmentSequence=described(0, 1, 2, background=1))
    assert np.array_equal(mask(coded), LABELS != 1)


@pytest.mark.parametrize(("dtype", "bits"), [(np.int8, 8), (np.int16, 16)])
def test_the_padding_of_signed_values_is_signed(dtype: type, bits: int) -> None:
    values = np.where(LABELS == 2, -1, LABELS).astype(dtype)
    attributes = {"SegmentSequence": described(0, 1)}
    data = drawn(values[None], kind="LABELMAP", **attributes)
    data.add_new(0x00280120, "SS", -1)
    assert data.BitsAllocated == bits
    assert np.array_equal(mask(as_bytes(data)), LABELS < 2)


def test_values_that_are_not_described_contradict() -> None:
    values = LABELS.astype(np.uint8)
    assert code(label_map(values, SegmentSequence=described(1))) == "MASK_UNREADABLE"
    assert code(label_map(values, SegmentSequence=described(1, 2), PixelPaddingValue=5)) == "MASK_UNREADABLE"
    assert code(label_map(values, SegmentSequence=described(1)), segment=1) == "MASK_UNREADABLE"


def test_the_type_is_stated_or_plain() -> None:
    values = LABELS.astype(np.uint8)
    untyped = drawn(values[None], kind="LABELMAP")
    del untyped.SegmentationType
    assert np.array_equal(mask(as_bytes(untyped)), LABELS > 0), "the class says it"
    for kind in ("BINARY", "HEIGHTMAP", "FRACTIONAL"):
        assert code(label_map(values, SegmentationType=kind), level=0.5) == "MASK_UNREADABLE"
    grey = drawn(values[None], kind="FRACTIONAL")
    del grey.SegmentationType
    assert code(as_bytes(grey), level=0.5) == "MASK_UNREADABLE"
    old = drawn(values[None], kind="FRACTIONAL", SegmentationType="LABELMAP")
    assert np.array_equal(mask(as_bytes(old), segment=2), LABELS == 2), "written before the class was"


def test_highdicom_writes_label_maps() -> None:
    slices = list(datasets(SeriesSpec(extra=NAMES)))
    marked = np.random.default_rng(1).integers(0, 3, (6, 7, 9)).astype(np.uint8)
    found = segmentation(slices, marked, "LABELMAP")
    assert (found.SOPClassUID, found.PixelPaddingValue, len(found.SegmentSequence)) == (LABEL_MAP, 0, 3)
    volume = build_volume([as_bytes(one) for one in slices])
    for segment in (None, 1, 2):
        expected = marked > 0 if segment is None else marked == segment
        assert np.array_equal(decode_volume_mask(as_bytes(found), volume, segment), expected)
        images = [decode_mask(as_bytes(found), decode(as_bytes(one)), segment) for one in slices]
        assert np.array_equal(images, expected)


def test_a_label_map_is_a_segmentation_for_the_catalog() -> None:
    with pytest.raises(Excluded) as caught:
        decode(label_map(LABELS.astype(np.uint8)))
    assert caught.value.code == "OBJECT_SEGMENTATION"


# --- fractions -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PROBABILITY", "OCCUPANCY"])
def test_a_fraction_counts_from_a_stated_level_on(kind: str) -> None:
    values = np.random.default_rng(4).integers(0, 11, (7, 9)).astype(np.uint8)
    data = as_bytes(drawn(values[None], kind="FRACTIONAL", SegmentationFractionalType=kind, MaximumFractionalValue=10))
    for level in (0.05, 0.1, 0.3, 0.5, 0.7, 0.95, 1.0):
        assert np.array_equal(mask(data, level=level), values >= round(level * 10 + 0.49)), level
    with pytest.raises(Quarantined, match="without a level") as caught:
        mask(data)
    assert caught.value.code == "MASK_UNREADABLE"


def test_a_fraction_of_an_unknown_or_smaller_maximum_is_refused() -> None:
    values = LABELS.astype(np.uint8)
    assert code(as_bytes(drawn(values[None], kind="FRACTIONAL")), level=0.5) == "MASK_UNREADABLE"
    assert code(as_bytes(drawn(values[None], kind="FRACTIONAL", MaximumFractionalValue=1)), level=0.5) == "MASK_UNREADABLE"


def test_a_segment_of_a_fractional_mask_is_chosen() -> None:
    planes = np.stack([LABELS == 1, LABELS == 2]) * np.uint8(100)
    groups = [item(**of_segment(number)) for number in (1, 2)]
    data = as_bytes(drawn(planes, kind="FRACTIONAL", MaximumFractionalValue=200, PerFrameFunctionalGroupsSequence=groups))
    assert np.array_equal(mask(data, level=0.5), LABELS > 0)
    assert np.array_equal(mask(data, level=0.5, segment=2), LABELS == 2)
    assert not mask(data, level=0.51).any()


def test_highdicom_writes_fractions() -> None:
    slices = list(datasets(SeriesSpec(extra=NAMES)))
    fractions = np.random.default_rng(1).random((6, 7, 9)).astype(np.float32)
    kind = highdicom.seg.SegmentationFractionalTypeValues.PROBABILITY
    data = as_bytes(segmentation(slices, fractions, "FRACTIONAL", fractional_type=kind, max_fractional_value=255))
    volume = build_volume([as_bytes(one) for one in slices])
    expected = np.around(fractions * 255) / 255 >= 0.4
    assert np.array_equal(decode_volume_mask(data, volume, level=0.4), expected)
    assert np.array_equal(decode_mask(data, decode(as_bytes(slices[2])), level=0.4), expected[2])
