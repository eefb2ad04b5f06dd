"""The labelled images of a catalog that a run learns from and is judged on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from medray.data import store, tables
from medray.data.catalog import Catalog
from medray.data.folds import FOLD, require_folds
from medray.data.labels import KEPT, read_labels
from medray.data.left_out import counted, left_out, telling, usable_images, with_duplicates
from medray.data.splits import SplitSpec, assign_splits
from medray.errors import LabelError, shown
from medray.runs.labelled import labelled, splits_of
from medray.tasks.task import Task
from medray.work.outcome import KEYS

SAMPLES = "samples.parquet"
"""The samples of a run, in its folder."""

_NONE: Mapping[str, int] = {}


def labelled_samples(
    catalog_uri: str, task: Task, split: SplitSpec, keep: Sequence[str] = (), *, pooled: bool = False
) -> tuple[pa.Table, int]:
    """Images of the catalog that take part, with target and split, sorted by URI, and the catalog's version.

    Args:
        keep: further columns of the labels that go along, see :func:`medray.data.labels.join_labels`.
        pooled: whether validation images are training images, too, as folds are made of both.

    Raises:
        LabelError: what the labels lack for the task.
    """
    catalog = Catalog(catalog_uri)
    catalog.require()
    snapshot = catalog.version()
    needed = task.labelled or task.label_columns
    labels = catalog.labels() if needed or catalog.has_labels() else pa.table({"sop_uid": pa.array([], pa.string())})
    images = usable_images(catalog, snapshot)
    labels = with_duplicates(labels, catalog, images, snapshot)
    with telling(lambda: left_out(catalog, snapshot)):
        rows = labelled(images, labels, task, lambda: catalog.segmentations(snapshot), keep)
    require(task, rows, labels)
    if FOLD in rows.column_names:
        require_folds(rows)
    if split.file:
        rows = rows.set_column(rows.column_names.index("split"), "split", splits_of(rows, read_labels(split.file), split.file))
    rows = assign_splits(rows, split, task.strata(rows["target"]))
    if pooled:
        sides = pc.if_else(pc.equal(rows["split"], "val"), "train", rows["split"])
        rows = rows.set_column(rows.column_names.index("split"), "split", sides)
    require_sides(task, rows, ("train",) if pooled else ("train", "val"))
    return rows.sort_by("uri"), snapshot


def require(task: Task, rows: pa.Table, labels: pa.Table) -> None:
    """Check that labelled images hold what the task needs; raises LabelError."""
    texts = sorted({value for name in task.label_columns for value in labels[name].to_pylist()})
    task.require(rows["target"], found=", ".join(map(shown, texts[:5])))


def require_sides(
    task: Task, rows: pa.Table, sides: Sequence[str] = ("train", "val"), unusable: Mapping[str, int] = _NONE
) -> None:
    """Check that each split holds what the task needs, also after images were left out; raises LabelError.

    Args:
        unusable: how many images could not be used, by code.
    """
    for side in sides:
        try:
            task.require(rows.filter(pc.equal(rows["split"], side))["target"], side)
        except LabelError as error:
            if not unusable:
                raise
            message = f"{error.message}; of all images, these could not be used: {counted(unusable)}"
            raise LabelError(error.code, message, "mend or allow them, or label more patients") from error


def sample_columns(samples: pa.Table) -> list[str]:
    """The columns that make a sample: its object, its target, its side; given folds and what else the labels gave along."""
    kept = [name for name in samples.column_names if name.startswith(KEPT)]
    return [*(name for name in (*KEYS, "target", "group", "split", FOLD) if name in samples.column_names), *kept]


def write_samples(samples: pa.Table, run_uri: str) -> str:
    """Keep the samples of a run and their split with it; returns their URI."""
    uri = store.join(run_uri, SAMPLES)
    store.write(uri, tables.parquet_bytes(samples.select(sample_columns(samples))))
    return uri
