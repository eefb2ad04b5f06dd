"""Tables of ``medray import``: labels matched to files, and the tables that it writes, brought up to date row by row."""

from __future__ import annotations

import csv
import io
import posixpath
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from medray.data import store
from medray.data.foreign.naming import MEMBER, Names
from medray.data.label_columns import kept_rows, what_is_kept
from medray.data.label_values import is_no_label
from medray.data.labels import is_instance, is_patient, read_texts
from medray.errors import LabelError

Row = dict[str, str]

NO_FILE, AMBIGUOUS, CONFLICT = "IMPORT_LABEL_NO_FILE", "IMPORT_LABEL_AMBIGUOUS", "IMPORT_LABEL_CONFLICT"
NOT_IMPORTED = "IMPORT_LABEL_NOT_IMPORTED"
_NAMING = ("file", "filename", "path", "image", "imagepath", "name", "stem", "id", "imageid", "uri")
_ORIGINAL = "Original"
"""In front of a column of UIDs that the source's own images had."""


@dataclass
class Labels:
    """A label table and the files that its rows name.

    Attributes:
        columns: those of its rows.
        hidden: those of them that name files, patients and masks, and do not go into the table of the archive.
        key: the column that names files.
        by_input: name of an input, or of its file → its row.
        patient: the column that names patients, or None.
        left_out: rows that label nothing, each with its code: the key, and what is not hidden.
        said: which columns are kept, in one line.
    """

    columns: list[str] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)
    key: str = ""
    by_input: dict[str, Row] = field(default_factory=dict)
    patient: str | None = None
    left_out: list[tuple[str, Row]] = field(default_factory=list)
    said: str = ""

    def place(self, name: str) -> str:
        """Under which name the row of an input stands: its own, else that of its file; "" where it has none."""
        return next((one for one in (name, name.partition(MEMBER)[0]) if one in self.by_input), "")

    def of(self, name: str) -> Row:
        """The row of an input; empty where there is none."""
        return self.by_input.get(self.place(name), {})

    def shown(self, row: Row) -> Row:
        """What of a row goes into the table of the archive."""
        return {name: value for name, value in row.items() if name not in self.hidden}

    def leave_out(self, code: str, row: Row) -> None:
        """Report a row that labels nothing."""
        self.left_out.append((code, {self.key: row[self.key], **self.shown(row)}))


def read_rows(uri: str) -> list[Row]:
    """The rows of a label table as text; SOP Instance UIDs of the originals are named so.

    Raises:
        LabelError: LABELS_UNREADABLE; StoreError.
    """
    table = read_texts(uri)
    names = [f"{_ORIGINAL}{name}" if is_instance(name) else name for name in table.column_names]
    if len(set(names)) < len(names):
        raise LabelError("LABELS_UNREADABLE", f"{uri} has two columns of one name", "rename one")
    rows: list[Row] = table.rename_columns(names).to_pylist()
    return rows


def matched(
    rows: Sequence[Row], files: Names, uri: str, key: str | None = None, keep: Collection[str] = (), masks: str | None = None
) -> Labels:
    """The labels, matched to the inputs that they name.

    Args:
        rows: of the label table.
        files: of the source.
        uri: of the table, for messages.
        key: the column that names files; None: the one whose values name the most.
        keep: columns to keep, see :func:`medray.data.label_columns.kept_rows`.
        masks: what names masks, which may be a column.

    Raises:
        LabelError: LABELS_NO_KEY, LABELS_NO_COLUMN.
    """
    columns = list(rows[0]) if rows else []
    if key is not None and key not in columns:
        raise LabelError("LABELS_NO_KEY", f"{uri} has no column {key!r}", f"it has {', '.join(columns)}")
    found = {name: [files.find(row[name]) for row in rows] for name in ([key] if key else columns)}
    counts = {name: sum(map(bool, hits)) for name, hits in found.items()}
    chosen = key or max(columns, key=lambda name: (counts[name], -_rank(name)), default=None)
    if chosen is None or (not key and not _names_files(chosen, counts[chosen], len(rows))):
        raise LabelError("LABELS_NO_KEY", f"no column of {uri} names a file of the source", "name files by path, name or stem")
    patient = next(filter(is_patient, columns), None)
    keep = [name for name in keep if name != patient]  # whom the images name
    hidden = {name for name in (chosen, patient, masks) if name} - set(keep)
    rows, hashed = kept_rows(rows, keep, hidden)
    labels = Labels(list(rows[0]), hidden, chosen, patient=patient)
    kept = [name for name in labels.columns if name not in hidden]
    labels.said = what_is_kept(kept, hashed, [name for name in columns if name not in (*kept, patient)])
    by_input: dict[str, list[Row]] = defaultdict(list)
    for row, hits in zip(rows, found[chosen], strict=True):
        if len(hits) == 1:
            by_input[hits[0]].append(row)
        else:
            labels.leave_out(AMBIGUOUS if hits else NO_FILE, row)
    for name, same in by_input.items():
        if all(row == same[0] for row in same):
            labels.by_input[name] = same[0]
        else:
            for row in same:
                labels.leave_out(CONFLICT, row)
    return labels


def _names_files(column: str, hits: int, rows: int) -> bool:
    """Whether a column is the key: any hit is enough for one that is called so, of others half of the rows have to hit."""
    return hits > 0 if _rank(column) < len(_NAMING) else 2 * hits >= rows > 0


def _rank(column: str) -> int:
    plain = "".join(filter(str.isalpha, column.lower()))
    return _NAMING.index(plain) if plain in _NAMING else len(_NAMING)


def mask_column(rows: Mapping[str, Row], column: str, files: Names, folder: str) -> tuple[dict[str, str], dict[str, str]]:
    """(name of an input → file of the source that is its mask, name of an input → URI of a mask elsewhere).

    Args:
        rows: of the label table, by input.
        column: that names the masks.
        files: of the source.
        folder: of the label table; a mask that is not a file of the source is looked for below it.
    """
    inside, elsewhere = {}, {}
    for name, row in rows.items():
        if not is_no_label(value := row[column].strip()):
            if len(hits := files.find(value)) == 1:
                inside[name] = hits[0]
            else:
                elsewhere[name] = (
                    value if "://" in value or value.startswith("/") else store.join(folder, posixpath.normpath(value))
                )
    return inside, elsewhere


def update_csv(uri: str, rows: Sequence[Mapping[str, str]], key: Sequence[str], afresh: Collection[str] = ()) -> None:
    """Bring a CSV table up to date: rows of known keys are replaced where they stand, others added.

    The columns of the key come first. A table that would not change is not written, nor is one without rows begun.

    Args:
        uri: of the table.
        rows: as they are now.
        key: columns that tell rows apart.
        afresh: values of the first of them whose rows go where ``rows`` has none of them any more.

    Raises:
        LabelError: LABELS_UNREADABLE where the table is broken; StoreError.
    """
    is_there = store.exists(uri)
    before = read_texts(uri).to_pylist() if is_there else []
    now = {tuple(row.get(name, "") for name in key): dict(row) for row in rows}
    table = {tuple(row.get(name, "") for name in key): dict(row) for row in before}
    table = {place: row for place, row in table.items() if place in now or place[0] not in afresh} | now
    columns = list(dict.fromkeys([*key, *(name for row in [*before[:1], *rows] for name in row)]))
    data = as_csv(table.values(), columns)
    if data != store.read(uri) if is_there else rows:
        store.write(uri, data)


def as_csv(rows: Iterable[Mapping[str, str]], columns: Sequence[str]) -> bytes:
    """Rows as CSV, UTF-8, with a header line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def counted(codes: Iterable[str]) -> dict[str, int]:
    """How often each code occurs, sorted by code."""
    return dict(sorted(Counter(codes).items()))
