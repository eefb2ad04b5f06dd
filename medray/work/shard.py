"""Blocks of inputs → shards of outcome rows: fetch, decode, compute and write, all in one process; no pixel leaves it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import cached_property

import pyarrow as pa

from medray.data import store, tables
from medray.data.pseudonym import Key, using
from medray.work.blocks import chunks
from medray.work.chunk_file import set_apart
from medray.work.job import ImageJob
from medray.work.outcome import Row, fetch, table_of
from medray.work.shard_file import SHARD, file_name
from medray.work.table import schema_of

CALLS = 3
"""Blocks that a process works on at a time: one computes while the others fetch."""


def named(shards: Mapping[str, pa.Table]) -> list[pa.Table]:
    """The blocks of shards, each with the stem of its shard in a column ``shard``."""
    return [block.append_column("shard", pa.array([name] * len(block), pa.string())) for name, block in shards.items()]


class ShardWriter:
    """Holds an opened job; turns a block of object rows into a shard of outcome rows."""

    def __init__(self, job: ImageJob, table_uri: str) -> None:
        import cv2

        cv2.setNumThreads(1)
        self._job = job
        self._work = job.open()
        self._table_uri = table_uri
        self._computing = threading.Lock()

    @cached_property
    def _key(self) -> Key | None:
        """Opened with the first block: what goes wrong with a block reaches the driver as it is."""
        return None if self._job.pseudonyms is None else self._job.pseudonyms.open()

    def write(self, block: pa.Table) -> int:
        """Write the shard of a block of :func:`named`; returns the number of its inputs."""
        schema = schema_of(self._job, block.schema)
        rows: list[Row] = block.to_pylist()
        shard = pa.concat_tables([self._chunk(chunk, schema) for chunk in chunks(rows)]).combine_chunks()
        stem = rows[0]["shard"]
        data = tables.parquet_bytes(set_apart(shard, self._table_uri, stem))
        store.write(store.join(self._table_uri, file_name(stem, data, SHARD)), data)
        return len(rows)

    def __call__(self, block: pa.Table) -> pa.Table:
        """:meth:`write` as Ray Data calls it."""
        return pa.table({"done": [self.write(block)]})

    def _chunk(self, rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
        fetched = fetch(rows, self._job.volumes)
        with self._computing, using(self._key):
            return table_of(rows, fetched, self._job, self._work, schema)
