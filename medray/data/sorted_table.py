"""A Delta table in files sorted by a key: a range of keys is read or replaced without touching the rest."""

from __future__ import annotations

import uuid
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from medray.data import store, tables
from medray.data.key_record import require_one_key
from medray.errors import StoreError

MAX_ROWS_PER_FILE = 20_000
MAX_FILES_OVER_A_KEY = 8
"""More files than that over the keys of a change are merged with it, or ten years of nights would make ten thousand of them."""

_LAST = "\U0010ffff"


@dataclass(frozen=True)
class _DataFile:
    """One Parquet file; every key in it is between ``low`` and ``high``."""

    name: str
    size_bytes: int
    low: str
    high: str


class SortedTable:
    """The table at a URI, made by the first change.

    A change is one commit upon the version that was read, so that of two writers one is refused. Memory holds the list of files
    and the rows of those that a call touches.

    Args:
        schema: every column; all rows have the key, a text. Where it is marked with the key of pseudonyms (see
            :mod:`medray.data.key_record`), so is the table, and one of another key is refused: ConfigError PSEUDONYM_KEYS.
        key: column that the files are sorted by.
        then: column that orders rows of equal keys.
    """

    def __init__(self, uri: str, schema: pa.Schema, key: str, then: str) -> None:
        self.uri, self.schema, self.key, self.then = store.normalise(uri), schema, key, then
        self._table = tables.open_table(self.uri) if tables.is_table(self.uri) else None
        self._files = self._listed()

    def _listed(self) -> list[_DataFile]:
        if self._table is None:
            return []
        if {field.name for field in self._table.schema().fields} != set(self.schema.names):
            raise StoreError("TABLE_FORMAT", f"{self.uri} was made by another version of medray", "make a new one elsewhere")
        require_one_key(tables.schema(self._table), self.schema, f"{self.uri} and of what would be added")
        return [
            _DataFile(file["path"], file["size_bytes"], file.get(f"min.{self.key}") or "", file.get(f"max.{self.key}") or _LAST)
            for file in tables.files(self._table)
        ]

    def between(self, start: str, end: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows with start <= key < end, in no order.

        Raises:
            StoreError
        """
        names = list(columns or self.schema.names)
        parts = [self._read(file, names) for file in self._files if file.low < end and file.high >= start]
        rows = pa.concat_tables([self._schema(names).empty_table(), *parts])
        return rows.filter(pc.and_(pc.greater_equal(rows[self.key], start), pc.less(rows[self.key], end)))

    def scan(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """All rows, file by file.

        Raises:
            StoreError
        """
        return (self._read(file, columns) for file in self._files)

    def replace(self, rows: pa.Table, keys: Collection[str]) -> None:
        """Drop every row of these keys and add ``rows``, in one commit.

        Raises:
            StoreError: TABLE_BUSY when another writer was faster.
        """
        ordered, values = sorted(keys), pa.array(list(keys), pa.string())
        crowded = self._crowded(rows)
        removed, parts = [], [rows.select(self.schema.names)]
        for file in self._files:
            if file in crowded or _any_between(ordered, file.low, file.high):
                content = self._read(file, self.schema.names)
                kept = content.filter(pc.invert(pc.is_in(content[self.key], value_set=values)))
                if file in crowded or len(kept) < len(content):
                    removed.append(file)
                    parts.append(kept)
        self._commit(self._written(pa.concat_tables(parts)), removed)

    def _crowded(self, rows: pa.Table) -> list[_DataFile]:
        """Files to merge with new rows, where too many of them cover the same keys."""
        bounds = pc.min_max(rows[self.key]).as_py()
        low, high = bounds["min"] or "", bounds["max"] or ""
        over = [file for file in self._files if file.low <= high and file.high >= low]
        return over if len(over) > MAX_FILES_OVER_A_KEY else []

    def rewrite(self, change: Callable[[pa.Table], pa.Table | None]) -> None:
        """Put ``change(content)`` in place of the content of each file where it is not None, in one commit if there is any.

        Raises:
            StoreError: TABLE_BUSY when another writer was faster.
        """
        removed, added = [], []
        for file in self._files:
            changed = change(self._read(file, self.schema.names))
            if changed is not None:
                removed.append(file)
                added += self._written(changed)
        if removed:
            self._commit(added, removed)

    def _read(self, file: _DataFile, names: Sequence[str]) -> pa.Table:
        data = store.read(store.join(self.uri, file.name))
        with tables.readable(self.uri):
            rows = pq.ParquetFile(pa.BufferReader(data)).read(columns=list(names))
        return rows.select(list(names)).cast(self._schema(names))

    def _schema(self, names: Sequence[str]) -> pa.Schema:
        return pa.schema([self.schema.field(name) for name in names])

    def _written(self, rows: pa.Table) -> list[tuple[_DataFile, str]]:
        """Write rows as new files that are in no version yet; returns each with its statistics."""
        rows = rows.sort_by([(self.key, "ascending"), (self.then, "ascending")])
        return [self._write(rows.slice(start, MAX_ROWS_PER_FILE)) for start in range(0, len(rows), MAX_ROWS_PER_FILE)]

    def _write(self, rows: pa.Table) -> tuple[_DataFile, str]:
        name, data = f"part-{uuid.uuid4().hex}.parquet", tables.parquet_bytes(rows)
        store.write(store.join(self.uri, name), data)
        return _DataFile(name, len(data), rows[self.key][0].as_py(), rows[self.key][-1].as_py()), tables.statistics(rows)

    def _commit(self, added: list[tuple[_DataFile, str]], removed: list[_DataFile]) -> None:
        if self._table is None:
            tables.create(self.uri, self.schema)
            self._table = tables.open_table(self.uri, 0)  # the empty one that was read: another writer may have been faster
            require_one_key(tables.schema(self._table), self.schema, f"{self.uri} and of what would be added")
        tables.swap(
            self._table,
            [(file.name, file.size_bytes, stats) for file, stats in added],
            [(file.name, file.size_bytes) for file in removed],
        )
        self._files = [file for file in self._files if file not in removed] + [file for file, *_ in added]


def _any_between(ordered: Sequence[str], low: str, high: str) -> bool:
    at = bisect_left(ordered, low)
    return at < len(ordered) and ordered[at] <= high
