"""Several objects with one SOP Instance UID: the same instance twice, or a contradiction."""

from __future__ import annotations

from collections import defaultdict

import pyarrow as pa

from medray.types import State

DUPLICATE, CONFLICT = "DUPLICATE_INSTANCE", "DICOM_UID_CONFLICT"
_MESSAGES = {
    "": "",
    DUPLICATE: "the same instance as another object",
    CONFLICT: "other objects have the same SOP Instance UID and another content",
}


def settled(rows: pa.Table, usable: State | str) -> pa.Table:
    """The rows with the ``state``, ``code`` and ``message`` that their equals give them.

    Of the rows of one SOP Instance UID with equal content, the first by URI is usable and the others are EXCLUDED
    DUPLICATE_INSTANCE; where contents differ, all are QUARANTINED DICOM_UID_CONFLICT. What an earlier call decided is decided
    afresh, so that a row becomes usable again when its equals have gone. A content that is not known ("") equals no other.

    Args:
        rows: usable rows and those with one of these two codes; columns uri, sop_uid, content_sha256, state, code, message.
        usable: the state of a row that has no trouble.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    uris, contents = rows["uri"].to_pylist(), rows["content_sha256"].to_pylist()
    for index, sop_uid in enumerate(rows["sop_uid"].to_pylist()):
        groups[sop_uid].append(index)
    codes = [""] * len(uris)
    for indices in groups.values():
        first = min(indices, key=lambda index: uris[index])
        different = {contents[index] or index for index in indices}
        conflict = len(different) > 1
        for index in indices:
            codes[index] = CONFLICT if conflict else "" if index == first else DUPLICATE
    states = {"": str(usable), DUPLICATE: State.EXCLUDED.value, CONFLICT: State.QUARANTINED.value}
    columns = {"state": [states[code] for code in codes], "code": codes, "message": [_MESSAGES[code] for code in codes]}
    for name, values in columns.items():
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(values, pa.string()))
    return rows
