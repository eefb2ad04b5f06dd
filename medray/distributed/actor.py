"""The actor of every stage that reads images: it fetches, decodes, computes and writes for itself; no pixel crosses Ray."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pyarrow as pa

from medray.data import store, tables
from medray.work.blocks import chunks
from medray.work.job import ImageJob
from medray.work.outcome import MASK, OUTCOME, STACK, Row, fetch, table_of

CALLS = 3
"""Calls that run in an actor at a time: one computes while the others fetch."""


def schema_of(job: ImageJob, inputs: pa.Schema) -> pa.Schema:
    """Columns of the table that a job makes of inputs."""
    return pa.schema([*OUTCOME, *(field for field in (*STACK, *MASK) if field.name in inputs.names), *job.fields()])


class BlockActor:
    """Holds an opened job; turns a block of object rows into a shard of outcome rows."""

    def __init__(self, job: ImageJob, table_uri: str) -> None:
        import cv2

        cv2.setNumThreads(1)
        self._job = job
        self._work = job.open()
        self._table_uri = table_uri
        self._computing = threading.Lock()

    def __call__(self, block: pa.Table) -> pa.Table:
        """Write the shard of a block; its name is in the column ``shard``."""
        schema = schema_of(self._job, block.schema)
        rows: list[Row] = block.to_pylist()
        shard = pa.concat_tables([self._chunk(chunk, schema) for chunk in chunks(rows)]).combine_chunks()
        store.write(store.join(self._table_uri, rows[0]["shard"]), tables.parquet_bytes(shard))
        return pa.table({"done": [len(rows)]})

    def _chunk(self, rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
        fetched = fetch(rows, self._job.volumes)
        with self._computing:
            return table_of(rows, fetched, self._work, schema, self._job.volumes, self._job.choice)
