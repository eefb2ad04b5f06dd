"""The labelled images of a catalog that a run learns from and is judged on."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from medray.data.catalog import Catalog
from medray.data.labels import SplitSpec, assign_splits
from medray.runs.labelled import labelled
from medray.tasks.task import Task
from medray.work.outcome import KEYS

_LONGEST = 60
"""Letters of a label that a message shows."""


def labelled_samples(catalog_uri: str, task: Task, split: SplitSpec) -> tuple[pa.Table, int]:
    """Images of the catalog that take part, with target and split, sorted by URI, and the catalog's version.

    Raises:
        LabelError: what the labels lack for the task.
    """
    catalog = Catalog(catalog_uri)
    catalog.require()
    snapshot = catalog.version()
    needed = task.labelled or task.label_columns
    labels = catalog.labels() if needed or catalog.has_labels() else pa.table({"sop_uid": pa.array([], pa.string())})
    rows = labelled(catalog.images(snapshot), labels, task, lambda: catalog.segmentations(snapshot))
    require(task, rows, labels)
    rows = assign_splits(rows, split, task.strata(rows["target"]))
    for side in ("train", "val"):
        task.require(rows.filter(pc.equal(rows["split"], side))["target"], side)
    return rows.sort_by("uri"), snapshot


def require(task: Task, rows: pa.Table, labels: pa.Table) -> None:
    """Check that labelled images hold what the task needs; raises LabelError."""
    texts = sorted({value for name in task.label_columns for value in labels[name].to_pylist()})
    task.require(rows["target"], found=", ".join(text if len(text) < _LONGEST else f"{text[:_LONGEST]}…" for text in texts[:5]))


def sample_columns(samples: pa.Table) -> list[str]:
    """The columns that make a sample: its object, its target, its side."""
    return [name for name in (*KEYS, "target", "group", "split") if name in samples.column_names]
