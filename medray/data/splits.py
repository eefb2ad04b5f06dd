"""Seeded splits of labelled images by patient.

A draw depends on the seed, the SOP Instance UIDs and the strata, and on nothing that the pseudonym key touches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from medray.data.balance import divided
from medray.errors import LabelError
from medray.spec import Spec
from medray.types import Int64

SPLITS = ("train", "val", "test")
OUT_OF_FOLD = "oof"
"""In the place of a split: answers of models that have not seen the patient (see :mod:`medray.runs.out_of_fold`)."""

IN_WORDS = {"train": "training", "val": "validation", "test": "test", OUT_OF_FOLD: "out-of-fold"}
_DRAWN = {b"medray.split": b"drawn"}


class SplitSpec(Spec):
    """How images without a split column are divided: by patient, stratified by label, seeded; or as a table says."""

    train: float = Field(0.7, gt=0, lt=1, description="share of the patients, and of the images, to train on")
    val: float = Field(0.15, gt=0, lt=1, description="share for early stopping, choice of model and threshold")
    seed: int = Field(0, ge=0)
    file: str | None = Field(None, description="table of splits to take as they are: `split.csv` of a run or of `medray split`")

    @model_validator(mode="after")
    def _shares(self) -> SplitSpec:
        if self.train + self.val > 1:
            raise ValueError("train + val must not be more than 1")
        return self

    @property
    def shares(self) -> tuple[float, float, float]:
        """Of train, val and test."""
        return self.train, self.val, round(1 - self.train - self.val, 9)


def assign_splits(rows: pa.Table, spec: SplitSpec, strata: Int64) -> pa.Table:
    """Fill the ``split`` column: as given where every row has one, else drawn by patient.

    Patients of each stratum (the highest of their images) are ordered by a seeded hash of the smallest SOP Instance UID of their
    images and cut by the shares; a few then change sides so that the images have the shares as well (see
    :mod:`medray.data.balance`). No patient is on two sides.

    Args:
        rows: with ``uri``, ``sop_uid``, ``group`` and ``split``; its order does not matter.
        strata: int64 (n,), one for each row.

    Raises:
        LabelError: LABELS_SPLIT_PARTIAL, LABELS_PATIENT_LEAK.
    """
    missing = int(pc.sum(pc.equal(rows["split"], "")).as_py() or 0)
    if 0 < missing < len(rows):
        message = f"{missing} of {len(rows)} images have no split"
        hint = "fill the split column, in a row for each image that takes part, or leave it out"
        raise LabelError("LABELS_SPLIT_PARTIAL", message, hint)
    sides = pa.array(SPLITS, pa.string())
    splits = sides.take(pa.array(divide(rows, strata, spec.shares, str(spec.seed)))) if missing else rows["split"]
    _check_leaks(rows["group"], splits)
    field = pa.field("split", pa.string(), metadata=_DRAWN if missing else None)
    return rows.set_column(rows.column_names.index("split"), field, splits)


def is_drawn(rows: pa.Table) -> bool:
    """Whether :func:`assign_splits` drew the splits of these rows."""
    return bool(rows.schema.field("split").metadata == _DRAWN)


def divide(rows: pa.Table, strata: Int64, shares: Sequence[float], seed: str) -> Int64:
    """The number of each row's side, int64 (n,), as :func:`assign_splits` draws it.

    Args:
        rows: with ``uri``, ``sop_uid`` and ``group``.
        strata: int64 (n,).
        shares: of the sides, with sum 1.
        seed: what decides the order of the patients, beside their names.
    """
    patient, leads = _patients(rows)
    order = np.array(sorted(range(len(leads)), key=lambda one: (_hash(seed, leads[one][0]), leads[one])))
    classes, column = np.unique(strata, return_inverse=True)
    images = np.zeros((len(leads), len(classes)), np.int64)
    np.add.at(images, (patient, column), 1)
    highest = np.full(len(leads), len(classes) - 1) - np.argmax(images[:, ::-1] > 0, axis=1)
    sides = np.empty(len(leads), np.int64)
    sides[order] = divided(highest[order], images[order], shares)
    return sides[patient]


def _patients(rows: pa.Table) -> tuple[Int64, list[tuple[str, str]]]:
    """The number of each row's patient, int64 (n,), and of each patient the smallest UID and its URI.

    Of UIDs the shortest is the smallest, as 1.2.9 is before 1.2.10; images without one go by their URI.
    """
    uids = pc.fill_null(rows["sop_uid"], "")
    names = pc.if_else(pc.equal(uids, ""), rows["uri"], uids)
    table = pa.table({"group": rows["group"], "length": pc.binary_length(names), "name": names, "uri": rows["uri"]})
    order = pc.sort_indices(table, [(name, "ascending") for name in table.column_names])
    number = np.asarray(table["group"].combine_chunks().dictionary_encode().indices)
    ordered = number[np.asarray(order)]
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    leads = table.select(["name", "uri"]).take(pa.array(np.asarray(order)[first])).to_pylist()
    patient = np.empty(len(rows), np.int64)
    patient[np.asarray(order)] = np.cumsum(np.diff(ordered, prepend=-1) != 0) - 1
    return patient, [(lead["name"], lead["uri"]) for lead in leads]


def _hash(seed: str, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()


def _check_leaks(groups: pa.ChunkedArray, splits: pa.ChunkedArray) -> None:
    sides = pa.table({"group": groups, "split": splits}).group_by(["group", "split"], use_threads=False).aggregate([])
    seen: dict[str, str] = {}
    for group, split in zip(sides["group"].to_pylist(), sides["split"].to_pylist(), strict=True):
        if seen.setdefault(group, split) != split:
            message = f"patient {group} is in {seen[group]} and in {split}"
            raise LabelError("LABELS_PATIENT_LEAK", message, "keep a patient on one side")
