"""Which columns of a label table are kept: what medray needs, what was asked for, and nothing else that may name a patient."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from medray.data.folds import FOLD, fold_numbers
from medray.data.label_values import as_labels
from medray.data.labels import PATIENT_COLUMN, ROW, canonical_name, given_splits, key_column, row_numbers
from medray.data.pseudonym import patient_key
from medray.errors import LabelError

ALWAYS = ("split", FOLD, "mask")
"""Columns that are kept without being asked for, beside the key and the patient."""

_IDENTIFIERS = re.compile(
    r"name|ssn|dob|nhs|nhs(number|no)|chi|pid|id|cpr|bsn|.*mrn.*"
    r"|.*pat(ient(en)?)?s?(ids?|name|initials|number|no|nr|address|phone|dob|ssn)"
    r"|.*(surname|lastname|firstname|familyname|givenname|maidenname|middlename|fullname)"
    r"|.*(birth|birth(date|day|name|place|year)|dateofbirth|nachname|vorname|geburtsdatum|geburtstag)"
    r"|.*(medicalrecord|recordnumber|hospitalnumber|accession|socialsecurity|nationalid|insurance|passport).*"
    r"|.*(address|phone|phonenumber|email)"
)
"""Names of columns that identify people, by their letters in lower case."""


@dataclass(frozen=True)
class KeptLabels:
    """A label table as a catalog keeps it.

    Attributes:
        table: the columns that are kept, and the number of each row in the file.
        said: which columns are kept, as pseudonyms, and left out, in one line.
    """

    table: pa.Table
    said: str


def kept_labels(labels: pa.Table, keep: Collection[str] = ()) -> KeptLabels:
    """The columns of a label table that may be stored.

    Args:
        labels: as :func:`medray.data.labels.read_labels` returns it.
        keep: columns to keep beside the key, the patient (a pseudonym already) and those of :data:`ALWAYS`. Of them, what looks
            like an identifier is kept as pseudonyms.

    Raises:
        LabelError: LABELS_NO_COLUMN, LABELS_COLUMN_TWICE; LABELS_BAD_SPLIT, LABELS_BAD_FOLD.
    """
    names = list(labels.column_names)
    if ROW in names:
        raise LabelError("LABELS_COLUMN_TWICE", f"the labels have a column {ROW}, which numbers their rows", "rename it")
    asked = asked_for(keep, names)
    columns = [name for name in names if name in (key_column(labels), PATIENT_COLUMN, *ALWAYS, *asked)]
    _check_contents(labels)
    table = labels.select(columns)
    plain = (key_column(labels), PATIENT_COLUMN, *ALWAYS)
    hashed = [name for name in columns if name not in plain and is_identifier(name, table[name])]
    for name in hashed:
        at = columns.index(name)
        table = table.set_column(at, table.schema.field(at), pseudonyms(table[name]))
    table = table.append_column(pa.field(ROW, pa.int64(), metadata=table.schema.field(0).metadata), row_numbers(labels))
    left_out = [name for name in names if name not in columns]
    return KeptLabels(table, what_is_kept(columns, hashed, left_out))


def _check_contents(labels: pa.Table) -> None:
    """Raise LabelError unless what is kept unasked for is what its name says."""
    given_splits(labels)
    if FOLD in labels.column_names:
        fold_numbers(labels[FOLD])


def kept_rows(
    rows: Sequence[Mapping[str, str]], keep: Collection[str], needed: Collection[str]
) -> tuple[list[dict[str, str]], tuple[str, ...]]:
    """The rows of a label table with the columns that are kept and others that are needed, and which are pseudonyms now.

    Args:
        rows: by the names that the table has.
        keep: columns to keep beside split and fold; of them, what looks like an identifier becomes pseudonyms.
        needed: columns that stay as they are, to be taken out later.

    Raises:
        LabelError: LABELS_NO_COLUMN.
    """
    names = list(rows[0]) if rows else []
    kept = asked_for(keep, names)
    asked = [name for name in names if name in kept or canonical_name(name) in ("split", FOLD)]
    columns = {name: pa.chunked_array([[row[name] for row in rows]], pa.string()) for name in asked}
    hashed = {name: pseudonyms(values).to_pylist() for name, values in columns.items() if is_identifier(name, values)}
    found = [
        {name: hashed[name][at] if name in hashed else row[name] for name in names if name in asked or name in needed}
        for at, row in enumerate(rows)
    ]
    return found, tuple(hashed)


def asked_for(keep: Collection[str], names: Collection[str]) -> list[str]:
    """The columns that ``keep`` names, by the names that the table has; raises LabelError LABELS_NO_COLUMN."""
    found = [name if name in names else canonical_name(name) for name in keep]
    for name, given in zip(found, keep, strict=True):
        if name not in names:
            message = f"the labels have no column {given!r} to keep (found {', '.join(names)})"
            raise LabelError("LABELS_NO_COLUMN", message, "name columns as the table does")
    return found


def is_identifier(name: str, values: pa.ChunkedArray) -> bool:
    """Whether a column looks as if it names patients: by its own name, or by names of persons as DICOM writes them."""
    letters = re.sub(r"[^a-z]", "", name.lower())
    return bool(_IDENTIFIERS.fullmatch(letters)) or bool(pc.any(pc.match_substring(values, "^")).as_py())


def pseudonyms(values: pa.ChunkedArray) -> pa.Array:
    """The pseudonym of each text (see :func:`medray.data.pseudonym.patient_key`), "" for one that says nothing."""
    encoded = as_labels(values).combine_chunks().dictionary_encode()
    return pa.array([patient_key(value) for value in encoded.dictionary.to_pylist()], pa.string()).take(encoded.indices)


def what_is_kept(columns: Iterable[str], hashed: Collection[str], left_out: Collection[str]) -> str:
    """One line that says which columns of a label table are kept."""
    named = [f"{name} (as pseudonyms)" if name in hashed else name for name in columns]
    parts = [f"labels: kept {', '.join(named) or 'no column'}"]
    if left_out:
        parts.append(f"left out {', '.join(left_out)}: --keep COLUMN keeps one, as those that are learnt from")
    return "; ".join(parts)
