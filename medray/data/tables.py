"""Delta Lake tables on any store: open, append, replace and swap files; each an atomic commit."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable as DeltaTable
from deltalake import write_deltalake
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, CommitProperties, RemoveAction
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from medray.data import store
from medray.errors import StoreError

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset  # importing it takes as long as all the rest of this layer

_DIGEST_ROWS = 1 << 16


def is_table(uri: str) -> bool:
    """Whether there is a Delta table at ``uri``."""
    uri = store.normalise(uri)
    with store.translated(uri):
        return bool(DeltaTable.is_deltatable(uri, storage_options=store.delta_options(uri)))


def open_table(uri: str, version: int | None = None) -> DeltaTable:
    """The table, at a version or the newest.

    Raises:
        StoreError: TABLE_NOT_FOUND, TABLE_VERSION, …
    """
    uri = store.normalise(uri)
    if not is_table(uri):
        raise StoreError("TABLE_NOT_FOUND", f"there is no table at {uri}", "check the path, or make it first")
    with store.translated(uri):
        newest = DeltaTable(uri, storage_options=store.delta_options(uri))
        if version is None or version == newest.version():
            return newest
        if not 0 <= version < newest.version():
            message = f"{uri} has the versions 0 to {newest.version()}, not {version}"
            raise StoreError("TABLE_VERSION", message, "name one of them")
        return DeltaTable(uri, version=version, storage_options=store.delta_options(uri))


@contextmanager
def readable(uri: str) -> Iterator[None]:
    """Turn what is raised on reading the files of a table into a StoreError: TABLE_BROKEN, …"""
    with store.translated(uri):
        try:
            yield
        except pa.ArrowInvalid as error:
            raise StoreError("TABLE_BROKEN", f"a file of the table {uri} is broken", "restore it, or make a new one") from error


def schema(table: DeltaTable) -> pa.Schema:
    """The columns of a table with their metadata, as Arrow has them."""
    return pa.schema(table.schema().to_arrow())


def read_table(uri: str, version: int | None = None, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a table as Arrow; the order of rows is not defined."""
    found = dataset(uri, version)
    with readable(uri):
        return found.to_table(columns=list(columns) if columns is not None else None)


def dataset(uri: str, version: int | None = None) -> Dataset:
    """The rows of a table as an Arrow dataset, which reads what a query needs.

    Arrow reads a local table by itself. Through Python, its threads may let go of a file when the interpreter is ending
    already, and that aborts the process.
    """
    table, path = open_table(uri, version), store.normalise(uri)
    local = None if "://" in path else SubTreeFileSystem(path, LocalFileSystem())
    with store.translated(uri):
        return table.to_pyarrow_dataset(filesystem=local)


def create(uri: str, schema: pa.Schema) -> None:
    """Make an empty table, unless there is one.

    Of two that make it at once one does. Tried again, the commit of the other would put its columns, and what they are marked
    with, over those of the first.
    """
    uri = store.normalise(uri)
    once, options = CommitProperties(max_commit_retries=0), store.delta_options(uri)
    with store.translated(uri):
        try:
            DeltaTable.create(uri, schema, mode="ignore", storage_options=options, commit_properties=once)
        except CommitFailedError:  # another writer was faster
            if not is_table(uri):
                raise


def append(uri: str, rows: pa.Table) -> None:
    """Add rows, making the table if need be; columns that it lacks are added, null in its rows."""
    uri = store.normalise(uri)
    with store.translated(uri):
        write_deltalake(uri, rows, mode="append", schema_mode="merge", storage_options=store.delta_options(uri))


def append_next(table: DeltaTable, rows: pa.Table) -> None:
    """Add rows, and columns that the table lacks, in one commit right after the version that ``table`` holds.

    Raises:
        StoreError: TABLE_BUSY when another writer has made a newer version: read it, and decide again.
    """
    uri = table.table_uri
    before = table.version()
    with store.translated(uri), _unless_busy(uri):
        write_deltalake(table, rows, mode="append", schema_mode="merge", commit_properties=CommitProperties(max_commit_retries=0))
    _sync(uri, before)


@contextmanager
def _unless_busy(uri: str) -> Iterator[None]:
    try:
        yield
    except CommitFailedError as error:
        hint = "wait until it has ended, then run again"
        raise StoreError("TABLE_BUSY", f"another run writes to {uri}", hint, retryable=True) from error


def replace(uri: str, rows: pa.Table) -> None:
    """Make ``rows`` the whole content of the table; older versions stay readable."""
    uri = store.normalise(uri)
    before = open_table(uri).version() if is_table(uri) else -1
    with store.translated(uri):
        write_deltalake(uri, rows, mode="overwrite", schema_mode="overwrite", storage_options=store.delta_options(uri))
    _sync(uri, before)


def remove(uri: str, keys: pa.Table) -> None:
    """Take out the rows that agree with a row of ``keys`` in all its columns."""
    uri = store.normalise(uri)
    agree = " AND ".join(f"rows.{name} = keys.{name}" for name in keys.column_names)
    table = open_table(uri)
    before = table.version()
    with store.translated(uri):
        table.merge(keys, agree, source_alias="keys", target_alias="rows").when_matched_delete().execute()
    _sync(uri, before)


def parquet_bytes(rows: pa.Table) -> bytes:
    """The rows as one Parquet file; equal rows give equal bytes."""
    sink = io.BytesIO()
    pq.write_table(rows, sink, compression="zstd")
    return sink.getvalue()


def named_files(uri: str) -> set[str]:
    """Names of the files that any version of the table names, or has named as far as its log goes back.

    Raises:
        StoreError: TABLE_BROKEN.
    """
    log = store.join(uri, "_delta_log")
    names = [name for name in store.names(log) if name.endswith((".json", ".parquet"))]
    found: set[str] = set()
    for name, data in zip(names, store.read_many([store.join(log, name) for name in names]), strict=True):
        if not isinstance(data, bytes):
            raise data
        try:
            found |= _checkpointed(data) if name.endswith(".parquet") else _committed(data)
        except ValueError as error:  # of Arrow and of JSON
            raise StoreError("TABLE_BROKEN", f"{name} of the table {uri} is broken", "restore it, or make a new one") from error
    return found | {unquote(name) for name in found}


def _committed(log: bytes, kinds: Sequence[str] = ("add", "remove")) -> set[str]:
    actions = [json.loads(line) for line in log.splitlines() if line]
    return {action[kind]["path"] for action in actions for kind in kinds if kind in action}


def _checkpointed(data: bytes) -> set[str]:
    rows = pq.ParquetFile(pa.BufferReader(data)).read(columns=["add.path", "remove.path"]).to_pylist()
    return {found["path"] for row in rows for found in (row.get("add"), row.get("remove")) if found and found["path"]}


def files(table: DeltaTable) -> list[dict[str, Any]]:
    """The Parquet files of a table: ``path``, ``size_bytes``, and ``min.COLUMN`` and ``max.COLUMN`` where known."""
    return list(pa.table(table.get_add_actions(flatten=True)).to_pylist())


def swap(table: DeltaTable, added: Sequence[tuple[str, int, str]], removed: Sequence[tuple[str, int]]) -> None:
    """Put Parquet files that already lie under the table in place of others, in one commit on the version that ``table`` holds.

    Args:
        table: moves on to the new version.
        added: (file name, size in bytes, statistics: :func:`statistics`, or :func:`count_only`) of each new file.
        removed: (file name, size in bytes) of each file that goes.

    Raises:
        StoreError: TABLE_BUSY when another writer has made a newer version.
    """
    uri, before = table.table_uri, table.version()
    stale = int(time.time() * 1000)
    actions: list[AddAction | RemoveAction] = [AddAction(name, size, {}, stale, True, stats) for name, size, stats in added]
    actions += [RemoveAction(name, True, stale, size, {}) for name, size in removed]
    with store.translated(uri):
        store.sync(_folder(uri))
        with _unless_busy(uri):
            table.create_write_transaction(
                actions, mode="append", schema=table.schema(), commit_properties=CommitProperties(max_commit_retries=0)
            )
        _sync(uri, before, before + 1)
        table.update_incremental()


def _folder(uri: str) -> str:
    """The path or URI of a table, as :attr:`DeltaTable.table_uri` has it or as we write it."""
    return store.normalise(unquote(uri) if uri.startswith("file://") else uri)


def _sync(uri: str, after: int, last: int | None = None) -> None:
    """On a local disk, wait until commits, and the files that they add, are on it.

    Args:
        uri: of a table, also as :attr:`DeltaTable.table_uri` has it.
        after, last: of the versions after that one, up to this or the newest.

    Raises:
        StoreError
    """
    folder = _folder(uri)
    if "://" in folder:
        return
    log, last = store.join(folder, "_delta_log"), last or int(open_table(folder).version())
    for name in (f"{version:020}.json" for version in range(after + 1, last + 1)):
        for added in _committed(store.read(store.join(log, name)), ("add",)):
            store.sync(store.join(folder, unquote(added)))
        store.sync(store.join(log, name))
    store.sync(folder)
    store.sync(log)


def statistics(rows: pa.Table) -> str:
    """The statistics of a file of these rows as the Delta log keeps them, of every plain column.

    All columns: deltalake 1.6 takes one without bounds beside one that has some for a column of nulls, and finds nothing in it.
    """
    low, high, nulls = {}, {}, {}
    for name in rows.column_names:
        values = rows[name]
        if pa.types.is_nested(values.type):
            continue
        nulls[name] = values.null_count
        if pa.types.is_floating(values.type):
            values = values.filter(pc.is_finite(values))
        bounds = pc.min_max(values).as_py()
        if bounds["min"] is not None:
            low[name], high[name] = bounds["min"], bounds["max"]
    return json.dumps({"numRecords": len(rows), "minValues": low, "maxValues": high, "nullCount": nulls})


def count_only(rows: int) -> str:
    """The statistics of a file of which no more than the number of rows is told."""
    return json.dumps({"numRecords": rows})


def table_digest(table: pa.Table) -> str:
    """sha256 of a table's columns, in hex: of their names, and of their values as text, those of lists beside their lengths."""
    digest = hashlib.sha256()
    for name in table.column_names:
        digest.update(f"{name}\0".encode())
        column = table[name]
        if pa.types.is_list(column.type):
            _digest_values(digest, pc.list_value_length(column))
            column = pc.list_flatten(column)
        _digest_values(digest, column)
    return digest.hexdigest()


def _digest_values(digest: hashlib._Hash, values: pa.ChunkedArray) -> None:
    texts = pc.fill_null(values.cast(pa.string()), "\1")
    for start in range(0, len(texts), _DIGEST_ROWS):
        part = texts.slice(start, _DIGEST_ROWS).combine_chunks()
        whole = pa.ListArray.from_arrays(pa.array([0, len(part)], pa.int32()), part)
        digest.update(pc.binary_join(whole, "\0")[0].as_buffer())
        digest.update(b"\0")
