"""Rows of a label table that say different things of one image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medray.errors import LabelError

_SHOWN = 5


class Pairs(NamedTuple):
    """Places of rows that are about the same image, from 0: each ``later`` one beside one ``before`` it, integer arrays (n,)."""

    before: pa.Array
    later: pa.Array


def repeated(keys: pa.ChunkedArray) -> Pairs:
    """Each row whose key another has before it, beside the first of these; one without a key is about no image."""
    values = keys.combine_chunks()
    first = pc.index_in(values, value_set=values)
    own = pa.array(np.arange(len(values)), first.type)
    again = pc.and_(pc.not_equal(first, own), pc.not_equal(values, ""))
    return Pairs(first.filter(again), own.filter(again))


def require_agreement(pairs: Pairs, said: Mapping[str, pa.Array | pa.ChunkedArray], numbers: pa.Array, key: str) -> None:
    """Check that rows about the same image say the same.

    Args:
        pairs: the rows to compare.
        said: what is said ("labels", "splits", …) → its value in each row.
        numbers: number of each row in the label table, from 1.
        key: name of the key column, for the message.

    Raises:
        LabelError: LABELS_CONFLICT, with the numbers of the rows and nothing of their content.
    """
    values = {what: [column.take(side).to_pylist() for side in pairs] for what, column in said.items()}
    rows = zip(*(numbers.take(side).to_pylist() for side in pairs), strict=True)
    clashes: dict[int, str] = {}
    for at, (before, later) in enumerate(rows):
        differing = [what for what, (first, second) in values.items() if first[at] != second[at]]
        if differing:
            clashes.setdefault(before, f"rows {before} and {later} (two {', two '.join(differing)})")
    if clashes:
        more = f" and {len(clashes) - _SHOWN} more" if len(clashes) > _SHOWN else ""
        message = f"rows of one {key} contradict each other: {', '.join(list(clashes.values())[:_SHOWN])}{more}"
        raise LabelError("LABELS_CONFLICT", message, "keep one of them; row 1 is the first below the header")
