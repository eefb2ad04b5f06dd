"""Labels: a CSV or Parquet table keyed by SOP, Series or Study Instance UID or by path, joined to instances.

A column named ``split`` (train, val, test) wins over a drawn split (see :mod:`medray.data.splits`), and one named ``fold`` gives
folds (see :mod:`medray.data.folds`). A column PatientID or patient groups the images of one patient; else the catalog's patient
key does. Patient identifiers are replaced by pseudonyms when a label table is read. :mod:`medray.data.label_values` says what is
no label, :mod:`medray.data.label_columns` what a catalog keeps.
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
from medray.data.folds import FOLD, fold_numbers
from medray.data.key_record import made_with, marked, require_one_key
from medray.data.label_conflicts import Pairs, repeated, require_agreement
from medray.data.label_values import as_labels
from medray.data.pseudonym import key_in_use, patient_key
from medray.data.splits import SPLITS
from medray.errors import LabelError

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
PATIENT_COLUMN = "patient_key"
KEPT = "label."
"""In front of the name of a column of labels that goes along with the images."""

ROW = "label_row"
"""The column of a kept label table that numbers the rows of its file, from 1."""

_PATIENT = ("patientid", "patient", "patientkey")
_RENAMED = {**_KEYS, **dict.fromkeys(_PATIENT, PATIENT_COLUMN), "split": "split", "fold": FOLD}
_UIDS = ("sop_uid", "series_uid", "study_uid")
_FOLDER = b"medray.folder"
_PLURALS = {"target": "labels", "split": "splits", PATIENT_COLUMN: "patients", FOLD: "folds"}


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
        columns = [pc.fill_null(_without_nan(column).cast(pa.string()), "") for column in table.columns]
    except (pa.ArrowException, OSError):  # whose text may quote a row
        raise LabelError("LABELS_UNREADABLE", f"{uri} is not a CSV or Parquet table", "save it as one of them") from None
    if len(set(table.column_names)) < len(table.column_names):  # a name may be a value, where the header is missing
        raise LabelError("LABELS_COLUMN_TWICE", f"two columns of {uri} have one name", "rename or remove one, or add the header")
    return pa.Table.from_arrays(columns, names=table.column_names)


def _without_nan(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Null for NaN, with which floating columns leave a value out."""
    if not pa.types.is_floating(column.type):
        return column
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)


def canonical_name(column: str) -> str:
    """The name of a column as :func:`read_labels` gives it: keys, patients, split and fold have one name each."""
    return _RENAMED.get(_letters(column), column)


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
        known, values = canonical_name(name), table[name]
        if known in columns:
            raise LabelError("LABELS_COLUMN_TWICE", f"{uri} has two columns {known}, {name} is the second", "keep one of them")
        if known == PATIENT_COLUMN:
            values = pa.array([patient_key(value) for value in as_labels(values).to_pylist()], pa.string())
        columns[known] = as_labels(values) if known in _UIDS else values
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
        """The target of each label row, from texts without white space around them, "" for no label; null where there is none."""
        ...


def join_labels(instances: pa.Table, labels: pa.Table, target: Target, keep: Sequence[str] = ()) -> pa.Table:
    """Instances that take part, with the columns ``target``, ``group`` (patient), ``split`` ("" where not given) and given folds.

    Args:
        instances: catalog rows.
        labels: what :func:`read_labels` returned, or a catalog kept of it.
        target: what is learnt. Where it does not ask for labels, instances without one take part with a null ``target``, and so
            do all where it names no column.
        keep: further columns of the labels, which become ``label.NAME``.

    Returns:
        The instances; ``fold`` is int64, null where none is given, and only there where the labels have such a column.

    Raises:
        LabelError: LABELS_NO_TARGET, LABELS_NO_MATCH, LABELS_CONFLICT, LABELS_BAD_SPLIT, LABELS_BAD_FOLD; what
            ``target.targets`` raises.
        ConfigError: PSEUDONYM_KEYS.
    """
    require_one_key(instances.schema, labels.schema, "the images and the labels")
    require_columns(labels, [*target.label_columns, *keep])
    key, said = key_column(labels), _said(labels, target)
    matches = matching_rows(instances[key], labels[key], by_tail=key == "uri")
    at = pc.coalesce(*matches).cast(pa.int64())
    named = {_PLURALS[name]: values for name, values in said.items()}
    for pairs in (repeated(labels[key]), _named_twice(at, matches)):
        require_agreement(pairs, named, row_numbers(labels), key)
    joined = instances.append_column("target", said["target"].take(at))
    joined = joined.append_column("group", _groups(instances, labels, at))
    joined = joined.append_column("split", pc.fill_null(said["split"].take(at), ""))
    if FOLD in said:
        joined = joined.append_column(FOLD, said[FOLD].take(at))
    for name in keep:
        joined = joined.append_column(f"{KEPT}{name}", labels[name].take(at))
    joined = marked(joined, made_with(instances.schema))
    if not target.label_columns and not target.labelled:
        return joined
    kept = joined.filter(pc.is_valid(joined["target"]))
    if not len(kept):
        message = f"none of {len(instances)} images has a label by {key}"
        raise LabelError("LABELS_NO_MATCH", message, "check the key column of the labels")
    return kept if target.labelled else joined


def row_numbers(labels: pa.Table) -> pa.Array | pa.ChunkedArray:
    """The number of each row in the file of a label table, int64, from 1."""
    return labels[ROW] if ROW in labels.column_names else pa.array(range(1, len(labels) + 1), pa.int64())


def _said(labels: pa.Table, target: Target) -> dict[str, pa.Array]:
    """What each label row says of its images: target, split, patient and fold, the latter where there is such a column."""
    count = len(labels)
    found = target.targets({name: as_labels(labels[name]) for name in target.label_columns})
    said = {"target": found if target.label_columns else pa.nulls(count, found.type), "split": given_splits(labels)}
    if PATIENT_COLUMN in labels.column_names:
        said[PATIENT_COLUMN] = labels[PATIENT_COLUMN].combine_chunks()
    if FOLD in labels.column_names:
        said[FOLD] = fold_numbers(labels[FOLD])
    return said


def require_columns(labels: pa.Table, wanted: Sequence[str]) -> None:
    """Raise LabelError LABELS_NO_TARGET where a column is not there."""
    for name in wanted:
        if name not in labels.column_names:
            found = ", ".join(other for other in labels.column_names if other != ROW)
            message = f"the labels have no column {name!r} (found {found})"
            hint = "set the task's target; a catalog has the columns that `medray ingest … --labels FILE --keep COLUMN` named"
            raise LabelError("LABELS_NO_TARGET", message, hint)


def _groups(instances: pa.Table, labels: pa.Table, at: pa.Array) -> pa.Array:
    """The patient of each instance: as the labels say, else by the catalog, else the study."""
    found = [instances["patient_key"], instances["study_uid"]]
    if PATIENT_COLUMN in labels.column_names:
        found.insert(0, pa.chunked_array([labels[PATIENT_COLUMN].take(at).combine_chunks()]))
    none = pa.scalar(None, pa.string())
    return pc.coalesce(*(pc.if_else(pc.equal(pc.fill_null(column, ""), ""), none, column) for column in found), "")


def given_splits(labels: pa.Table) -> pa.Array:
    """The split of each label row, "" where none is given; raises LabelError LABELS_BAD_SPLIT."""
    if "split" not in labels.column_names:
        return pa.array([""] * len(labels), pa.string())
    given = pc.utf8_lower(as_labels(labels["split"])).combine_chunks()
    names = pc.index_in(given, value_set=pa.array(["", *_SPLIT_NAMES], pa.string()))
    if names.null_count:
        unknown = min(given.filter(pc.is_null(names)).to_pylist())
        raise LabelError("LABELS_BAD_SPLIT", f"split {unknown!r} in the labels", f"use one of {', '.join(SPLITS)}")
    return pa.array(["", *_SPLIT_NAMES.values()], pa.string()).take(names)


def key_column(labels: pa.Table) -> str:
    """The column that ties labels to instances, the most specific one where there are several."""
    return next(name for name in ("sop_uid", "series_uid", "study_uid", "uri") if name in labels.column_names)


def join_keys(instances: pa.Table, labels: pa.Table) -> int:
    """How many instances have a row in a label table."""
    key = key_column(labels)
    found = pc.coalesce(*matching_rows(instances[key], labels[key], by_tail=key == "uri"))
    return len(found) - int(found.null_count)


def matching_rows(values: pa.ChunkedArray, keys: pa.ChunkedArray, by_tail: bool) -> list[pa.Array]:
    """Number of the first label row of each value, from 0, null where there is none; rows without a key are no label.

    Args:
        by_tail: values are paths, which match in full (the first array), or by ever shorter tails (the others).
    """
    known = pc.if_else(pc.equal(keys, ""), pa.scalar(None, pa.string()), keys).combine_chunks()
    tails = values.combine_chunks()
    found = [pc.index_in(tails, value_set=known, skip_nulls=True)]
    while by_tail and pc.any(longer := pc.match_substring(tails, "/")).as_py():
        tails = pc.if_else(longer, pc.replace_substring_regex(tails, r"\A[^/]*/", ""), "")
        found.append(pc.index_in(tails, value_set=known, skip_nulls=True))
    return found


def _named_twice(at: pa.Array, matches: Sequence[pa.Array]) -> Pairs:
    """The rows that name one image by different tails of its path: that of the longest, and another."""
    pairs = pa.concat_tables([pa.table({"before": at, "later": match.cast(pa.int64())}) for match in matches])
    pairs = pairs.filter(pc.not_equal(pairs["before"], pairs["later"]))  # null where one of them is
    pairs = pairs.group_by(["before", "later"], use_threads=False).aggregate([])
    return Pairs(pairs["before"], pairs["later"])
