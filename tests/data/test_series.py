"""Series → stacks: order, grouping and troubles, on headers alone."""

from __future__ import annotations

import time
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pytest
from dicom_series import AXIAL, CORONAL, OBLIQUE, SAGITTAL
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.data.plane import Plane, plane_of
from medray.data.series import Stack, stacks
from medray.data.stack_table import SCHEMA, stack_table, volume_table
from medray.types import Header


def header(k: int, **changes: object) -> Header:
    """The k-th slice of an axial CT series, 2.5 mm apart."""
    found = Header(
        sop_uid=f"1.2.{k}",
        series_uid="1.3",
        study_uid="1.4",
        patient_key="p",
        modality="CT",
        rows=4,
        columns=5,
        instance_number=k,
        spacing_mm=(0.5, 0.5),
        slice_thickness_mm=2.5,
        position_mm=(0.0, 0.0, 2.5 * k),
        orientation=AXIAL,
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def planes(*headers: Header) -> list[Plane]:
    return [plane_of(one, number) for number, one in enumerate(headers)]


def codes(stack: Stack) -> set[str]:
    return {trouble.code for trouble in stack.troubles}


def single(*headers: Header) -> Stack:
    (found,) = stacks(planes(*headers))
    return found


orientations = st.sampled_from(
    [AXIAL, SAGITTAL, CORONAL, OBLIQUE, (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 1.0, 0.0, 1.0, 0.0)]
)


@settings(max_examples=60, deadline=None)
@given(
    orientation=orientations,
    step_mm=st.floats(0.05, 20),
    count=st.integers(2, 30),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    seed=st.integers(0, 2**32 - 1),
    noise=st.sampled_from([0.0, 1e-6, 1e-3]),
)
def test_slices_follow_the_normal_whatever_their_order(
    orientation: tuple[float, ...], step_mm: float, count: int, origin: tuple[float, float, float], seed: int, noise: float
) -> None:
    random = np.random.default_rng(seed)
    normal = np.cross(orientation[:3], orientation[3:])
    positions = (
        np.asarray(origin) + np.arange(count)[:, None] * step_mm * normal + random.uniform(-1, 1, (count, 3)) * noise * step_mm
    )
    numbers = random.permutation(count)  # instance numbers say nothing of the place
    headers = [
        header(k, position_mm=tuple(positions[k].tolist()), orientation=orientation, instance_number=int(numbers[k]))
        for k in range(count)
    ]
    shuffled = [headers[k] for k in random.permutation(count)]
    stack = single(*shuffled)
    assert [plane.sop_uid for plane in stack.planes] == [one.sop_uid for one in headers]
    assert not stack.troubles
    assert stack.spacing_mm == pytest.approx((step_mm, 0.5, 0.5), rel=5e-3)
    assert stack.affine is not None
    assert np.linalg.det(stack.affine) > 0
    np.testing.assert_allclose(stack.affine @ [0, 0, count - 1, 1], [*positions[-1], 1], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(count=st.integers(4, 40), missing=st.data(), step_mm=st.floats(0.1, 10))
def test_any_missing_slice_is_noticed(count: int, missing: st.DataObject, step_mm: float) -> None:
    gone = missing.draw(st.integers(1, count - 2))
    stack = single(*(header(k, position_mm=(1.0, 2.0, -step_mm * k)) for k in range(count) if k != gone))
    assert codes(stack) == {"VOLUME_GAP"}
    if count > 4:
        assert stack.spacing_mm == pytest.approx((step_mm, 0.5, 0.5))


def test_positions_rounded_to_tenths_of_a_millimetre_are_no_gap() -> None:
    stack = single(*(header(k, position_mm=(0.0, 0.0, round(1.25 * k, 1))) for k in range(40)))
    assert not stack.troubles
    assert stack.spacing_mm == pytest.approx((1.25, 0.5, 0.5), abs=2e-3)


def test_a_slice_given_twice_or_a_second_one_at_its_place() -> None:
    headers = [header(k) for k in range(5)]
    again = single(*headers, headers[2])
    assert codes(again) == {"VOLUME_DUPLICATE_SLICE"}
    assert len(again.planes) == 5
    other = single(*headers, header(9, position_mm=headers[2].position_mm))
    assert codes(other) == {"VOLUME_DUPLICATE_SLICE"}
    assert [plane.instance_number for plane in other.planes] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "changes",
    [
        {"orientation": OBLIQUE},
        {"rows": 8},
        {"spacing_mm": (0.6, 0.6)},
        {"patient_key": "q"},
        {"frame_of_reference_uid": "1.9"},
        {"echo_time_ms": 30.0},
        {"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")},
        {"series_uid": "1.33"},
    ],
    ids=str,
)
def test_what_differs_lies_in_stacks_of_its_own(changes: dict[str, object]) -> None:
    found = stacks(planes(*(header(k) for k in range(4)), *(header(k, **changes) for k in range(4, 6))))
    assert [len(stack.planes) for stack in found] == [4, 2]


def test_last_digits_of_cosines_and_spacing_do_not_split_a_stack() -> None:
    headers = [
        header(k, orientation=(1.0, 1e-5 * (k % 3), 0.0, 0.0, 1.0, 0.0), spacing_mm=(0.5, 0.5 + 1e-6 * (k % 2))) for k in range(6)
    ]
    assert not single(*headers).troubles


def test_acquisitions_of_one_ct_volume_stay_together_and_those_of_a_time_series_do_not() -> None:
    rotations = [header(k, acquisition_number=k // 4) for k in range(12)]
    assert len(single(*rotations).planes) == 12
    times = [header(100 * t + k, acquisition_number=t, position_mm=(0.0, 0.0, 2.5 * k)) for t in range(3) for k in range(4)]
    found = stacks(planes(*times))
    assert [[plane.acquisition_number for plane in stack.planes] for stack in found] == [[t] * 4 for t in range(3)]
    assert not any(stack.troubles for stack in found)


@pytest.mark.parametrize("by", ["volume", "place"])
def test_a_time_series_that_only_instance_numbers_tell_apart(by: str) -> None:
    headers = [
        header(10 * t + k if by == "volume" else 10 * k + t, position_mm=(0.0, 0.0, 3.0 * k)) for t in range(3) for k in range(4)
    ]
    found = stacks(planes(*reversed(headers)))
    assert [[plane.instance_number for plane in stack.planes] for stack in found] == [
        [one.instance_number for one in headers[4 * t : 4 * t + 4]] for t in range(3)
    ]


def test_magnitude_and_phase_at_several_times() -> None:
    kinds = [("ORIGINAL", "PRIMARY", kind) for kind in ("M", "P")]
    headers = [
        header(100 * t + 10 * m + k, temporal_position=t, image_type=kinds[m], position_mm=(0.0, 0.0, 3.0 * k))
        for t in range(2)
        for m in range(2)
        for k in range(3)
    ]
    assert [len(stack.planes) for stack in stacks(planes(*headers))] == [3, 3, 3, 3]


def test_constant_tilt_is_a_sheared_stack_and_varying_tilt_is_an_error() -> None:
    tilted = single(*(header(k, position_mm=(0.0, 0.6 * k, 2.5 * k)) for k in range(6)))
    assert codes(tilted) == {"VOLUME_SHEARED"}
    assert tilted.step_mm == pytest.approx((0.0, 0.6, 2.5))
    assert tilted.spacing_mm == pytest.approx((2.5, 0.5, 0.5))
    bent = single(*(header(k, position_mm=(0.0, 0.1 * k * k, 2.5 * k)) for k in range(6)))
    assert "VOLUME_TILT" in codes(bent)


@pytest.mark.parametrize(
    "changes",
    [
        {"position_mm": None},
        {"orientation": None},
        {"orientation": (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)},
        {"orientation": (0.0,) * 6},
        {"orientation": (1e300,) * 6},
        {"spacing_mm": None},
        {"position_mm": (1e300, -1e300, 1e300)},
    ],
    ids=str,
)
def test_no_geometry(changes: dict[str, object]) -> None:
    stack = single(*(header(k, **changes) for k in range(3)))
    assert codes(stack) == {"VOLUME_NO_GEOMETRY"}
    assert (stack.affine, stack.spacing_mm) == (None, None)


def test_a_single_slice_steps_by_its_thickness() -> None:
    assert codes(single(header(0))) == {"VOLUME_SINGLE_SLICE"}
    assert single(header(0)).spacing_mm == (2.5, 0.5, 0.5)
    assert single(header(0, slice_thickness_mm=None)).spacing_mm is None


def catalog_rows(*headers: Header) -> pa.Table:
    return pa.Table.from_pylist([asdict(one) for one in headers])


def test_the_table_has_a_row_for_each_stack() -> None:
    localizer = header(90, orientation=CORONAL, position_mm=(0.0, -9.0, 0.0))
    enhanced = header(0, sop_uid="1.5", series_uid="1.31", frames=40, modality="MR")
    table = stack_table(catalog_rows(*(header(k) for k in range(4)), localizer, enhanced))
    assert table.schema == SCHEMA
    first, second, third = table.to_pylist()
    assert (first["instances"], first["spacing_mm"], first["orientation"]) == (4, [2.5, 0.5, 0.5], "axial")
    assert first["problems"] == ["VOLUME_MIXED_ORIENTATION"]
    assert (second["stack"], second["instances"], second["orientation"]) == (1, 1, "coronal")
    assert second["problems"] == ["VOLUME_MIXED_ORIENTATION", "VOLUME_SINGLE_SLICE"]
    assert (third["instances"], third["frames"], third["spacing_mm"], third["problems"]) == (1, 40, None, [])
    assert stack_table(catalog_rows(header(0)).slice(0, 0)).num_rows == 0


def rows_with_uris(*headers: Header) -> pa.Table:
    rows = catalog_rows(*headers)
    names = [pa.array([f"file:///{text}{k}" for k in range(len(headers))]) for text in ("u", "e")]
    sizes = pa.array([1] * len(headers))
    return rows.append_column("uri", names[0]).append_column("etag", names[1]).append_column("size_bytes", sizes)


def test_the_table_names_what_divides_a_series() -> None:
    headers = [header(10 * k + t, b_value=800.0 * t, position_mm=(0.0, 0.0, 2.5 * k)) for t in range(2) for k in range(4)]
    rows = stack_table(catalog_rows(*headers)).to_pylist()
    assert [(row["divided_by"], row["value"], row["problems"]) for row in rows] == [
        ("b_value", "0", ["VOLUME_SEVERAL_STACKS"]),
        ("b_value", "800", ["VOLUME_SEVERAL_STACKS"]),
    ]
    inputs = volume_table(rows_with_uris(*headers)).to_pylist()
    assert [(row["uri"], row["value"], len(row["members"])) for row in inputs] == [("1.3#0", "0", 4), ("1.3#1", "800", 4)]
    (alone,) = stack_table(catalog_rows(*headers[:4])).to_pylist()
    assert (alone["divided_by"], alone["value"], alone["problems"]) == ("", "", [])


def test_what_only_instance_numbers_tell_apart_is_one_input_that_is_refused() -> None:
    headers = [
        header(10 * k + t + 100 * b, b_value=800.0 * b, position_mm=(0.0, 0.0, 2.5 * k))
        for b, times in ((0, 1), (1, 3))
        for t in range(times)
        for k in range(4)
    ]
    inputs = volume_table(rows_with_uris(*headers)).to_pylist()
    assert [(row["uri"], len(row["members"])) for row in inputs] == [("1.3#0", 4), ("1.3#1", 12)]
    assert [row["instances"] for row in stack_table(catalog_rows(*headers)).to_pylist()] == [4, 4, 4, 4]


def test_screens_and_localizers_are_no_problem_of_the_series() -> None:
    localizer = header(90, orientation=CORONAL, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))
    screen = header(91, orientation=None, position_mm=None, spacing_mm=None, image_type=("DERIVED", "SECONDARY"))
    rows = stack_table(catalog_rows(*(header(k) for k in range(4)), localizer, screen)).to_pylist()
    problems = [set(row["problems"]) for row in rows]
    assert problems == [set(), {"VOLUME_LOCALIZER", "VOLUME_SINGLE_SLICE"}, {"VOLUME_NO_GEOMETRY"}]


def test_a_hundred_thousand_rows_take_seconds() -> None:
    one = header(0)
    count = 100_000
    table = catalog_rows(one).take(pa.array(np.zeros(count, dtype=np.int64)))
    k = np.random.default_rng(0).permutation(count)
    for name, values in {
        "sop_uid": [f"1.2.{i}" for i in k],
        "series_uid": [f"1.3.{i // 200}" for i in k],
        "position_mm": [[0.0, 0.0, float(i % 200)] for i in k],
    }.items():
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values))
    started = time.process_time()
    found = stack_table(table)
    assert time.process_time() - started < 30  # of one core; 2 s where it is idle
    assert found.num_rows == 500
    assert set(found["instances"].to_pylist()) == {200}
