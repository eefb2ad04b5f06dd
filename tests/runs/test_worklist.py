"""The worklist of a night: one row a study, what the decision flags first, then by urgency."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from medray.evaluation.thresholds import Threshold
from medray.runs.screen import worklist
from medray.tasks.binary import Binary
from medray.tasks.decision import Decision
from medray.tasks.multiclass import Multiclass
from medray.tasks.multilabel import Multilabel
from medray.tasks.regression import Regression
from medray.tasks.task import Task


def ranked(task: Task, answers: list[tuple[str, list[float | None]]], **thresholds: float) -> list[dict[str, Any]]:
    """The worklist of (study, answer) of each image; None for an image that is not scored."""
    decision = Decision(thresholds={name: Threshold(value=value, reason="a test") for name, value in thresholds.items()})
    rows = [
        {"uri": f"{number}.dcm", "sop_uid": f"1.{number}", "study_uid": study, "patient_key": "p"}
        | {"state": "EXCLUDED" if None in values else "SCORED"}
        | dict(zip((field.name for field in task.fields()), values, strict=True))
        for number, (study, values) in enumerate(answers)
    ]
    found: list[dict[str, Any]] = worklist(pa.Table.from_pylist(rows), task, decision).to_pylist()
    return found


def test_a_study_is_ranked_by_its_most_urgent_image() -> None:
    rows = ranked(Binary(target="y"), [("a", [0.2]), ("b", [0.7]), ("a", [0.9]), ("c", [None]), ("d", [0.7])], positive=0.5)
    assert [(row["rank"], row["study_uid"], row["images"], row["uri"]) for row in rows] == [
        (1, "a", 2, "2.dcm"),
        (2, "b", 1, "1.dcm"),
        (3, "d", 1, "4.dcm"),
    ]
    assert [row["positive"] for row in rows] == [True, True, True]


def test_a_flagged_image_does_not_hide_behind_another_of_its_study() -> None:
    """The expected place of the first image is higher, but only the second is decided to be malignant."""
    task = Multiclass(target="y", classes=("normal", "benign", "malignant"))
    rows = ranked(task, [("a", [0.0, 0.9, 0.1]), ("a", [0.48, 0.0, 0.52]), ("b", [0.0, 0.95, 0.05])])
    assert [(row["study_uid"], row["decision"], row["uri"]) for row in rows] == [
        ("a", "malignant", "1.dcm"),
        ("b", "benign", "2.dcm"),
    ]


def test_labels_with_thresholds_of_their_own() -> None:
    task = Multilabel(labels=("mass", "nodule"))
    rows = ranked(task, [("a", [0.6, 0.1]), ("b", [0.1, 0.4])], mass=0.7, nodule=0.3)
    assert [(row["study_uid"], row["positive_mass"], row["positive_nodule"]) for row in rows] == [
        ("b", False, True),
        ("a", False, False),
    ]


def test_numbers_begin_at_the_end_that_the_task_names() -> None:
    values: list[tuple[str, list[float | None]]] = [("a", [1.0]), ("b", [3.0]), ("c", [-2.0])]
    assert [row["study_uid"] for row in ranked(Regression(target="y"), values)] == ["b", "a", "c"]
    assert [row["study_uid"] for row in ranked(Regression(target="y", first="low"), values)] == ["c", "a", "b"]


def test_a_night_without_an_answer_has_an_empty_worklist() -> None:
    assert ranked(Binary(target="y"), [("a", [None])], positive=0.5) == []
