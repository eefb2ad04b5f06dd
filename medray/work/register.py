"""Shards → rows of the table, in one commit: each input has one outcome in it, whatever other runs registered meanwhile."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from medray.data import store, tables
from medray.data.catalog import GONE
from medray.data.store import ObjectInfo
from medray.errors import StoreError
from medray.spec import fingerprint
from medray.types import State
from medray.work.shard_file import SHARD, checked, file_name, listed, shards_of
from medray.work.table import is_final, joined, keys_of

_TRIES, _PAUSE_S = 20, 0.2


class Finished:
    """The shards that an earlier start left unregistered.

    Attributes:
        sound: stem → shard that is what was written, by size and checksum, and in which nothing FAILED.
    """

    def __init__(self, table_uri: str, stems: Collection[str]) -> None:
        self._files = listed(table_uri) if stems else {}
        found = shards_of(stems, self._files)
        self._checked = checked(list(found.values()), self._files)
        self.sound = {stem: info for stem, info in found.items() if info in self._checked.sound}

    def with_new(self, table_uri: str, stems: Collection[str]) -> dict[str, ObjectInfo]:
        """All shards, those that were written since as well.

        Raises:
            StoreError: SHARDS_MISSING.
        """
        there = listed(table_uri)
        if gone := self._files.keys() - there.keys():
            message = f"{len(gone)} files of earlier starts were removed from {table_uri} while this run counted on them"
            raise StoreError("SHARDS_MISSING", message, "run again")
        files = {name: info for name, info in there.items() if info not in self._checked.cut}
        new = {name: info for name, info in files.items() if info not in self._checked.unusable}
        found = shards_of(stems, files) | shards_of(stems, new) | self.sound  # an unusable one may have been written once more
        if lost := len(stems) - len(found):
            message = f"{lost} of {len(stems)} shards that workers wrote are not at {table_uri}, or were cut"
            raise StoreError("SHARDS_MISSING", message, "on a cluster, output must be a place that every node reaches; run again")
        return found


def register(shards: Mapping[str, pa.Table], finished: Finished, table_uri: str) -> None:
    """Add the rows of shards to the table, in one commit; FAILED rows of the same inputs go.

    Inputs that another run has registered meanwhile keep the outcome that they have.

    Args:
        shards: stem → the inputs of each.

    Raises:
        StoreError: SHARDS_MISSING; TABLE_BUSY where others commit all the time.
    """
    if not shards:
        return
    files = finished.with_new(table_uri, shards.keys())
    _commit(table_uri, lambda change: change.add(shards, files))


def mark_gone(table_uri: str, codes: Sequence[str]) -> None:
    """Record what FAILED with one of these codes as ``OBJECT_GONE``, which stays, in one commit.

    Raises:
        StoreError: as :func:`register`.
    """
    _commit(table_uri, lambda change: change.mark_gone(codes))


def _commit(table_uri: str, fill: Callable[[_Change], None]) -> None:
    """Commit a change; where another run was faster, what it changes is looked up again."""
    for tries in range(1, _TRIES + 1):
        change = _Change(table_uri)
        fill(change)
        try:
            change.commit()
            return
        except StoreError as error:
            if error.code != "TABLE_BUSY" or tries == _TRIES:
                raise
        time.sleep(random.uniform(0, _PAUSE_S * tries))


@dataclass(frozen=True)
class _Recorded:
    """Rows that the table has of some inputs.

    Attributes:
        final: what names those with an outcome that stays.
        failed: names of files → what names those rows in it that are to go.
    """

    final: pa.Array
    failed: dict[str, pa.Array]


class _Change:
    """What one commit upon the newest version of the table takes in and out."""

    def __init__(self, uri: str) -> None:
        self._table, self._uri = tables.open_table(uri), store.normalise(uri)
        self._there = {str(file["path"]): int(file["size_bytes"]) for file in tables.files(self._table)}
        self._added: list[tuple[str, int, str]] = []
        self._removed: list[tuple[str, int]] = []

    def commit(self) -> None:
        """Raises StoreError TABLE_BUSY where the table is no longer the one that was read."""
        if self._added or self._removed:
            tables.swap(self._table, self._added, self._removed)

    def add(self, shards: Mapping[str, pa.Table], files: Mapping[str, ObjectInfo]) -> None:
        """Take in shards, those apart that are in the table already, without rows of inputs that have a final outcome."""
        new = {stem: block for stem, block in shards.items() if _name(files[stem]) not in self._there}
        if not new:
            return
        keys = keys_of(next(iter(new.values())))
        recorded = self._recorded(keys, pa.concat_tables([block.select(keys) for block in new.values()]))
        for stem, block in new.items():
            known = pc.is_in(joined(block, keys), value_set=recorded.final)
            if not pc.any(known).as_py():
                self._added.append((_name(files[stem]), files[stem].size, tables.count_only(len(block))))
            elif not pc.all(known).as_py():
                self._write(stem, self._without(_name(files[stem]), keys, recorded.final))
        for name, gone in recorded.failed.items():
            self._replace(name, self._without(name, keys, gone))

    def mark_gone(self, codes: Sequence[str]) -> None:
        """Put ``OBJECT_GONE`` in place of these codes of FAILED inputs."""
        lost = pa.array(codes, pa.string())
        found = self._found(["__filename"], (pc.field("state") == State.FAILED.value) & pc.field("code").isin(lost))
        for name in dict.fromkeys(_file_names(found)):
            rows = self._read(name)
            is_lost = pc.and_(pc.equal(rows["state"], State.FAILED.value), pc.is_in(rows["code"], value_set=lost))
            marked = pc.if_else(is_lost, GONE, rows["code"])
            self._replace(name, rows.set_column(rows.column_names.index("code"), rows.schema.field("code"), marked))

    def _recorded(self, keys: list[str], inputs: pa.Table) -> _Recorded:
        none = pa.array([], pa.string())
        if not self._there:
            return _Recorded(none, {})
        among = pc.field("uri").isin(inputs["uri"].combine_chunks())
        found = self._found([*keys, "state", "code", "__filename"], among)
        found = found.filter(pc.is_in(joined(found, keys), value_set=joined(inputs, keys).combine_chunks()))
        names, final = joined(found, keys), is_final(found)
        found = pa.table({"name": names, "final": final, "file": pa.array(_file_names(found), pa.string())})
        stays = found.filter(found["final"])["name"].combine_chunks()
        goes = found.filter(pc.invert(pc.is_in(found["name"], value_set=stays)))
        failed = {name: goes.filter(pc.equal(goes["file"], name))["name"] for name in dict.fromkeys(goes["file"].to_pylist())}
        return _Recorded(stays, {name: rows.combine_chunks() for name, rows in failed.items()})

    def _found(self, columns: list[str], where: pc.Expression) -> pa.Table:
        with tables.readable(self._uri):
            return tables.dataset(self._uri, int(self._table.version())).to_table(columns=columns, filter=where)

    def _without(self, name: str, keys: list[str], gone: pa.Array) -> pa.Table:
        """The rows of a file but those."""
        rows = self._read(name)
        return rows.filter(pc.invert(pc.is_in(joined(rows, keys), value_set=gone)))

    def _read(self, name: str) -> pa.Table:
        data = store.read(store.join(self._uri, name))
        with tables.readable(self._uri):
            return pq.ParquetFile(pa.BufferReader(data)).read()

    def _replace(self, name: str, rows: pa.Table) -> None:
        """Take in rows, if there are any, in place of a file."""
        self._removed.append((name, self._there[name]))
        self._write(f"part-{self._table.version():05d}-{fingerprint(name)}", rows)

    def _write(self, stem: str, rows: pa.Table) -> None:
        """Take in rows as a file of their own, if there are any."""
        if len(rows):
            data = tables.parquet_bytes(rows)
            name = file_name(stem, data, SHARD)
            store.write(store.join(self._uri, name), data)
            self._added.append((name, len(data), tables.count_only(len(rows))))


def _file_names(found: pa.Table) -> list[str]:
    """Of rows with ``__filename``: the name of the file of each."""
    return [str(name).rsplit("/", 1)[-1] for name in found["__filename"].to_pylist()]


def _name(info: ObjectInfo) -> str:
    return info.uri.rsplit("/", 1)[-1]
