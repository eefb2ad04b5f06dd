"""What label texts mean: which are no label, which are equal and which are refused, in every way of writing and kind of file."""

from __future__ import annotations

import unicodedata
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medray.data.label_values import NO_LABEL, as_labels, is_no_label, meaning_of
from medray.data.labels import join_labels, read_labels
from medray.errors import LabelError
from medray.tasks.anomaly import Anomaly
from medray.tasks.binary import Binary
from medray.tasks.classes import class_numbers
from medray.tasks.multiclass import Multiclass
from medray.tasks.multilabel import Multilabel
from medray.tasks.regression import Regression
from medray.tasks.segmentation import Segmentation

PAGE = Path(__file__).parents[2] / "docs" / "labels.md"
BLANKS = st.text(" \t\n\u00a0\u2003\u3000", max_size=3)
WRITTEN = ["NA", "nan", "NaN", "n/a", "N/A", "#N/A", "unknown", "Unknown", "?", "", " ", "\u00a0", "null", "NULL", "<NA>", "-nan"]


def column(*values: str | None) -> pa.ChunkedArray:
    return pa.chunked_array([list(values)], pa.string())


def refused(task: Any, *values: str) -> LabelError:
    with pytest.raises(LabelError) as caught:
        task.targets({name: as_labels(column(*values)) for name in task.label_columns})
    return caught.value


# --- no label ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", WRITTEN)
def test_a_text_that_is_no_label_is_none_in_every_task(text: str) -> None:
    tasks: list[tuple[Any, str, Any]] = [
        (Binary(target="y", others="negative"), "1", 1),
        (Multiclass(target="y", classes=("a", "b")), "b", 1),
        (Multilabel(labels=("y",), others="negative"), "1", [1.0]),
        (Anomaly(target="y", others="anomalous"), "1", 1),
        (Regression(target="y"), "1", 1.0),
        (Segmentation(target="y"), "m.png", "m.png"),
    ]
    for task, label, target in tasks:
        found = task.targets({"y": as_labels(column(text, label))})
        assert found.to_pylist() == [None, target], task.kind


def test_the_page_lists_every_text_that_is_no_label() -> None:
    text = PAGE.read_text().lower()
    assert [one for one in NO_LABEL if one.removeprefix("-") and f"`{one.removeprefix('-')}`" not in text] == []


@given(st.sampled_from(NO_LABEL), BLANKS, BLANKS, st.randoms())
def test_case_and_white_space_make_no_label_of_none(word: str, before: str, after: str, random: Any) -> None:
    text = before + "".join(random.choice((letter.lower(), letter.upper())) for letter in word) + after
    assert as_labels(column(text)).to_pylist() == [""]
    assert is_no_label(text)


@given(st.lists(st.text(max_size=8) | st.none(), max_size=8))
def test_what_is_a_label_stays_as_it_is_but_for_white_space(values: list[str | None]) -> None:
    found = as_labels(column(*values)).to_pylist()
    assert found == ["" if value is None or is_no_label(value) else value.strip() for value in values]
    assert as_labels(column(*found)).to_pylist() == found


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([1.0, float("nan"), None, 0.0]), [1, None, None, 0]),
        (pa.array(np.array([1, np.nan, -np.nan, 0], np.float32)), [1, None, None, 0]),
        (pa.array([1, None, 0, 0], pa.int8()), [1, None, 0, 0]),
        (pa.array([True, None, False, False]), [1, None, 0, 0]),
        (pa.array(["1", "nan", "?", "0"]).dictionary_encode(), [1, None, None, 0]),
        (pa.array([Decimal("1.00"), None, Decimal("0.00"), Decimal("0.00")]), [1, None, 0, 0]),
    ],
)
def test_a_parquet_column_of_any_type_says_the_same(tmp_path: Path, values: pa.Array, expected: list[int | None]) -> None:
    uids = [f"1.{number}" for number in range(len(values))]
    pq.write_table(pa.table({"SOPInstanceUID": uids, "y": values}), tmp_path / "labels.parquet")
    images = pa.table({"sop_uid": uids, "patient_key": uids, "study_uid": uids})
    joined = join_labels(images, read_labels(str(tmp_path / "labels.parquet")), Binary(target="y"))
    found = dict(zip(joined["sop_uid"].to_pylist(), joined["target"].to_pylist(), strict=True))
    assert [found.get(uid) for uid in uids] == expected


# --- equal labels --------------------------------------------------------------------------------------------------------------


@given(st.decimals(-(10**9), 10**9, allow_nan=False, places=4), st.integers(0, 3), st.integers(0, 3), BLANKS)
def test_a_number_means_one_thing_however_it_is_written(number: Decimal, zeros: int, more: int, blank: str) -> None:
    plain = format(number, "f")
    sign, digits = ("-", plain[1:]) if plain.startswith("-") else ("", plain)
    ways = [plain, f"{blank}{sign}{'0' * zeros}{digits}{'0' * more}{blank}", f"{number:e}", f"{number:E}"]
    ways += [] if sign else [f"+{plain}"]
    meanings = {meaning_of(way) for way in ways}
    assert len(meanings) == 1
    (meaning,) = meanings
    assert meaning.kind == "number"
    assert Decimal(meaning.value) == number


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6), st.decimals(allow_nan=False, allow_infinity=False, places=6))
def test_two_numbers_mean_one_thing_only_where_they_are_equal(one: Decimal, other: Decimal) -> None:
    assert (meaning_of(format(one, "f")) == meaning_of(format(other, "f"))) == (one == other)


@given(st.text(max_size=12))
def test_every_text_has_one_meaning_that_means_itself(text: str) -> None:
    meaning = meaning_of(text)
    assert meaning_of(f" {text.upper()} ").value == meaning_of(text.upper()).value
    if meaning.kind != "truth value":
        assert meaning_of(meaning.value).value == meaning.value


@pytest.mark.parametrize("positive", ["1", "1.0", "True", "true", "+1"])
@pytest.mark.parametrize(
    "written", [("1", "0"), ("1.0", "0.0"), ("True", "False"), ("TRUE", "false"), ("1", "False"), ("01", "-0")]
)
def test_ones_and_truths_are_one_thing(positive: str, written: tuple[str, str]) -> None:
    assert Binary(target="y", positive=positive).targets({"y": column(*written, "")}).to_pylist() == [1, 0, None]


def test_accents_are_composed() -> None:
    composed, apart = "läsion", unicodedata.normalize("NFD", "Läsion")
    assert composed != apart.lower()
    for stated in (composed, apart):
        task = Binary(target="y", positive=stated, negative=("kein Befund",))
        assert task.targets({"y": column(composed, apart, "Kein Befund ")}).to_pylist() == [1, 1, 0]


# --- refused -------------------------------------------------------------------------------------------------------------------


def test_a_value_that_is_not_stated_is_refused_with_values_and_counts() -> None:
    values = ("malignant", "benign", "maligant", "maligant", "cyst", "?")
    stated = {"positive": "malignant", "negative": ["benign"]}
    for task in (
        Binary.model_validate({"target": "y", **stated}),
        Multilabel.model_validate({"labels": ["y"], **stated}),
        Multiclass(target="y", classes=("benign", "malignant")),
        Anomaly(target="y", normal=("benign",), anomalous=("malignant",)),
    ):
        error = refused(task, *values)
        assert error.code == "LABELS_UNKNOWN_CLASS", task.kind
        assert "3 labels in y are no class: 'maligant' (2), 'cyst' (1)" in error.message
    assert "others: negative" in refused(Binary(target="y"), "1", "2").hint


def test_the_other_values_are_taken_where_that_is_asked_for() -> None:
    labels = {"y": column("malignant", "benign", "cyst", "")}
    assert Binary(target="y", positive="malignant", others="negative").targets(labels).to_pylist() == [1, 0, 0, None]
    assert Anomaly(target="y", normal=("benign",), others="anomalous").targets(labels).to_pylist() == [1, 0, 1, None]
    several = Multilabel(labels=("y",), positive="malignant", others="negative")
    assert several.targets(labels).to_pylist() == [[1], [0], [0], None]


def test_the_opposite_of_a_positive_is_known() -> None:
    for positive, negative in (("1", "0"), ("0", "1"), ("yes", "No"), ("Positive", "negative")):
        assert Binary(target="y", positive=positive).targets({"y": column(positive, negative)}).to_pylist() == [1, 0]
    assert refused(Binary(target="y", positive="malignant"), "malignant", "0").code == "LABELS_UNKNOWN_CLASS"
    assert refused(Binary(target="y", negative=("2",)), "1", "0").code == "LABELS_UNKNOWN_CLASS", "what is stated wins"
    assert refused(Anomaly(target="y", normal=("0", "1")), "0", "2").code == "LABELS_UNKNOWN_CLASS"
    assert Anomaly(target="y", normal=("0", "1"), others="anomalous").targets({"y": column("0", "1", "2")}).to_pylist() == [
        0,
        0,
        1,
    ]


@pytest.mark.parametrize("values", [("1", "0", "malignant"), ("True", "False", "yes"), ("True", "2"), ("malignant", "1", "0")])
def test_a_column_that_mixes_kinds_is_refused_with_examples(values: tuple[str, ...]) -> None:
    error = refused(Binary(target="y", others="negative"), *values)
    assert error.code == "LABELS_MIXED"
    assert all(f"'{value}'" in error.message for value in values)


def test_kinds_may_differ_where_every_value_is_stated() -> None:
    grades = Multiclass(target="y", classes=("1", "2", "3", "4a", "4b", "5"))
    assert grades.targets({"y": column("2", "4a", "5.0", "4B")}).to_pylist() == [1, 3, 5, 4]


@pytest.mark.parametrize(
    "settings",
    [
        {"positive": "NA"},
        {"positive": "1", "negative": ["1.0"]},
        {"positive": "1", "negative": ["true"]},
        {"positive": "a", "negative": ["b", "unknown"]},
        {"positive": "läsion", "negative": [unicodedata.normalize("NFD", "Läsion")]},
    ],
)
def test_values_that_cannot_be_told_apart_or_are_no_label_are_no_setting(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="cannot be"):
        Binary.model_validate({"target": "y", **settings})
    classes = [settings["positive"], *settings.get("negative", ["x"])]
    with pytest.raises(ValidationError, match="cannot be"):
        Multiclass.model_validate({"target": "y", "classes": classes})
    with pytest.raises(ValidationError, match="cannot be"):
        Anomaly.model_validate({"target": "y", "normal": [classes[0]], "anomalous": classes[1:]})


@given(
    st.lists(
        st.sampled_from(["1", "1.0", "0", "True", "false", "2", "yes", "?", "", "nan", "a", "A "]) | st.text(max_size=3),
        max_size=12,
    ),
    st.sampled_from([None, 0]),
)
def test_a_label_is_of_its_class_or_the_table_is_refused(values: list[str], others: int | None) -> None:
    """No label is another than what it says, and none is lost, whatever the column holds."""
    stated = {"0": 0, "false": 0, "1": 1, "true": 1, "1.0": 1, "a": 0}
    code = ""
    try:
        found = class_numbers(column(*values), "y", (("0", "a"), ("1",)), "hint", others).to_pylist()
    except LabelError as error:
        code = error.code
    if code:
        assert code in ("LABELS_UNKNOWN_CLASS", "LABELS_MIXED")
        known = Counter(value.strip().lower() in stated for value in values if not is_no_label(value))
        assert known[False] or any(value.strip().lower() == "2" for value in values)
        return
    for value, number in zip(values, found, strict=True):
        if is_no_label(value):
            assert number is None
        elif (text := value.strip().lower()) in stated:
            assert number == stated[text]
        elif number is not None and others is None:
            assert meaning_of(value).value in ("0", "1", "a")
