"""docs/tasks.md names every task with its settings and the families that learn it; answers have columns of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from medray.models.table import FAMILIES
from medray.spec import fields_of
from medray.tasks.table import TASKS
from medray.tasks.task import Task
from medray.work.outcome import KEYS, OUTCOME_COLUMNS, STACK

PAGE = Path(__file__).parents[2] / "docs" / "tasks.md"
SETTINGS = {
    "multiclass": {"target": "finding", "classes": ["normal", "benign", "malignant"]},
    "multilabel": {"labels": ["lesion", "malignant"]},
}


def made(kind: str) -> Task:
    return TASKS[kind].model_validate(SETTINGS.get(kind, {"target": "finding"}))


@pytest.mark.parametrize("kind", TASKS)
def test_no_column_of_an_answer_is_one_that_every_outcome_has(kind: str) -> None:
    outcome = {*KEYS, *OUTCOME_COLUMNS, *(field.name for field in STACK), "target", "group", "split"}
    assert outcome.isdisjoint({*made(kind).answer_columns, *(field.name for field in made(kind).fields(judged=True))})


@pytest.mark.parametrize("kind", TASKS)
def test_the_page_names_settings_and_families(kind: str) -> None:
    (row,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{kind}` |")]
    families = [name for name, family in FAMILIES.items() if made(kind).head.kind in family.heads]
    assert row.rstrip(" |").rsplit("|", 1)[1].strip() == ", ".join(f"`{name}`" for name in families)
    shown = [field["name"] for field in fields_of(TASKS[kind]) if not (kind == "multilabel" and field["name"] == "target")]
    assert all(f"`{name}`" in row for name in shown)
