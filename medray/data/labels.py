"""Labels: a CSV or Parquet table keyed by SOP, Series or Study Instance UID or by path, joined to instances; and seeded splits.

A column named ``split`` (train, val, test) wins over a drawn split. A column PatientID or patient groups the images of one
patient; else the catalog's patient key does. Patient identifiers are replaced by pseudonyms when a label table is read.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from pydantic import Field, model_validator

from medray.data import store
from medray.data.pseudonym import patient_key
from medray.errors import LabelError
from medray.spec import Spec

SPLITS = ("train", "val", "test")
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


class SplitSpec(Spec):
    """How images without a split column are divided: by patient, stratified by label, seeded."""

    train: float = Field(0.7, gt=0, lt=1, description="share of the patients to train on")
    val: float = Field(0.15, gt=0, lt=1, description="share for early stopping, choice of model and threshold")
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _shares(self) -> SplitSpec:
        if self.train + self.val > 1:
            raise ValueError("train + val must not be more than 1")
        return self


def read_labels(uri: str) -> pa.Table:
    """A label table, every column as text, the key column named as in the catalog, patients as pseudonyms.

    Its folder is kept in the metadata of its fields, where it outlives a copy into a catalog: see :func:`folder_of`.

    Raises:
        LabelError: LABELS_UNREADABLE, LABELS_NO_KEY.
        StoreError: the file cannot be fetched.
    """
    table, folder = _canonical(read_texts(uri), uri), store.normalise(uri).rpartition("/")[0]
    return table.cast(pa.schema([field.with_metadata({_FOLDER: folder}) for field in table.schema]))


def folder_of(labels: pa.Table) -> str | None:
    """The folder of the file that a label table was read from; None where it was kept by a version that did not record it."""
    found = {(field.metadata or {}).get(_FOLDER) for field in labels.schema}
    folder = found.pop() if len(found) == 1 else None
    return None if folder is None else folder.decode()


def read_texts(uri: str) -> pa.Table:
    """A CSV or Parquet table as it is, every value as text, none of them null.

    Raises:
        LabelError: LABELS_UNREADABLE.
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
        raise LabelError("LABELS_UNREADABLE", f"{uri} is no CSV or Parquet table", "save it again") from None
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
        raise LabelError(
            "LABELS_NO_KEY",
            f"{uri} has no key column",
            f"name one of {expected}",
        )
    return pa.table(columns)


def join_labels(instances: pa.Table, labels: pa.Table, target: str, positive: str) -> pa.Table:
    """Instances that have a label, with columns ``y`` (0 | 1), ``group`` (patient) and ``split`` ("" where not given).

    Args:
        instances: catalog rows.
        labels: what :func:`read_labels` returned.
        target: label column to learn.
        positive: value of ``target`` that makes a positive; every other value is negative, an empty one is no label.

    Raises:
        LabelError: LABELS_NO_TARGET, LABELS_NO_MATCH, LABELS_SINGLE_CLASS, LABELS_CONFLICT.
    """
    if target not in labels.column_names:
        found = ", ".join(labels.column_names)
        raise LabelError("LABELS_NO_TARGET", f"the labels have no column {target!r} (found {found})", "set labels.target")
    key = key_column(labels)
    find = _finder(labels, key, target)
    matched = [(item, label) for item in instances.to_pylist() if (label := find(item[key])) and label[target] != ""]
    if not matched:
        raise LabelError(
            "LABELS_NO_MATCH",
            f"none of {len(instances)} images has a label by {key}",
            "check the key column of the labels",
        )
    rows = [_labelled(item, label, target, positive) for item, label in matched]
    _require_both(rows, target, positive, {label[target] for _, label in matched})
    schema = instances.schema
    for field in (pa.field("y", pa.int64()), pa.field("group", pa.string()), pa.field("split", pa.string())):
        schema = schema.append(field)
    return pa.Table.from_pylist(rows, schema=schema)


def key_column(labels: pa.Table) -> str:
    """The column that ties labels to instances, the most specific one where there are several."""
    return next(name for name in ("sop_uid", "series_uid", "study_uid", "uri") if name in labels.column_names)


def join_keys(instances: pa.Table, labels: pa.Table) -> int:
    """How many instances have a row in a label table."""
    key = key_column(labels)
    find = _finder(labels, key, key)
    return sum(find(value) is not None for value in instances[key].to_pylist())


def _finder(labels: pa.Table, key: str, target: str) -> Callable[[str], Mapping[str, str] | None]:
    """Look-up by key; a path matches in full or by its longest known tail, down to the file name."""
    index: dict[str, Mapping[str, str]] = {}
    for label in labels.to_pylist():
        known = index.setdefault(label[key], label)
        if known[target] != label[target]:
            raise LabelError("LABELS_CONFLICT", f"two labels for one {key}: {known[target]!r} and {label[target]!r}", "keep one")
    if key != "uri":
        return index.get

    def by_path(uri: str) -> Mapping[str, str] | None:
        parts = uri.split("/")
        tails = ("/".join(parts[start:]) for start in range(len(parts)))
        return next((index[tail] for tail in tails if tail in index), None)

    return by_path


def _labelled(item: dict[str, object], label: Mapping[str, str], target: str, positive: str) -> dict[str, object]:
    split = label.get("split", "").strip().lower()
    if split and split not in _SPLIT_NAMES:
        raise LabelError("LABELS_BAD_SPLIT", f"split {split!r} in the labels", f"use one of {', '.join(SPLITS)}")
    group = label.get(PATIENT_COLUMN) or item["patient_key"] or item["study_uid"]
    return {**item, "y": int(_same(label[target], positive)), "group": group, "split": _SPLIT_NAMES.get(split, "")}


def _same(value: str, positive: str) -> bool:
    return value.strip().lower() == positive.strip().lower()


def _require_both(rows: list[dict[str, object]], target: str, positive: str, values: set[str]) -> None:
    positives = sum(int(item["y"] == 1) for item in rows)
    if positives in (0, len(rows)):
        shown = ", ".join(sorted(values)[:5])
        side = "positive" if positives else "negative"
        message = f"all {len(rows)} labelled images are {side} ({target} = {shown}; positive is {positive!r})"
        raise LabelError("LABELS_SINGLE_CLASS", message, "give labels of both classes, or set labels.positive")


def assign_splits(rows: pa.Table, spec: SplitSpec) -> pa.Table:
    """Fill the ``split`` column: as given where every row has one, else drawn by patient.

    Patients of each class (a patient with any positive image is positive) are ordered by a seeded hash of their pseudonym and cut
    by the shares, so that adding images never moves a patient's neighbours by more than the cut, and no patient is on two sides.

    Raises:
        LabelError: LABELS_SPLIT_PARTIAL, LABELS_PATIENT_LEAK, LABELS_TOO_FEW.
    """
    given = rows["split"].to_pylist()
    if any(given):
        if not all(given):
            raise LabelError(
                "LABELS_SPLIT_PARTIAL",
                f"{given.count('')} of {len(given)} images have no split",
                "fill the split column",
            )
        splits = given
    else:
        by_group = _draw(rows, spec)
        splits = [by_group[group] for group in rows["group"].to_pylist()]
    _check_splits(rows, splits)
    return rows.set_column(rows.column_names.index("split"), "split", pa.array(splits, pa.string()))


def _draw(rows: pa.Table, spec: SplitSpec) -> dict[str, str]:
    label: dict[str, int] = {}
    for group, y in zip(rows["group"].to_pylist(), rows["y"].to_pylist(), strict=True):
        label[group] = max(label.get(group, 0), y)
    splits: dict[str, str] = {}
    for value in (0, 1):
        groups = sorted(
            (g for g in label if label[g] == value), key=lambda g: hashlib.sha256(f"{spec.seed}:{g}".encode()).digest()
        )
        cuts = (round(spec.train * len(groups)), round((spec.train + spec.val) * len(groups)))
        for position, group in enumerate(groups):
            splits[group] = SPLITS[(position >= cuts[0]) + (position >= cuts[1])]
    return splits


def _check_splits(rows: pa.Table, splits: list[str]) -> None:
    side: dict[str, str] = {}
    for group, split in zip(rows["group"].to_pylist(), splits, strict=True):
        if side.setdefault(group, split) != split:
            raise LabelError(
                "LABELS_PATIENT_LEAK",
                f"patient {group} is in {side[group]} and in {split}",
                "keep a patient on one side",
            )
    ys = rows["y"].to_pylist()
    for split in ("train", "val"):
        classes = {y for y, at in zip(ys, splits, strict=True) if at == split}
        if len(classes) < 2:
            raise LabelError(
                "LABELS_TOO_FEW", f"the {split} split does not hold both classes", "label more patients of each class"
            )
