"""Images and what is known of them: targets and, of masked tasks, masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from medray.data.folds import FOLD
from medray.data.labels import join_labels, key_column
from medray.data.mask_references import referenced_masks
from medray.data.mask_table import mask_uris, with_masks
from medray.errors import LabelError
from medray.tasks.task import Task


def labelled(
    images: pa.Table, labels: pa.Table, task: Task, segmentations: Callable[[], pa.Table], keep: Sequence[str] = ()
) -> pa.Table:
    """Images that take part, with ``target``, ``group`` and ``split``; of a masked task with ``mask`` and ``mask_etag`` as well.

    Args:
        images: catalog rows.
        labels: as :func:`medray.data.labels.read_labels` returns it.
        segmentations: the catalog's rows of SEGs, where masks lie in the archive.
        keep: further columns of the labels, see :func:`medray.data.labels.join_labels`.

    Raises:
        LabelError: as :func:`medray.data.labels.join_labels`; LABELS_NO_MATCH; MASKS_NOT_FOUND, MASKS_NO_FOLDER, MASKS_SEVERAL,
            MASKS_UNREADABLE; StoreError.
    """
    if not task.masked:
        return join_labels(images, labels, task, keep)
    if task.label_columns:
        rows = _named_by_labels(images, labels, task, keep)
    else:
        rows = _referring(images, labels, task, segmentations(), keep)
    return with_masks(rows, rows["target"].to_pylist())


def _named_by_labels(images: pa.Table, labels: pa.Table, task: Task, keep: Sequence[str]) -> pa.Table:
    uris = pa.array(mask_uris(labels, task.target), pa.string())
    return join_labels(images, labels.set_column(labels.column_names.index(task.target), task.target, uris), task, keep)


class _Untold:
    """What no label tells; see :class:`medray.data.labels.Target`."""

    label_columns: tuple[str, ...] = ()
    labelled = False

    def targets(self, labels: Mapping[str, pa.ChunkedArray]) -> pa.Array:
        """None at all."""
        return pa.nulls(0, pa.string())


def splits_of(rows: pa.Table, table: pa.Table, uri: str) -> pa.ChunkedArray:
    """The split of each image by a table of splits, "" where it has none.

    Args:
        rows: catalog rows.
        table: what :func:`medray.data.labels.read_labels` returned of ``uri``.

    Raises:
        LabelError: LABELS_NO_SPLIT, LABELS_BAD_SPLIT, LABELS_CONFLICT.
    """
    if "split" not in table.column_names:
        raise LabelError("LABELS_NO_SPLIT", f"{uri} has no column split", "name a table with one, as split.csv of a run")
    bare = rows.drop_columns([name for name in ("target", "group", "split", FOLD) if name in rows.column_names])
    return join_labels(bare, table.select([key_column(table), "split"]), _Untold())["split"]


def _referring(images: pa.Table, labels: pa.Table, task: Task, segmentations: pa.Table, keep: Sequence[str]) -> pa.Table:
    rows = join_labels(images, labels, _Untold(), keep)
    uids = rows["sop_uid"].to_pylist()
    found = referenced_masks(segmentations, uids)
    named = pa.chunked_array([pa.array([found.get(uid, "") for uid in uids], pa.string())])
    rows = rows.set_column(rows.column_names.index("target"), "target", task.targets({task.target: named}))
    kept = rows.filter(pc.is_valid(rows["target"]))
    if not len(kept):
        message = f"none of {len(segmentations)} segmentations refers to one of {len(images)} images"
        raise LabelError("LABELS_NO_MATCH", message, "ingest the segmentations with their images, or name masks in the labels")
    return kept
