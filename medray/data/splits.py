"""Seeded splits of labelled images by patient."""

from __future__ import annotations

import hashlib
from collections import defaultdict

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from medray.errors import LabelError
from medray.spec import Spec
from medray.types import Int64

SPLITS = ("train", "val", "test")


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


def assign_splits(rows: pa.Table, spec: SplitSpec, strata: Int64) -> pa.Table:
    """Fill the ``split`` column: as given where every row has one, else drawn by patient.

    Patients of each stratum (the highest of their images) are ordered by a seeded hash of their pseudonym and cut by the shares,
    so that adding images never moves a patient's neighbours by more than the cut, and no patient is on two sides.

    Args:
        strata: int64 (n,), one for each row.

    Raises:
        LabelError: LABELS_SPLIT_PARTIAL, LABELS_PATIENT_LEAK.
    """
    missing = int(pc.sum(pc.equal(rows["split"], "")).as_py() or 0)
    if 0 < missing < len(rows):
        message = f"{missing} of {len(rows)} images have no split"
        hint = "fill the split column, in a row for each image that takes part, or leave it out"
        raise LabelError("LABELS_SPLIT_PARTIAL", message, hint)
    splits = _draw(rows["group"], strata, spec) if missing else rows["split"]
    _check_leaks(rows["group"], splits)
    return rows.set_column(rows.column_names.index("split"), "split", splits)


def _draw(groups: pa.ChunkedArray, strata: Int64, spec: SplitSpec) -> pa.ChunkedArray:
    highest = pa.table({"group": groups, "stratum": strata}).group_by("group").aggregate([("stratum", "max")])
    members: dict[int, list[str]] = defaultdict(list)
    for group, value in zip(highest["group"].to_pylist(), highest["stratum_max"].to_pylist(), strict=True):
        members[value].append(group)
    drawn: list[str] = []
    splits: list[str] = []
    for _, names in sorted(members.items()):
        names.sort(key=lambda name: hashlib.sha256(f"{spec.seed}:{name}".encode()).digest())
        cuts = (round(spec.train * len(names)), round((spec.train + spec.val) * len(names)))
        drawn += names
        splits += [SPLITS[(position >= cuts[0]) + (position >= cuts[1])] for position in range(len(names))]
    at = pc.index_in(groups, value_set=pa.array(drawn, pa.string()))
    return pa.chunked_array([pa.array(splits, pa.string())]).take(at)


def _check_leaks(groups: pa.ChunkedArray, splits: pa.ChunkedArray) -> None:
    sides = pa.table({"group": groups, "split": splits}).group_by(["group", "split"], use_threads=False).aggregate([])
    seen: dict[str, str] = {}
    for group, split in zip(sides["group"].to_pylist(), sides["split"].to_pylist(), strict=True):
        if seen.setdefault(group, split) != split:
            message = f"patient {group} is in {seen[group]} and in {split}"
            raise LabelError("LABELS_PATIENT_LEAK", message, "keep a patient on one side")
