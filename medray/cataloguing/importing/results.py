"""The results of ``medray import``: rows of the tables of labels and masks, and the report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from medray.cataloguing.importing import tables
from medray.cataloguing.importing.instance import Outcome
from medray.cataloguing.importing.tables import Labels, Row
from medray.data import store
from medray.data.foreign.naming import MEMBER
from medray.spec import canonical_json

SOP, SERIES = "SOPInstanceUID", "SeriesInstanceUID"
DUPLICATE_LABELS = "IMPORT_DUPLICATE_LABELS"
MASK_CONFLICT = "IMPORT_MASK_CONFLICT"

LeftOut = list[tuple[str, Row]]


def labelled_rows(labels: Labels, outcomes: Sequence[Outcome]) -> tuple[list[Row], LeftOut]:
    """Rows of ``labels.csv``, and the rows that label no image, with their codes.

    An image that stands under several names has to have the same labels under each, else it has none: IMPORT_DUPLICATE_LABELS.
    """
    by_uid: dict[str, list[tuple[str, Row]]] = defaultdict(list)
    used = set()
    for one in outcomes:
        place = labels.place(one.name)
        row = {**one.labels, **labels.of(one.name)}
        if one.sop_uid and row:
            by_uid[one.sop_uid].append((one.name, row))
            used.add(place)
    kept, left_out = [], []
    for uid, found in by_uid.items():
        if len({canonical_json({**row, labels.key: ""}) for _, row in found}) == 1:
            kept.append({SOP: uid, **labels.shown(found[0][1])})
        else:
            left_out += [(DUPLICATE_LABELS, {labels.key or "file": name, **labels.shown(row)}) for name, row in found]
    seen = {name for one in outcomes for name in (one.name, one.name.partition(MEMBER)[0])}
    for name, row in labels.by_input.items():
        if name not in used:
            labels.leave_out(tables.NOT_IMPORTED if name in seen else tables.NO_FILE, row)
    return kept, [*labels.left_out, *left_out]


def mask_rows(outcomes: Sequence[Outcome]) -> tuple[list[Row], list[tuple[str, str]]]:
    """Rows of ``masks.csv``, and (code, name) of the inputs whose masks are left out."""
    by_uid: dict[str, list[Outcome]] = defaultdict(list)
    for one in outcomes:
        if one.mask:
            by_uid[one.sop_uid].append(one)
    kept, left_out = [], [(one.mask_code, one.name) for one in outcomes if one.mask_code]
    for uid, found in by_uid.items():
        if len({one.mask for one in found}) == 1:
            kept.append({SOP: uid, SERIES: found[0].series_uid, "mask": f"masks/{found[0].mask}"})
        else:
            left_out += [(MASK_CONFLICT, one.name) for one in found]
    return kept, left_out


def report(source: str, out: str, outcomes: Sequence[Outcome], labels: LeftOut, masks: Sequence[tuple[str, str]]) -> None:
    """Write the outcome of every input, label and mask; only these tables hold names of files.

    Raises:
        StoreError, LabelError
    """
    rows = [{"source": source, **one.row()} for one in outcomes]
    tables.update_csv(store.join(out, "import", "files.csv"), rows, ["source", "file"])
    for name, left_out in (
        ("labels", [{"code": code, **row} for code, row in labels]),
        ("masks", [{"code": code, "file": mask} for code, mask in masks]),
    ):
        uri = store.join(out, "import", f"{name}-left-out.csv")
        if left_out:
            store.write(uri, tables.as_csv(left_out, list(dict.fromkeys(column for row in left_out for column in row))))
        else:
            store.delete(uri)
