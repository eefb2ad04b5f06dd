"""What sets images of a series apart: attributes whose values hold every place once; counters and instance numbers do not."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from dicom_series import AXIAL
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.data.attributes import clusters
from medray.data.plane import Plane
from medray.data.series import Stack, mixture, stacks

SEVERAL = "VOLUME_SEVERAL_STACKS"


def plane(group: int, place_mm: float, number: int, **values: Any) -> Plane:
    """An image that truly belongs to a group; its UID tells which, and nothing else does but ``values``."""
    return Plane(
        sop_uid=f"1.2.{group}.{number}",
        series_uid="1.3",
        study_uid="1.4",
        patient_key="p",
        modality=values.pop("modality", "MR"),
        rows=4,
        columns=5,
        instance_number=number,
        spacing_mm=(0.5, 0.5),
        slice_thickness_mm=values.pop("slice_thickness_mm", 1.0),
        position_mm=(0.0, 0.0, place_mm),
        orientation=AXIAL,
        source=number,
        **values,
    )


def crossed(groups: int, places: int, values: Callable[[int, int], dict[str, Any]], seed: int = 1) -> list[Plane]:
    """Every group at every place; instance numbers are in no order."""
    numbers = np.random.default_rng(seed).permutation(groups * places).tolist()
    return [plane(g, float(z), numbers[g * places + z], **values(g, z)) for g in range(groups) for z in range(places)]


def groups_of(found: tuple[Stack, ...]) -> list[list[int]]:
    """The true groups in each stack, in the order of the stacks."""
    return [sorted({int(one.sop_uid.split(".")[2]) for one in stack.planes}) for stack in found]


def sizes(found: tuple[Stack, ...]) -> list[int]:
    return [len(stack.planes) for stack in found]


def codes(found: tuple[Stack, ...]) -> set[str]:
    return {trouble.code for stack in found for trouble in stack.troubles}


DIVIDING: dict[str, tuple[str, list[Any]]] = {
    "b-value": ("b_value", [None, 50.0, 1000.0]),
    "gradient": ("gradient", [(0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)]),
    "trigger time": ("trigger_time_ms", [0.0, 33.2, 66.4]),
    "temporal position": ("temporal_position", [1, 2, 3]),
    "echo time": ("echo_time_ms", [4.6, 9.2, 13.8]),
    "echo number": ("echo_number", [1, 2, 3]),
    "inversion time": ("inversion_time_ms", [100.0, 180.0, 260.0]),
    "flip angle": ("flip_angle_deg", [2.0, 15.0, 30.0]),
    "image type": ("image_type", [("ORIGINAL", "PRIMARY", "I"), ("ORIGINAL", "PRIMARY", "M"), ("ORIGINAL", "PRIMARY", "P")]),
    "acquisition": ("acquisition_number", [1, 2, 3]),
    "contrast bolus": ("contrast_agent", ["", "0a", "1b"]),
    "thickness": ("slice_thickness_mm", [1.0, 3.0, 5.0]),
    "acquisition time": ("acquisition_time_s", [36000.0, 36060.5, 36121.0]),
    "content time": ("content_time_s", [36000.0, 36060.5, 36121.0]),
    "dimension": ("dimensions", [(("DiffusionBValue", 1),), (("DiffusionBValue", 2),), (("DiffusionBValue", 3),)]),
}


@pytest.mark.parametrize(("field", "values"), DIVIDING.values(), ids=DIVIDING.keys())
def test_an_attribute_divides_where_its_values_hold_every_place_once(field: str, values: list[Any]) -> None:
    found = stacks(crossed(3, 5, lambda g, z: {field: values[g]}))
    assert groups_of(found) == [[0], [1], [2]]  # in the order of the values, whatever the instance numbers
    assert sizes(found) == [5, 5, 5]
    assert codes(found) == set()
    name = "DiffusionBValue" if field == "dimensions" else field
    assert [[one for one, _ in stack.divided_by] for stack in found] == [[name]] * 3
    assert len({stack.divided_by for stack in found}) == 3
    assert mixture(found) == SEVERAL


def test_values_of_times_are_shown_as_differences() -> None:
    found = stacks(crossed(2, 3, lambda g, z: {"content_time_s": 36000.0 + 12.5 * g}))
    assert [stack.divided_by for stack in found] == [(("content_time_s", "+0"),), (("content_time_s", "+12.5"),)]


def test_a_value_that_holds_places_several_times_is_divided_further() -> None:
    directions = [None, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]
    found = stacks(crossed(4, 6, lambda g, z: {"b_value": 1000.0 * (g > 0), "gradient": directions[g]}))
    assert sizes(found) == [6] * 4
    assert [len(groups) for groups in groups_of(found)] == [1] * 4
    assert [[name for name, _ in stack.divided_by] for stack in found] == [["b_value"], *[["b_value", "gradient"]] * 3]


def test_a_dimension_that_repeats_an_attribute_is_named_after_it() -> None:
    found = stacks(crossed(2, 4, lambda g, z: {"b_value": 500.0 * g, "dimensions": (("DiffusionBValue", 1 + g),)}))
    assert [stack.divided_by for stack in found] == [(("b_value", "0"),), (("b_value", "500"),)]


def test_dimensions_that_number_frames_divide_nothing() -> None:
    found = stacks(crossed(1, 6, lambda g, z: {"dimensions": (("dimension 1", 1), ("dimension 2", z + 1))}))
    assert sizes(found) == [6]
    repeated = stacks(crossed(2, 6, lambda g, z: {"dimensions": (("dimension 2", 6 * g + z),)}))
    assert codes(repeated) == {SEVERAL}


COUNTERS: dict[str, Callable[[int, int], dict[str, Any]]] = {
    "nothing": lambda g, z: {},
    "rotations": lambda g, z: {"acquisition_number": 3 * g + z // 2 + 1},
    "images": lambda g, z: {"acquisition_number": 6 * g + z + 1},
    "rotations, from one in each phase": lambda g, z: {"acquisition_number": z // 2 + 1},
    "times in no order": lambda g, z: {"content_time_s": 100.0 + (7 * (6 * g + z)) % 12},
    "times without a pause": lambda g, z: {"content_time_s": 0.5 * (6 * g + z)},
    "places": lambda g, z: {"temporal_position": z},
}


@pytest.mark.parametrize("counter", COUNTERS.values(), ids=COUNTERS.keys())
def test_counters_divide_nothing(counter: Callable[[int, int], dict[str, Any]]) -> None:
    found = stacks(crossed(2, 6, counter))
    assert sizes(found) == [6, 6]
    for stack in found:
        (trouble,) = stack.troubles
        assert trouble.code == SEVERAL
        assert all(name in trouble.detail for name in counter(0, 0))
        assert len({one.position_mm for one in stack.planes}) == 6
    once = stacks(crossed(1, 6, counter))
    assert (sizes(once), codes(once)) == ([6], set())


def test_slices_of_passes_that_follow_each_other_have_times_of_their_own() -> None:
    found = stacks(crossed(3, 6, lambda g, z: {"acquisition_time_s": 36000.0 + 20 * g + 0.7 * ((z * 5) % 6)}))
    assert (groups_of(found), codes(found)) == ([[0], [1], [2]], set())
    assert [text for stack in found for _, text in stack.divided_by] == ["+0", "+20", "+40"]


def test_numbers_are_compared_with_a_tolerance() -> None:
    one = stacks(crossed(1, 8, lambda g, z: {"echo_time_ms": 30 + 1e-6 * (z % 2), "b_value": 1000.0 + 0.2 * (z % 3)}))
    assert (sizes(one), codes(one)) == ([8], set())
    two = stacks(crossed(2, 8, lambda g, z: {"echo_time_ms": 30.0 * (g + 1) + 0.005 * (z % 3)}))
    assert groups_of(two) == [[0], [1]]
    scattered = stacks(crossed(3, 8, lambda g, z: {"trigger_time_ms": 30.0 * g + 1.5 * (z % 4)}))
    assert groups_of(scattered) == [[0], [1], [2]]
    turned = stacks(crossed(2, 6, lambda g, z: {"gradient": (float(g), 1.0 - g, 1e-5 * (z % 3))}))
    assert groups_of(turned) == [[1], [0]] or groups_of(turned) == [[0], [1]]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1e4) | st.just(float("nan")), min_size=1, max_size=60))
def test_clusters_rise_with_their_numbers_and_are_no_wider_than_four_tolerances(numbers: list[float]) -> None:
    array = np.array(numbers)
    labels = clusters(array, 1e-3, 0.01)
    assert sorted(set(labels.tolist())) == list(range(len(set(labels.tolist()))))
    assert (np.diff(labels[np.argsort(np.where(np.isnan(array), -1.0, array), kind="stable")]) >= 0).all()
    for code in set(labels.tolist()):
        some = array[labels == code]
        assert np.isnan(some).all() or np.ptp(some) <= 4 * max(0.01, 1e-3 * some.min()) + 1e-9


def test_contrasts_never_share_a_stack_even_at_places_of_their_own() -> None:
    halves = [plane(z // 3, float(z), z, echo_time_ms=30.0 + 50 * (z // 3)) for z in range(6)]
    assert groups_of(stacks(halves)) == [[0], [1]]
    weighted = [plane(z // 3, float(z), z, b_value=None if z < 3 else 800.0) for z in range(6)]
    assert groups_of(stacks(weighted)) == [[0], [1]]


def passes(shifts: list[float], counts: list[int], **values: Any) -> list[Plane]:
    """Passes of slices 1 mm apart, each beside the others by its shift and with an acquisition number of its own."""
    return [
        plane(g, z + shift, 100 * g + z, acquisition_number=g + 1, **values)
        for g, (shift, count) in enumerate(zip(shifts, counts, strict=True))
        for z in range(count)
    ]


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize(
    ("shifts", "counts"),
    [
        ([0, 0.5], [6, 6]),
        ([0, 0.3], [6, 6]),
        ([0, 0.02], [6, 6]),
        ([0, 0.5], [9, 5]),
        ([0, 0.3], [9, 5]),
        ([0, 1 / 3, 2 / 3], [6, 6, 6]),
        ([0, 0.5, 1.0], [6, 6, 6]),
        ([0, 0.0], [6, 4]),
        ([0, 4.0], [8, 8]),
        ([0, 4.3], [8, 8]),
        ([0, 0.25], [6, 1]),
    ],
    ids=str,
)
def test_passes_are_stacks_of_their_own(shifts: list[float], counts: list[int], modality: str) -> None:
    found = stacks(passes(shifts, counts, modality=modality))
    assert groups_of(found) == [[g] for g in range(len(shifts))]
    assert sizes(found) == counts
    assert not codes(found) - {"VOLUME_SINGLE_SLICE"}
    assert all(stack.divided_by[0][0] == "acquisition_number" for stack in found)


@pytest.mark.parametrize("field", ["acquisition_time_s", "content_time_s", "temporal_position", "b_value", "image_type"])
@pytest.mark.parametrize("shift", [0.5, 0.3])
def test_passes_that_another_attribute_tells_apart(field: str, shift: float) -> None:
    values = [("ORIGINAL", "PRIMARY", "M"), ("ORIGINAL", "PRIMARY", "P")] if field == "image_type" else [100, 160]
    data = [plane(g, z + shift * g, 50 * g + z, modality="CT", **{field: values[g]}) for g in range(2) for z in range(6)]
    found = stacks(data)
    assert (groups_of(found), sizes(found), codes(found)) == ([[0], [1]], [6, 6], set())
    assert found[0].divided_by[0][0] == field


def test_every_second_slice_of_one_mr_volume_comes_first() -> None:
    """Packages: thick slices that touch, so that there is no room for a second pass."""
    odd_even = passes([0, 0.5], [6, 6], slice_thickness_mm=0.5)
    assert (sizes(stacks(odd_even)), codes(stacks(odd_even))) == ([12], set())
    timed = [plane(0, float(z), z, acquisition_time_s=50.0 * (z % 2), trigger_time_ms=400.0 * (z % 2)) for z in range(12)]
    assert (sizes(stacks(timed)), codes(stacks(timed))) == ([12], set())


@pytest.mark.parametrize("shifts", [[0, 0.5], [0, 0.3], [0, 1 / 3, 2 / 3], [0, 0.2, 0.5]], ids=str)
@pytest.mark.parametrize("slice_s", [0.0, 0.5], ids=["one_time_for_a_pass", "a_time_for_each_slice"])
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_passes_of_contiguous_slices_that_only_times_tell_apart(shifts: list[float], slice_s: float, modality: str) -> None:
    """Together such slices overlap; those of one volume whose odd ones came first touch, see above."""
    made = [
        plane(g, z + shift, 10 * z + g, modality=modality, acquisition_time_s=60.0 * g + slice_s * z)
        for g, shift in enumerate(shifts)
        for z in range(6)
    ]
    found = stacks(made)
    assert groups_of(found) == [[g] for g in range(len(shifts))]
    assert not codes(found)
    assert {stack.divided_by[0][0] for stack in found} == {"acquisition_time_s"}


def test_overlapping_slices_that_were_made_one_after_the_other_are_one_volume() -> None:
    made = [plane(0, 0.5 * z, z, modality="CT", content_time_s=float(z // 4) + 9.0 * (z > 12)) for z in range(24)]
    assert (sizes(stacks(made)), codes(stacks(made))) == ([24], set())


def test_acquisitions_that_go_on_along_the_patient_are_one_volume() -> None:
    one = [plane(0, float(z), z, acquisition_number=z // 4, content_time_s=float(z)) for z in range(12)]
    assert (sizes(stacks(one)), codes(stacks(one))) == ([12], set())


def test_a_series_that_was_aborted_keeps_its_whole_passes() -> None:
    whole = crossed(3, 6, lambda g, z: {"temporal_position": g})
    aborted = [one for one in whole if not (one.temporal_position == 2 and one.position_mm[2] > 2)]  # type: ignore[index]
    found = stacks(aborted)
    assert (groups_of(found), sizes(found), codes(found)) == ([[0], [1], [2]], [6, 6, 3], set())
    timed = [
        replace(one, temporal_position=None, content_time_s=100.0 * (one.temporal_position or 0) + z)
        for one in aborted
        for z in [(one.position_mm or (0.0,))[-1]]
    ]
    assert (groups_of(stacks(timed)), sizes(stacks(timed))) == ([[0], [1], [2]], [6, 6, 3])
    lost = [one for one in timed if one.content_time_s != 100.0]  # a first slice is lost: nobody knows of which pass
    assert SEVERAL in codes(stacks(lost))


def test_one_copy_among_single_slices_is_a_duplicate() -> None:
    one = crossed(1, 5, lambda g, z: {})
    (stack,) = stacks([*one, plane(1, 2.0, 9)])
    (trouble,) = stack.troubles
    assert trouble.code == "VOLUME_DUPLICATE_SLICE"
    assert len(stack.repeats) == 1


attributes = st.fixed_dictionaries(
    {},
    optional={
        "b_value": st.sampled_from([None, 0.0, 1000.0]),
        "temporal_position": st.integers(1, 3),
        "echo_time_ms": st.sampled_from([10.0, 10.0000001, 20.0]),
        "acquisition_number": st.integers(1, 4),
        "image_type": st.sampled_from([("ORIGINAL", "PRIMARY", "M"), ("ORIGINAL", "PRIMARY", "P")]),
        "content_time_s": st.integers(0, 20).map(float),
        "trigger_time_ms": st.floats(0, 100),
    },
)


@settings(max_examples=200, deadline=None)
@given(drawn=st.lists(st.tuples(st.integers(0, 5), attributes), min_size=1, max_size=24), seed=st.integers(0, 99))
def test_whatever_the_values_and_the_order_of_files(drawn: list[tuple[int, dict[str, Any]]], seed: int) -> None:
    planes = [plane(number, float(z), number, **values) for number, (z, values) in enumerate(drawn)]
    found = stacks(planes)
    again = stacks([planes[index] for index in np.random.default_rng(seed).permutation(len(planes))])
    assert again == found
    assert sorted(one.sop_uid for stack in found for one in (*stack.planes, *stack.repeats)) == sorted(
        one.sop_uid for one in planes
    )
    for stack in found:
        assert len({one.position_mm for one in stack.planes}) == len(stack.planes)
        if stack.repeats:
            assert {trouble.code for trouble in stack.troubles} >= {"VOLUME_DUPLICATE_SLICE"}


HOSTILE: dict[str, Callable[[int], dict[str, Any]]] = {
    "all different": lambda k: {
        "b_value": float(k),
        "gradient": (float(k), 0.0, 0.0),
        "trigger_time_ms": k * 0.3,
        "temporal_position": k,
        "echo_time_ms": k * 0.7,
        "acquisition_number": k,
        "contrast_agent": f"{k:08x}",
        "content_time_s": float(k),
        "dimensions": tuple((f"dimension {n}", k * n) for n in range(8)),
    },
    "chained": lambda k: {"b_value": k * 0.4, "echo_time_ms": 1 + k * 9e-4, "trigger_time_ms": k * 0.04},
    "few values": lambda k: {
        "b_value": float(k % 7),
        "temporal_position": k % 11,
        "acquisition_number": k % 13,
        "echo_number": k % 2,
    },
}


@pytest.mark.parametrize("places", [1, 300, 20_000])
@pytest.mark.parametrize("values", HOSTILE.values(), ids=HOSTILE.keys())
def test_many_planes_take_seconds(values: Callable[[int], dict[str, Any]], places: int) -> None:
    planes = [plane(0, float((k * 7919) % places), k, **values(k)) for k in range(20_000)]
    started = time.process_time()
    found = stacks(planes)
    assert time.process_time() - started < 60
    assert sum(len(stack.planes) + len(stack.repeats) for stack in found) == 20_000


def test_attributes_that_cross_and_settle_nothing_are_not_tried_in_every_order() -> None:
    """Twelve of two values each, at one place: their orders are without number."""

    def crossed(k: int) -> dict[str, Any]:
        bit = [k // 2 >> n & 1 for n in range(12)]
        numbers = dict(zip(("b_value", "trigger_time_ms", "inversion_time_ms", "flip_angle_deg"), bit, strict=False))
        times = {"acquisition_time_s": 100.0 * bit[4], "content_time_s": 100.0 * bit[5], "echo_time_ms": 10.0 + 10 * bit[6]}
        counts = {"temporal_position": bit[7], "echo_number": bit[8], "acquisition_number": bit[9]}
        texts = {"image_type": ("A", str(bit[10])), "contrast_agent": str(bit[11])}
        return {**{name: 100.0 * value for name, value in numbers.items()}, **times, **counts, **texts}

    started = time.process_time()
    found = stacks([plane(0, 0.0, k, **crossed(k)) for k in range(1000)])
    assert time.process_time() - started < 20  # 3 here; without a bound, minutes
    assert len(found) == 1000
    assert {trouble.code for trouble in found[0].troubles} >= {"VOLUME_SEVERAL_STACKS"}
