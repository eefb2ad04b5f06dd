"""Which frames of a SEG count for an image: where they lie, what they refer to, and what contradicts itself."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from dicom_series import AXIAL, CORONAL, OBLIQUE, SeriesSpec, as_bytes, datasets, enhanced
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGLSLossless, RLELossless
from segmentations import drawn, item, of_segment, plane_groups, reordered, segmentation, sources

from medray.data.dicom import decode
from medray.data.masks import decode_mask
from medray.data.volume import build_volume
from medray.data.volume_masks import decode_volume_mask
from medray.errors import Quarantined
from medray.types import Bool, Image

NAMES = {"PatientName": "A^B", "PatientBirthDate": "", "PatientSex": "O", "AccessionNumber": "", "StudyID": "1"}
SPEC = SeriesSpec(extra=NAMES)
SLICES = list(datasets(SPEC))
IMAGES = [decode(as_bytes(one)) for one in SLICES]
UIDS = [one.SOPInstanceUID for one in SLICES]
REFERENCE = SLICES[0].FrameOfReferenceUID
DRAWN = np.random.default_rng(2).random((2, 7, 9)) < 0.4
EMPTY = 0


def seg(groups: list[dict[str, Any]], frames: Bool = DRAWN, **attributes: Any) -> bytes:
    """A binary SEG of one segment, unless its frames say otherwise, in the frame of reference of the series."""
    given = {"FrameOfReferenceUID": REFERENCE, **attributes}
    shared = [item(**of_segment(1))] if not any("SegmentIdentificationSequence" in one for one in groups) else []
    per_frame = [item(**one) for one in groups]
    return as_bytes(drawn(frames, SharedFunctionalGroupsSequence=shared, PerFrameFunctionalGroupsSequence=per_frame, **given))


def on(*numbers: float, **measures: Any) -> list[dict[str, Any]]:
    """Groups of frames that lie on slices; a fraction lies between two."""
    return [plane_groups(placed(number), **measures) for number in numbers]


def placed(number: float) -> Dataset:
    at = np.asarray(SPEC.origin_mm) + number * SPEC.step
    return item(
        ImagePositionPatient=[round(value, 6) for value in at],
        ImageOrientationPatient=SLICES[0].ImageOrientationPatient,
        PixelSpacing=SLICES[0].PixelSpacing,
    )


def found(data: bytes, image: Image, **choice: Any) -> Bool | str:
    try:
        return decode_mask(data, image, **choice)
    except Quarantined as error:
        return error.code


def outcomes(data: bytes, images: list[Image] = IMAGES[:4]) -> list[Any]:
    """For each image: the number of the frame that its mask is, 0 for an empty mask, a code."""
    known = {DRAWN[0].tobytes(): 1, DRAWN[1].tobytes(): 2, np.zeros_like(DRAWN[0]).tobytes(): EMPTY}
    answers = [found(data, image) for image in images]
    return [one if isinstance(one, str) else known.get(one.tobytes(), "another mask") for one in answers]


GEOMETRY, OTHER = "MASK_GEOMETRY", "MASK_OTHER_IMAGE"


# --- by place alone ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, OBLIQUE])
def test_an_image_has_the_frames_that_its_slice_of_the_volume_has(orientation: tuple[float, ...]) -> None:
    slices = list(datasets(replace(SPEC, orientation=orientation)))
    marked = np.random.default_rng(1).integers(0, 3, (6, 7, 9)).astype(np.uint8)
    marked[3] *= marked[3] == 2
    marked[5] = 0
    data = as_bytes(reordered(segmentation(slices, marked)))
    volume = build_volume([as_bytes(one) for one in slices])
    for segment in (None, 1, 2, 3):
        masks = [decode_mask(data, decode(as_bytes(one)), segment) for one in slices]
        assert np.array_equal(masks, decode_volume_mask(data, volume, segment))
        assert np.array_equal(masks, marked > 0 if segment is None else marked == segment)


def test_a_frame_counts_where_it_lies_whatever_the_order() -> None:
    assert outcomes(seg(on(0, 1))) == [1, 2, EMPTY, EMPTY]
    assert outcomes(seg(on(3, 0))) == [2, EMPTY, EMPTY, 1]
    assert outcomes(seg(on(0, 40))) == [1, EMPTY, EMPTY, EMPTY]


def test_the_one_place_of_a_mask_may_be_shared() -> None:
    shared = item(**of_segment(1), **plane_groups(placed(2)))
    data = as_bytes(drawn(DRAWN[:1], FrameOfReferenceUID=REFERENCE, SharedFunctionalGroupsSequence=[shared]))
    assert outcomes(data) == [EMPTY, EMPTY, 1, EMPTY]


def test_frames_between_the_slices_lie_on_none() -> None:
    assert outcomes(seg(on(0.5, 40))) == [GEOMETRY, GEOMETRY, EMPTY, EMPTY]
    stated = {"SpacingBetweenSlices": SPEC.slice_mm}
    assert outcomes(seg(on(0.5, 40, **stated))) == [GEOMETRY, GEOMETRY, EMPTY, EMPTY]
    assert outcomes(seg(on(0.3, 40, **stated))) == [1, EMPTY, EMPTY, EMPTY], "the half step is known"
    assert outcomes(seg(on(0.3, 40))) == [GEOMETRY, EMPTY, EMPTY, EMPTY], "slices may overlap: it might be of another one"
    assert outcomes(seg(on(0.05, 40))) == [1, EMPTY, EMPTY, EMPTY]


def test_frames_of_overlapping_slices_are_told_apart() -> None:
    spec = replace(SPEC, slice_mm=1.0)
    slices = list(datasets(spec))
    for one in slices:
        one.SliceThickness = "5"
    images = [decode(as_bytes(one)) for one in slices]
    groups = [plane_groups(slices[number], SliceThickness="5") for number in (1, 2)]
    assert outcomes(seg(groups), images[1:3]) == [1, 2]
    assert outcomes(seg(groups), images[3:4]) == [GEOMETRY], "1 mm off a slice of 5 mm: nothing says that it is of another slice"
    groups = [plane_groups(slices[number], SpacingBetweenSlices="1") for number in (1, 2)]
    assert outcomes(seg(groups), images[:4]) == [EMPTY, 1, 2, EMPTY]


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("ImagePositionPatient", [-19.0, 31.5, 104.25]),
        ("ImagePositionPatient", [-20.0, 31.6, 104.25]),
        ("PixelSpacing", [0.8, 0.51]),
        ("ImageOrientationPatient", [0, 1, 0, -1, 0, 0]),
        ("ImageOrientationPatient", [1, 0, 0, 0, 1]),
        ("PixelSpacing", None),
    ],
)
def test_a_frame_beside_its_image_is_refused(tag: str, value: Any) -> None:
    groups = on(0)[0]
    for sequence in groups.values():
        if tag in sequence[0]:
            setattr(sequence[0], tag, value)
    assert outcomes(seg([groups], DRAWN[:1]), IMAGES[:1]) == [GEOMETRY]
    assert outcomes(seg([groups | {"DerivationImageSequence": sources(UIDS[0])}], DRAWN[:1]), IMAGES[:1]) == [GEOMETRY]


def test_another_frame_of_reference_is_of_another_image() -> None:
    assert outcomes(seg(on(0, 1), FrameOfReferenceUID="1.2.3")) == [OTHER] * 4
    named = [groups | {"DerivationImageSequence": sources(uid)} for groups, uid in zip(on(0, 1), UIDS, strict=False)]
    assert outcomes(seg(named, FrameOfReferenceUID="1.2.3"))[:2] == [GEOMETRY] * 2
    assert outcomes(seg(on(0, 1), FrameOfReferenceUID="")) == [1, 2, OTHER, OTHER], (
        "nothing says that the others are of its stack"
    )


def test_frames_at_one_place_are_of_several_segments_or_of_several_images() -> None:
    twice = [groups | of_segment(1) for groups in on(0, 0)]
    assert outcomes(seg(twice)) == [GEOMETRY, EMPTY, EMPTY, EMPTY], "time points, perhaps"
    data = seg([groups | of_segment(number) for number, groups in enumerate(on(0, 0), 1)])
    assert np.array_equal(decode_mask(data, IMAGES[0]), DRAWN.any(0))
    assert np.array_equal(decode_mask(data, IMAGES[0], segment=2), DRAWN[1])
    assert not decode_mask(data, IMAGES[0], segment=3).any()
    volume = build_volume([as_bytes(one) for one in SLICES])
    with pytest.raises(Quarantined) as caught:
        decode_volume_mask(seg(twice), volume)
    assert caught.value.code == GEOMETRY


# --- by place and reference ----------------------------------------------------------------------------------------------------


def test_references_narrow_what_lies_on_an_image() -> None:
    def named(*uids: str) -> bytes:
        return seg([groups | {"DerivationImageSequence": sources(uid)} for groups, uid in zip(on(0, 1), uids, strict=True)])

    assert outcomes(named(UIDS[0], UIDS[1])) == [1, 2, EMPTY, EMPTY]
    assert outcomes(named(UIDS[1], UIDS[0])) == [GEOMETRY, GEOMETRY, EMPTY, EMPTY], "crossed"
    assert outcomes(named(UIDS[0], UIDS[0])) == [GEOMETRY, OTHER, EMPTY, EMPTY]
    assert outcomes(named("1.2.3", "1.2.4")) == [OTHER, OTHER, EMPTY, EMPTY], "images at the same places"
    assert outcomes(named("1.2.3", UIDS[1])) == [OTHER, 2, EMPTY, EMPTY]


def test_shared_references_name_all_images_or_one() -> None:
    def shared(*uids: str) -> bytes:
        groups = item(**of_segment(1), DerivationImageSequence=sources(*uids))
        per_frame = [item(**one) for one in on(0, 1)]
        sequences = {"SharedFunctionalGroupsSequence": [groups], "PerFrameFunctionalGroupsSequence": per_frame}
        return as_bytes(drawn(DRAWN, FrameOfReferenceUID=REFERENCE, **sequences))

    assert outcomes(shared(*UIDS)) == [1, 2, EMPTY, EMPTY]
    assert outcomes(shared(UIDS[0])) == [GEOMETRY, OTHER, EMPTY, EMPTY]
    assert outcomes(shared("1.2.3", "1.2.4"))[:2] == [OTHER, OTHER]


def referenced(series_uid: str, *uids: str) -> list[Dataset]:
    instances = [item(ReferencedSOPInstanceUID=uid) for uid in uids]
    return [item(SeriesInstanceUID=series_uid, ReferencedInstanceSequence=instances)]


def test_the_referenced_series_narrows_where_frames_name_nothing() -> None:
    whole = referenced(SPEC.series_uid, *UIDS)
    assert outcomes(seg(on(0, 1), ReferencedSeriesSequence=whole)) == [1, 2, EMPTY, EMPTY]
    assert outcomes(seg(on(0, 1), ReferencedSeriesSequence=referenced(SPEC.series_uid, *UIDS[1:]))) == [OTHER, 2, EMPTY, EMPTY]
    assert outcomes(seg(on(0, 1), ReferencedSeriesSequence=referenced("1.2.9", "1.2.3", "1.2.4"))) == [OTHER] * 4


def test_the_volume_of_another_series_has_no_such_mask() -> None:
    volume = build_volume([as_bytes(one) for one in SLICES])

    def code(data: bytes) -> str:
        with pytest.raises(Quarantined) as caught:
            decode_volume_mask(data, volume)
        return caught.value.code

    crossed = [groups | {"DerivationImageSequence": sources(uid)} for groups, uid in zip(on(0, 1), UIDS[1::-1], strict=True)]
    assert code(seg(crossed)) == GEOMETRY
    other = [groups | {"DerivationImageSequence": sources("1.2.3")} for groups in on(0, 1)]
    assert code(seg(other, ReferencedSeriesSequence=referenced("1.2.9", "1.2.3"))) == OTHER
    same = seg(other, ReferencedSeriesSequence=referenced(SPEC.series_uid, "1.2.3"))
    assert decode_volume_mask(same, volume).any(), "another stack of the series, at the same places"


# --- by reference alone --------------------------------------------------------------------------------------------------------


def flat(number: int = 0, uid: str = "1.2.3", series_uid: str = "1.2.9") -> Image:
    """An image that says nothing of where it lies."""
    one = IMAGES[number]
    header = replace(one.header, sop_uid=uid, series_uid=series_uid, position_mm=None, frame_of_reference_uid="")
    return replace(one, header=header)


def test_without_places_the_references_decide() -> None:
    images = [flat(uid=uid) for uid in ("1.2.3", "1.2.4", "1.2.5")]
    data = seg([{"DerivationImageSequence": sources(uid)} for uid in ("1.2.4", "1.2.3")])
    assert outcomes(data, images) == [2, 1, EMPTY]
    assert outcomes(seg([{"DerivationImageSequence": sources("1.2.4")}], DRAWN[:1]), images) == [OTHER, 1, OTHER]
    series = referenced("1.2.9", "1.2.4")
    assert outcomes(seg([{}], DRAWN[:1], ReferencedSeriesSequence=series), images) == [OTHER, 1, OTHER]
    assert outcomes(seg([{}], DRAWN[:1], SourceImageSequence=series[0].ReferencedInstanceSequence), images) == [OTHER, 1, OTHER]
    several = {"ReferencedSeriesSequence": referenced("1.2.9", "1.2.3", "1.2.4")}
    assert outcomes(seg([{}, {}], **several), images)[:2] == [GEOMETRY, GEOMETRY], "which frame is of which image?"


def test_without_anything_one_frame_for_each_segment_is_of_the_image() -> None:
    assert outcomes(seg([{}], DRAWN[:1]), [flat(), IMAGES[0]]) == [1, 1]
    assert outcomes(seg([{}, {}]), [flat(), IMAGES[0]]) == [GEOMETRY, GEOMETRY]
    assert np.array_equal(decode_mask(seg([of_segment(1), of_segment(2)]), flat()), DRAWN.any(0))
    apart = [groups | of_segment(number) for number, groups in enumerate(on(0, 1), 1)]
    assert outcomes(seg(apart), [flat()]) == [GEOMETRY], "two places cannot be one image"
    assert outcomes(seg([on(0)[0], {}]), IMAGES[:1]) == [GEOMETRY], "one frame says where it lies"


def test_a_frame_that_says_nothing_is_of_no_image_where_the_others_say_more() -> None:
    silent = seg([{"DerivationImageSequence": sources(UIDS[0])}, {}])
    assert outcomes(silent) == [GEOMETRY] * 4


def test_a_frame_without_a_place_is_of_none_in_particular_of_several_images() -> None:
    several = sources(UIDS[0]) + sources(UIDS[2])
    assert outcomes(seg([{"DerivationImageSequence": several}], DRAWN[:1])) == [GEOMETRY, OTHER, GEOMETRY, OTHER]
    partly = seg([*on(1), {}], DRAWN)
    assert outcomes(partly) == [GEOMETRY] * 4
    listed = [item(ReferencedInstanceSequence=[item(ReferencedSOPInstanceUID=uid) for uid in UIDS])]
    placeless = [replace(one, header=replace(one.header, position_mm=None, orientation=None)) for one in IMAGES[:2]]
    assert outcomes(seg([{}], DRAWN[:1], ReferencedSeriesSequence=listed), placeless) == [GEOMETRY] * 2
    assert outcomes(seg([{"DerivationImageSequence": several}], DRAWN[:1]), placeless) == [1, EMPTY]


def test_a_frame_half_way_between_two_slices_of_a_volume_is_of_neither() -> None:
    volume = build_volume([as_bytes(one) for one in SLICES])
    with pytest.raises(Quarantined, match="MASK_GEOMETRY"):
        decode_volume_mask(seg(on(2.5), DRAWN[:1]), volume)


def test_a_segment_is_not_chosen_among_frames_that_do_not_say_of_which_they_are() -> None:
    data = as_bytes(drawn(DRAWN[:1]))
    assert found(data, flat(), segment=1) == "MASK_UNREADABLE"
    described = as_bytes(drawn(DRAWN[:1], SegmentSequence=[item(SegmentNumber=1)]))
    assert np.array_equal(decode_mask(described, flat(), segment=1), DRAWN[0])


def test_items_that_are_not_of_the_frames_are_refused() -> None:
    assert outcomes(seg(on(0, 1, 2)), IMAGES[:1]) == ["MASK_UNREADABLE"]


# --- of multi-frame images -----------------------------------------------------------------------------------------------------


def test_a_mask_of_a_multi_frame_image_counts_for_its_frames() -> None:
    source = enhanced(SLICES, SPEC)
    data = as_bytes(source)
    images = [decode(data, frame) for frame in range(4)]
    assert [image.frame for image in images] == [0, 1, 2, 3]
    uid = source.SOPInstanceUID

    def of(*numbers: int, placed_on: list[dict[str, Any]] | None = None) -> bytes:
        groups = [{"DerivationImageSequence": sources(uid, ReferencedFrameNumber=number)} for number in numbers]
        return seg([one | place for one, place in zip(groups, placed_on or [{}] * len(groups), strict=True)])

    assert outcomes(of(3, 1), images) == [2, EMPTY, 1, EMPTY]
    assert outcomes(of(1, 2, placed_on=on(0, 1)), images) == [1, 2, EMPTY, EMPTY]
    assert outcomes(of(1, 2, placed_on=on(1, 0)), images)[:2] == [GEOMETRY, GEOMETRY]
    whole = [groups | {"DerivationImageSequence": sources(uid)} for groups in on(2, 3)]
    assert outcomes(seg(whole), images) == [EMPTY, EMPTY, 1, 2]
    unplaced = seg([{"DerivationImageSequence": sources(uid)}] * 2)
    assert outcomes(unplaced, images)[0] == GEOMETRY, "of which frame is which?"
    volume = build_volume(data)
    assert np.array_equal(decode_volume_mask(of(1, 2, placed_on=on(0, 1)), volume)[:2], DRAWN)


def test_highdicom_writes_masks_of_multi_frame_images() -> None:
    source = enhanced(SLICES, SPEC)
    for name, value in NAMES.items():
        setattr(source, name, value)
    marked = np.zeros((6, 7, 9), np.uint8)
    marked[1:3, 2:5, 3:7] = 1
    data = as_bytes(reordered(segmentation([source], marked)))
    assert np.array_equal([decode_mask(data, decode(as_bytes(source), frame)) for frame in range(6)], marked > 0)


def test_a_position_of_the_whole_is_that_of_its_first_frame() -> None:
    cine = datasets(SPEC)[0]
    cine.NumberOfFrames = 2
    cine.PixelData = cine.PixelData * 2
    images = [decode(as_bytes(cine), frame) for frame in range(2)]
    assert images[0].header.position_mm is not None
    assert images[1].header.position_mm is None
    assert outcomes(seg(on(0), DRAWN[:1]), images[:1]) == [1]


def test_masks_are_read_in_any_transfer_syntax() -> None:
    frames = DRAWN.astype(np.uint8) * np.uint8(200)
    found_ = drawn(frames, kind="FRACTIONAL", MaximumFractionalValue=255, FrameOfReferenceUID=REFERENCE)
    found_.SharedFunctionalGroupsSequence = [item(**of_segment(1))]
    found_.PerFrameFunctionalGroupsSequence = [item(**one) for one in on(0, 1)]
    for uid in (RLELossless, JPEGLSLossless, DeflatedExplicitVRLittleEndian):
        compressed = deepcopy(found_)
        if uid.is_encapsulated:
            compressed.compress(uid)
        compressed.file_meta.TransferSyntaxUID = uid
        for image, expected in zip(IMAGES, DRAWN, strict=False):
            assert np.array_equal(decode_mask(as_bytes(compressed), image, level=0.5), expected)


NAMED = [groups | {"DerivationImageSequence": sources(uid)} for groups, uid in zip(on(0, 1), UIDS[:2], strict=True)]
LABELS = drawn(DRAWN.astype(np.uint8), kind="LABELMAP", PixelPaddingValue=0, SegmentSequence=[item(SegmentNumber=1)])


@given(
    st.sampled_from([seg(NAMED), as_bytes(LABELS)]),
    st.lists(st.tuples(st.integers(0), st.binary(max_size=9), st.integers(0, 9)), max_size=4),
)
def test_broken_masks_give_a_mask_or_a_typed_error(data: bytes, changes: list[tuple[int, bytes, int]]) -> None:
    for at, new, removed in changes:
        data = data[: at % len(data)] + new + data[at % len(data) + removed :] if data else new
    answer = found(data, IMAGES[0], segment=1)
    assert answer.startswith("MASK_") if isinstance(answer, str) else answer.shape == (7, 9)
