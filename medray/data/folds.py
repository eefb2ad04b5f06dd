"""Folds that a label table gives: the numbers 0 to k − 1 in its column ``fold``, taken wherever folds are needed."""

from __future__ import annotations

from collections import defaultdict

import pyarrow as pa
import pyarrow.compute as pc

from medray.data.label_values import as_labels, meaning_of
from medray.errors import LabelError, shown

FOLD = "fold"
_LONGEST = 6
_HINT = "number the folds 0, 1, … in the column fold, or leave it out"


def fold_numbers(column: pa.ChunkedArray) -> pa.Array:
    """The fold of each label row, int64, null where none is given; raises LabelError LABELS_BAD_FOLD."""
    encoded = as_labels(column).combine_chunks().dictionary_encode()
    values = encoded.dictionary.to_pylist()
    numbers = [_number(value) for value in values]
    if wrong := [value for value, number in zip(values, numbers, strict=True) if value and number is None]:
        named = ", ".join(map(shown, wrong[:5]))
        raise LabelError("LABELS_BAD_FOLD", f"the column fold holds {named}", _HINT)
    return pa.array(numbers, pa.int64()).take(encoded.indices)


def _number(text: str) -> int | None:
    meaning = meaning_of(text)
    is_fold = meaning.kind == "number" and meaning.value.isdigit() and len(meaning.value) <= _LONGEST
    return int(meaning.value) if is_fold else None


def require_folds(rows: pa.Table) -> None:
    """Check that given folds divide the labelled images by patient.

    Args:
        rows: ``target``, ``group`` (patient) and ``fold`` of the images that take part.

    Raises:
        LabelError: LABELS_FOLD_PARTIAL where a labelled image has none; LABELS_PATIENT_LEAK where a patient is in two;
            LABELS_BAD_FOLD where there are fewer than two, or a number is left out.
    """
    labelled = rows.filter(pc.is_valid(rows["target"]))
    if missing := labelled[FOLD].null_count:
        message = f"{missing} of {len(labelled)} labelled images have no fold"
        raise LabelError("LABELS_FOLD_PARTIAL", message, "fill the column fold, or leave it out")
    given = rows.filter(pc.is_valid(rows[FOLD])).group_by(["group", FOLD], use_threads=False).aggregate([])
    patients: dict[str, list[int]] = defaultdict(list)
    for group, number in zip(given["group"].to_pylist(), given[FOLD].to_pylist(), strict=True):
        patients[group].append(number)
    if leaking := [group for group, numbers in patients.items() if len(numbers) > 1]:
        first, second = sorted(patients[leaking[0]])[:2]
        message = f"{len(leaking)} patients are in several folds: {leaking[0]} in {first} and {second}"
        raise LabelError("LABELS_PATIENT_LEAK", message, "keep a patient in one fold")
    numbers = sorted({number for found in patients.values() for number in found})
    if len(numbers) < 2 or numbers != list(range(len(numbers))):
        named = ", ".join(map(str, numbers[:10])) + (", …" if len(numbers) > 10 else "")
        raise LabelError("LABELS_BAD_FOLD", f"the folds of the images are {named}", f"at least two are needed: {_HINT}")
