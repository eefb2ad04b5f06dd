"""The cautions that belong to samples, cohorts and models of a task."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from medray.evaluation.cautions import Caution, absent, constant, few_patients, no_skill
from medray.tasks.columns import floats
from medray.tasks.decision import Judged
from medray.tasks.task import Task


def of_training(task: Task, samples: pa.Table) -> list[Caution]:
    """Classes of few patients among the samples (``target``, ``group``, ``split``) that are learnt from."""
    train = samples.filter(pc.equal(samples["split"], "train"))
    train = train.filter(pa.array(task.learnt_from(train["target"])))
    classes = task.classes_of(train["target"]) if task.labelled else {}
    if not classes:
        return few_patients({"": len(pc.unique(train["group"]))})
    return few_patients({name: len(pc.unique(train["group"].filter(pa.array(has)))) for name, has in classes.items()})


def of_cohort(task: Task, rows: pa.Table, where: str) -> list[Caution]:
    """Classes that no image of a labelled cohort has; nothing where no image has a label."""
    known = rows.filter(pc.is_valid(rows["target"]))
    return absent({name: int(has.sum()) for name, has in task.classes_of(known["target"]).items()}, len(known), where)


def of_model(task: Task, model: Judged, where: str) -> list[Caution]:
    """Answers that do not vary, and decisions without skill on these images."""
    names = [field.name for field in task.fields() if pa.types.is_float64(field.type) and field.name in model.rows.column_names]
    return [
        *constant(model.name, {name: floats(model.rows[name]) for name in names}),
        *no_skill(model.name, task.skill(model.figures), where),
    ]
