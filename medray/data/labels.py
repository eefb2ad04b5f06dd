"""Labels: a CSV or Parquet table keyed by SOP, Series or Study Instance UID or by path, joined to instances.

A column named ``split`` (train, val, test) wins over a drawn split (see :mod:`medray.data.splits`). A column PatientID or patient
groups the images of one patient; else the catalog's patient key does. Patient identifiers are replaced by pseudonyms when a label
table is read.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from medray.data import store
from medray.data.key_record import made_with, marked, require_one_key
from medray.data.pseudonym import key_in_use, patient_key
from medray.data.splits import SPLITS
from medray.errors import LabelError, shown

_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
_KEYS = {
    "sopinstanceuid": "sop_uid",
    "sopuid": "sop_uid",
    "seriesinstanceuid": "series_uid",
    "seriesuid": "series_uid",
    "studyinstanceuid": "study_uid",
    "studyuid": "study_uid",
    "path": "uri",
    "uri": "uri",
    "file": "uri",
    "filename": "uri",
}
_RENAMED = {**_KEYS, "split": "split"}
_PATIENT = {"patientid", "patient", "patientkey"}
PATIENT_COLUMN = "patient_key"
_FOLDER = b"medray.folder"


def read_labels(uri: str) -> pa.Table:
    """A label table, every column as text, the key column named as in the catalog, patients as pseudonyms.

    Its folder is kept in the metadata of its fields, where it outlives a copy into a catalog: see :func:`folder_of`. So is the
    identifier of the key that made the pseudonyms, the one in use: see :mod:`medray.data.key_record`.

    Raises:
        LabelError: LABELS_UNREADABLE, LABELS_COLUMN_TWICE, LABELS_NO_KEY.
        StoreError: the file cannot be fetched.
    """
    table, folder = _canonical(read_texts(uri), uri), store.normalise(uri).rpartition("/")[0]
    table = table.cast(pa.schema([field.with_metadata({_FOLDER: folder}) for field in table.schema]))
    return marked(table, key.id) if (key := key_in_use()) else table


def folder_of(labels: pa.Table) -> str | None:
    """The folder of the file that a label table was read from; None where it was kept by a version that did not record it."""
    found = {(field.metadata or {}).get(_FOLDER) for field in labels.schema}
    folder = found.pop() if len(found) == 1 else None
    return None if folder is None else folder.decode()


def read_texts(uri: str) -> pa.Table:
    """A CSV or Parquet table as it is, every value as text, none of them null.

    Raises:
        LabelError: LABELS_UNREADABLE, LABELS_COLUMN_TWICE.
        StoreError: the file cannot be fetched.
    """
    data = store.read(uri)
    try:
        if uri.endswith(".parquet"):
            table = pyarrow.parquet.read_table(io.BytesIO(data))
        else:
            names = pa.csv.open_csv(io.BytesIO(data)).schema.names
            convert = pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
            table = pa.csv.read_csv(io.BytesIO(data), convert_options=convert)
        columns = [pc.fill_null(column.cast(pa.string()), "") for column in table.columns]
    except (pa.ArrowException, OSError):  # whose text may quote a row
        raise LabelError("LABELS_UNREADABLE", f"{uri} is not a CSV or Parquet table", "save it as one of them") from None
    if len(set(table.column_names)) < len(table.column_names):  # a name may be a value, where the header is missing
        raise LabelError("LABELS_COLUMN_TWICE", f"two columns of {uri} have one name", "rename or remove one, or add the header")
    return pa.Table.from_arrays(columns, names=table.column_names)


def is_patient(column: str) -> bool:
    """Whether a column of a label table names patients."""
    return _letters(column) in _PATIENT


def is_instance(column: str) -> bool:
    """Whether a column of a label table holds SOP Instance UIDs."""
    return _KEYS.get(_letters(column)) == "sop_uid"


def _letters(column: str) -> str:
    return re.sub(r"[^a-z]", "", column.lower())


def _canonical(table: pa.Table, uri: str) -> pa.Table:
    columns: dict[str, pa.ChunkedArray] = {}
    for name in table.column_names:
        plain, values = _letters(name), table[name]
        if plain in _PATIENT:
            columns[PATIENT_COLUMN] = pa.array([patient_key(value) for value in values.to_pylist()], pa.string())
        else:
            columns[_RENAMED.get(plain, name)] = values
    if not set(columns) & set(_KEYS.values()):
        expected = "SOPInstanceUID, SeriesInstanceUID, StudyInstanceUID, path"
        raise LabelError("LABELS_NO_KEY", f"{uri} has no key column", f"name one of {expected}")
    return pa.table(columns)


class Target(Protocol):
    """What is learnt from a label table (see :class:`medray.tasks.task.Task`)."""

    @property
    def label_columns(self) -> tuple[str, ...]:
        """Columns that it is read from; none where nothing is."""
        ...

    @property
    def labelled(self) -> bool:
        """Whether only instances with a label take part."""
        ...

    def targets(self, labels: Mapping[str, pa.ChunkedArray]) -> pa.Array:
        """The target of each label row, from texts without blanks around them; null where there is none."""
        ...


def join_labels(instances: pa.Table, labels: pa.Table, target: Target) -> pa.Table:
    """Instances that take part, with the columns ``target``, ``group`` (patient) and ``split`` ("" where not given).

    Args:
        instances: catalog rows.
        labels: what :func:`read_labels` returned.
        target: what is learnt. Where it does not ask for labels, instances without one take part with a null ``target``, and so
            do all where it names no column.

    Raises:
        LabelError: LABELS_NO_TARGET, LABELS_NO_MATCH, LABELS_CONFLICT, LABELS_BAD_SPLIT; what ``target.targets`` raises.
        ConfigError: PSEUDONYM_KEYS.
    """
    require_one_key(instances.schema, labels.schema, "the images and the labels")
    _require_columns(labels, target.label_columns)
    key = key_column(labels)
    decide = [*target.label_columns, *(name for name in (PATIENT_COLUMN, "split") if name in labels.column_names)]
    _require_one_label(labels, key, list(dict.fromkeys(decide)))
    at = _label_rows(instances[key], labels[key], by_tail=key == "uri")
    joined = instances.append_column("target", _targets(labels, at, target))
    joined = joined.append_column("group", _groups(instances, labels, at)).append_column("split", _splits(labels, at))
    joined = marked(joined, made_with(instances.schema))
    if not target.label_columns and not target.labelled:
        return joined
    kept = joined.filter(pc.is_valid(joined["target"]))
    if not len(kept):
        message = f"none of {len(instances)} images has a label by {key}"
        raise LabelError("LABELS_NO_MATCH", message, "check the key column of the labels")
    return kept if target.labelled else joined


def _targets(labels: pa.Table, at: pa.Array, target: Target) -> pa.Array:
    """The target of each instance; null where its row has none, or there is no row."""
    found = target.targets({name: pc.utf8_trim_whitespace(labels[name]) for name in target.label_columns})
    return found.take(at) if target.label_columns else pa.nulls(len(at), found.type)


def _require_columns(labels: pa.Table, wanted: Sequence[str]) -> None:
    for name in wanted:
        if name not in labels.column_names:
            found = ", ".join(labels.column_names)
            raise LabelError("LABELS_NO_TARGET", f"the labels have no column {name!r} (found {found})", "set the task's target")


def _groups(instances: pa.Table, labels: pa.Table, at: pa.Array) -> pa.Array:
    """The patient of each instance: as the labels say, else by the catalog, else the study."""
    found = [instances["patient_key"], instances["study_uid"]]
    if PATIENT_COLUMN in labels.column_names:
        found.insert(0, pa.chunked_array([labels[PATIENT_COLUMN].take(at).combine_chunks()]))
    none = pa.scalar(None, pa.string())
    return pc.coalesce(*(pc.if_else(pc.equal(pc.fill_null(column, ""), ""), none, column) for column in found), "")


def _splits(labels: pa.Table, at: pa.Array) -> pa.Array:
    if "split" not in labels.column_names:
        return pa.array([""] * len(at), pa.string())
    given = pc.utf8_lower(pc.utf8_trim_whitespace(labels["split"])).combine_chunks()
    names = pc.index_in(given, value_set=pa.array(["", *_SPLIT_NAMES], pa.string()))
    if names.null_count:
        unknown = min(given.filter(pc.is_null(names)).to_pylist())
        raise LabelError("LABELS_BAD_SPLIT", f"split {unknown!r} in the labels", f"use one of {', '.join(SPLITS)}")
    return pc.fill_null(pa.array(["", *_SPLIT_NAMES.values()], pa.string()).take(names).take(at), "")


def key_column(labels: pa.Table) -> str:
    """The column that ties labels to instances, the most specific one where there are several."""
    return next(name for name in ("sop_uid", "series_uid", "study_uid", "uri") if name in labels.column_names)


def join_keys(instances: pa.Table, labels: pa.Table) -> int:
    """How many instances have a row in a label table."""
    key = key_column(labels)
    found = _label_rows(instances[key], labels[key], by_tail=key == "uri")
    return len(found) - int(found.null_count)


def _require_one_label(labels: pa.Table, key: str, columns: Sequence[str]) -> None:
    """Check that rows of one key agree in the columns; raises LabelError LABELS_CONFLICT."""
    known = labels.select([key, *columns]).filter(pc.not_equal(labels[key], ""))
    known = known.append_column("row", pa.array(range(len(known)), pa.int64()))
    distinct = known.group_by([key, *columns]).aggregate([("row", "min")]).sort_by("row_min")
    if len(distinct) == pc.count_distinct(distinct[key]).as_py():
        return
    values = distinct[key].combine_chunks()
    first = pc.index_in(values, value_set=values)  # of equal values
    second = next(row for row, before in enumerate(first.to_pylist()) if before < row)
    pair = distinct.select(columns).take(pa.array([first[second].as_py(), second])).to_pylist()
    both = " and ".join(shown(", ".join(row[name] for name in columns)) for row in pair)
    raise LabelError("LABELS_CONFLICT", f"two labels for one {key}: {both}", "keep one")


def _label_rows(values: pa.ChunkedArray, keys: pa.ChunkedArray, by_tail: bool) -> pa.Array:
    """Number of the first label row of each value, null where there is none; rows without a key are no label.

    Args:
        by_tail: values are paths, which match in full or by their longest known tail.
    """
    known = pc.if_else(pc.equal(keys, ""), pa.scalar(None, pa.string()), keys).combine_chunks()
    tails = values.combine_chunks()
    found = pc.index_in(tails, value_set=known, skip_nulls=True)
    while by_tail:
        waiting = pc.and_(pc.is_null(found), pc.match_substring(tails, "/"))
        if not pc.any(waiting).as_py():
            break
        tails = pc.if_else(waiting, pc.replace_substring_regex(tails, r"\A[^/]*/", ""), "")
        found = pc.coalesce(found, pc.index_in(tails, value_set=known, skip_nulls=True))
    return found.cast(pa.int64())
