"""Given folds: numbers of a column, checked against the images that they divide."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.data.folds import fold_numbers, require_folds
from medray.data.labels import join_labels
from medray.errors import LabelError
from medray.tasks.binary import Binary

INSTANCES = pa.table({name: [f"{name}.{number}" for number in range(6)] for name in ("sop_uid", "study_uid", "patient_key")})


def column(*values: str) -> pa.ChunkedArray:
    return pa.chunked_array([list(values)], pa.string())


def rows(folds: list[int | None], groups: list[str], targets: list[int | None] | None = None) -> pa.Table:
    target = pa.array([1] * len(folds) if targets is None else targets, pa.int64())
    return pa.table({"fold": pa.array(folds, pa.int64()), "group": groups, "target": target})


def code(table: pa.Table) -> str:
    with pytest.raises(LabelError) as caught:
        require_folds(table)
    return caught.value.code


def test_folds_are_numbers_however_they_are_written() -> None:
    found = fold_numbers(column("0", "1.0", " 2 ", "", "NA", "03"))
    assert found.to_pylist() == [0, 1, 2, None, None, 3]
    assert found.type == pa.int64()


@pytest.mark.parametrize("text", ["-1", "0.5", "a", "True", "inf", "1e99", "9999999999999999999999"])
def test_what_is_no_fold_is_refused(text: str) -> None:
    with pytest.raises(LabelError, match="LABELS_BAD_FOLD"):
        fold_numbers(column("0", text))


@given(st.lists(st.integers(0, 99), max_size=20))
def test_numbers_come_back(numbers: list[int]) -> None:
    assert fold_numbers(column(*map(str, numbers))).to_pylist() == numbers


def test_a_label_table_gives_folds_to_its_images() -> None:
    uids = [f"sop_uid.{number}" for number in (4, 0, 2)]
    labels = pa.table({"sop_uid": uids, "y": ["1", "0", ""], "fold": ["0", "1", "1"]})
    joined = join_labels(INSTANCES, labels, Binary(target="y"))
    assert dict(zip(joined["sop_uid"].to_pylist(), joined["fold"].to_pylist(), strict=True)) == {uids[0]: 0, uids[1]: 1}
    assert "fold" not in join_labels(INSTANCES, labels.drop_columns("fold"), Binary(target="y")).column_names


def test_folds_divide_the_labelled_images_by_patient() -> None:
    require_folds(rows([0, 1, 0, 2], ["a", "b", "a", "c"]))
    require_folds(rows([0, 1, None], ["a", "b", "c"], [1, 0, None]))  # an image without a label needs none
    assert code(rows([0, None], ["a", "b"])) == "LABELS_FOLD_PARTIAL"
    assert code(rows([0, 1, 1], ["a", "b", "a"])) == "LABELS_PATIENT_LEAK"
    assert code(rows([0, 0], ["a", "b"])) == "LABELS_BAD_FOLD"
    assert code(rows([1, 2], ["a", "b"])) == "LABELS_BAD_FOLD"
    assert code(rows([0, 2], ["a", "b"])) == "LABELS_BAD_FOLD"
