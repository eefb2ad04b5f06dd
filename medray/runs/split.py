"""How labelled images are divided: in numbers, as a table to keep, and before anything is trained: ``medray split``."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from medray.data import store
from medray.data.splits import SPLITS, SplitSpec, is_drawn
from medray.evaluation.cautions import Caution, shares_off
from medray.runs.samples import labelled_samples
from medray.runs.score import table_bytes
from medray.runs.train_config import TrainConfig
from medray.tasks.cautions import of_training
from medray.tasks.task import Task

ALL = "all"
SPLIT = "split.csv"
"""Name of the table of splits in the folder of a run."""


@dataclass(frozen=True)
class Division:
    """Labelled images and their split.

    Attributes:
        rows: what :func:`medray.runs.samples.labelled_samples` gives.
        counts: what :func:`counts_of` gives.
    """

    rows: pa.Table
    counts: Sequence[Mapping[str, Any]]
    warnings: Sequence[Caution]


def split(config: TrainConfig, out: str | None = None) -> Division:
    """Divide the labelled images as ``medray train`` does, and write the table of splits to ``out``.

    Raises:
        LabelError, StoreError
    """
    rows, _ = labelled_samples(config.catalog, config.task, config.labels.split)
    if out:
        store.write(out, table_bytes(split_table(rows), out))
    return Division(rows, counts_of(config.task, rows), cautions_of(config.task, rows, config.labels.split))


def split_table(rows: pa.Table) -> pa.Table:
    """The split of each image by its SOP Instance UID, or by its path where one has none of its own; in the order of the key.

    ``labels.split.file`` takes it.
    """
    uids = pc.fill_null(rows["sop_uid"], "")
    own = len(pc.unique(uids)) == len(rows) and not pc.any(pc.equal(uids, "")).as_py()
    key, values = ("SOPInstanceUID", uids) if own else ("path", rows["uri"])
    return pa.table({key: values, "split": rows["split"].cast(pa.string())}).sort_by(key)


def split_csv(rows: pa.Table) -> bytes:
    """:func:`split_table` as CSV."""
    sink = io.BytesIO()
    pyarrow.csv.write_csv(split_table(rows), sink)
    return sink.getvalue()


def counts_of(task: Task, rows: pa.Table) -> list[dict[str, Any]]:
    """Patients and images of each split, all of them and those of each class, with their shares of all splits."""
    everyone = pa.array([True] * len(rows))
    classes = {ALL: everyone, **{name: pa.array(has) for name, has in task.classes_of(rows["target"]).items()}}
    found = []
    for name, has in classes.items():
        of_class = rows.filter(has)
        patients = len(pc.unique(of_class["group"]))
        for side in SPLITS:
            own = of_class.filter(pc.equal(of_class["split"], side))
            held = {"patients": len(pc.unique(own["group"])), "images": len(own)}
            shares = {
                "share_of_patients": held["patients"] / max(patients, 1),
                "share_of_images": len(own) / max(len(of_class), 1),
            }
            found.append({"split": side, "class": name, **held, **shares})
    return found


def cautions_of(task: Task, rows: pa.Table, spec: SplitSpec) -> list[Caution]:
    """Shares of a drawn split that are not those asked for, and classes of few patients."""
    asked = dict(zip(SPLITS, spec.shares, strict=True))
    whole = {one["split"]: one for one in counts_of(task, rows) if one["class"] == ALL}
    shares = {name: (asked[name], one["share_of_patients"], one["share_of_images"]) for name, one in whole.items()}
    return [*(shares_off(shares) if is_drawn(rows) else []), *of_training(task, rows)]
