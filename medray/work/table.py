"""The Delta table of outcomes: what is missing from it, and what it says of inputs."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from medray.data import store, tables
from medray.data.catalog import GONE
from medray.data.duplicates import images_of, settled
from medray.types import State
from medray.work.job import ImageJob
from medray.work.outcome import IDENTIFIERS, KEYS, MASK, OUTCOME, OUTCOME_COLUMNS, PATIENT, STACK


def schema_of(job: ImageJob, inputs: pa.Schema) -> pa.Schema:
    """Columns that a job makes of inputs."""
    return pa.schema([*OUTCOME, *(field for field in (*STACK, *MASK) if field.name in inputs.names), *job.fields()])


def input_columns(rows: pa.Table) -> list[str]:
    """The columns of rows that say what an input is."""
    wanted = [
        *("size_bytes", PATIENT),
        *(["members", *IDENTIFIERS, *(field.name for field in STACK)] if "members" in rows.column_names else []),
    ]
    return [*keys_of(rows), *(name for name in dict.fromkeys(wanted) if name in rows.column_names)]


def missing(rows: pa.Table, table_uri: str, version: int) -> pa.Table:
    """Rows without a final outcome in that version of the table; failed ones are tried again, unless their object is gone."""
    keys = keys_of(rows)
    known = tables.read_table(table_uri, version, [*keys, "state", "code"])
    known = known.filter(is_final(known)).select(keys)
    numbered = rows.select(keys).append_column("row", pa.array(range(len(rows)), pa.int64()))  # a join carries no lists
    todo = numbered.join(known, keys=keys, join_type="left anti")
    return rows.take(todo["row"]).sort_by("uri")


def is_final(outcomes: pa.Table) -> pa.ChunkedArray:
    """Which outcomes stay: all but FAILED ones, of which those stay whose object is gone."""
    return pc.or_(pc.not_equal(outcomes["state"], State.FAILED.value), pc.equal(outcomes["code"], GONE))


def outcomes(rows: pa.Table, table_uri: str, columns: list[str] | None = None) -> pa.Table:
    """The outcome of each of ``rows``, sorted by URI; of images with one SOP Instance UID, at most one is SCORED.

    Those that differ in content are read again, and are equal if they differ in nothing but their encoding.

    Args:
        columns: which columns of the table; default: those of the outcome, without the job's. The job's are null unless SCORED.
    """
    keys = keys_of(rows)
    wanted = rows.select(keys)
    names = list(dict.fromkeys([*(columns or OUTCOME_COLUMNS), *keys]))
    table = tables.read_table(table_uri, columns=names).join(wanted, keys=keys, join_type="inner")
    table = table.select(columns or OUTCOME_COLUMNS)
    return (table if "members" in rows.column_names else _unique(table)).sort_by("uri")


def _unique(table: pa.Table) -> pa.Table:
    """The outcomes with duplicates and conflicts of SOP Instance UIDs settled among those that are SCORED."""
    if not {"uri", "etag", "sop_uid", "content_sha256", "code", "message"} <= set(table.column_names):
        return table
    scored = pc.and_(pc.equal(table["state"], State.SCORED.value), pc.not_equal(table["sop_uid"], ""))
    found = table.filter(scored)
    found = settled(found, State.SCORED, images_of(found))
    usable = pc.equal(found["state"], State.SCORED.value)
    for name in found.column_names:
        if name not in OUTCOME_COLUMNS:
            column = found[name]
            found = found.set_column(
                found.column_names.index(name), name, pc.if_else(usable, column, pa.scalar(None, column.type))
            )
    return pa.concat_tables([table.filter(pc.invert(scored)), found])


def read_values(table_uri: str, rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Column ``uri`` and columns of a job of the scored ones among ``rows`` (uri, etag; mask, mask_etag), sorted by URI."""
    keys = keys_of(rows)
    table = tables.dataset(table_uri)
    chosen = pc.field("uri").isin(rows["uri"].combine_chunks()) & (pc.field("state") == State.SCORED.value)
    with store.translated(table_uri):
        found = table.to_table(columns=[*keys, *columns], filter=chosen)
    current = pc.is_in(joined(found, keys), value_set=joined(rows, keys).combine_chunks())
    return found.filter(current).select(["uri", *columns]).sort_by("uri")


def keys_of(rows: pa.Table) -> list[str]:
    """The columns that name an input."""
    return [name for name in KEYS if name in rows.column_names]


def joined(rows: pa.Table, keys: Sequence[str]) -> pa.ChunkedArray:
    """What names each input, as one text."""
    return pc.binary_join_element_wise(*(rows[name] for name in keys), "\n")
