"""Rows of a label table that say different things of one image."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from medray.errors import LabelError

_SHOWN = 5


def require_agreement(keys: pa.ChunkedArray, key: str, said: Mapping[str, pa.Array | pa.ChunkedArray], rows: pa.Array) -> None:
    """Check that rows of one key say the same.

    Args:
        keys: the key of each row; one without a key labels nothing.
        key: name of the key column, for the message.
        said: what is said ("labels", "splits", …) → its value in each row.
        rows: number of each row in the label table, from 1.

    Raises:
        LabelError: LABELS_CONFLICT, with the numbers of the rows and nothing of their content.
    """
    counts = pc.value_counts(keys)
    repeated = pc.and_(pc.greater(counts.field("counts"), 1), pc.not_equal(counts.field("values"), ""))
    again = pc.is_in(keys, value_set=counts.field("values").filter(repeated))
    values = {what: column.filter(again).to_pylist() for what, column in said.items()}
    numbers = rows.filter(again).to_pylist()
    first: dict[str, int] = {}
    clashes: dict[str, str] = {}
    for at, name in enumerate(keys.filter(again).to_pylist()):
        before = first.setdefault(name, at)
        differing = [what for what, column in values.items() if column[before] != column[at]]
        if differing and name not in clashes:
            clashes[name] = f"rows {numbers[before]} and {numbers[at]} (two {', two '.join(differing)})"
    if clashes:
        more = f" and {len(clashes) - _SHOWN} more" if len(clashes) > _SHOWN else ""
        message = f"rows of one {key} contradict each other: {', '.join(list(clashes.values())[:_SHOWN])}{more}"
        raise LabelError("LABELS_CONFLICT", message, "keep one of them; row 1 is the first below the header")
