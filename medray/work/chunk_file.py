"""Chunk files: records of one length, one for each input, beside the shard of outcome rows, ready to be mapped.

``part-….samples`` holds the records of one shard's scored inputs, one after the other. In the table each input has the name of
its file, its place in it and the CRC-32 of its bytes, so that a reader finds out where a file is not what was written.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from medray.data import store
from medray.types import UInt8
from medray.work.blocks import MAX_BLOCK_ROWS

PLACE = [pa.field("chunk", pa.string()), pa.field("row", pa.int32()), pa.field("crc32", pa.int64())]
"""Where a record lies; null where the input has none."""

SUFFIX = ".samples"

_CHUNK_BYTES = 64 << 20


def placed(schema: Iterable[pa.Field]) -> pa.Schema:
    """The columns of the table where a job gives these: one of binary of a fixed length is kept in chunk files."""
    fields: list[pa.Field] = []
    for field in schema:
        fields += PLACE if pa.types.is_fixed_size_binary(field.type) else [field]
    return pa.schema(fields)


def most_rows(schema: pa.Schema) -> int:
    """How many rows a shard may have, so that its records are some 64 MiB at most."""
    widths = [field.type.byte_width for field in schema if pa.types.is_fixed_size_binary(field.type)]
    return max(1, _CHUNK_BYTES // sum(widths)) if any(widths) else MAX_BLOCK_ROWS


def set_apart(shard: pa.Table, uri: str) -> pa.Table:
    """Write the records of a shard into the chunk file of the shard at ``uri``; returns the shard with their places instead.

    Raises:
        StoreError
    """
    for index, field in enumerate(shard.schema):
        if pa.types.is_fixed_size_binary(field.type):
            return _set_apart(shard, index, uri.removesuffix(".parquet") + SUFFIX)
    return shard


def _set_apart(shard: pa.Table, index: int, uri: str) -> pa.Table:
    column = shard.column(index).combine_chunks()
    records = records_of(column.drop_null())
    if len(records):
        store.write(uri, records.tobytes())
    there = np.asarray(column.is_valid())
    rows, crcs = np.zeros((2, len(there)), np.int64)
    rows[there] = np.arange(len(records))
    crcs[there] = [zlib.crc32(record) for record in records]
    chunk = pa.array([uri.rsplit("/", 1)[-1]] * len(there), pa.string())
    places = [chunk, pa.array(rows, pa.int32()), pa.array(crcs)]
    missing = pa.array(~there)
    for offset, (field, values) in enumerate(zip(PLACE, places, strict=True)):
        values = pa.compute.if_else(missing, pa.scalar(None, field.type), values)
        shard = shard.add_column(index + 1 + offset, field, values)
    return shard.remove_column(index)


def records_of(column: pa.FixedSizeBinaryArray) -> UInt8:
    """The records of a column without nulls, uint8 (n, length), without a copy."""
    size = column.type.byte_width
    data = np.frombuffer(column.buffers()[1] or b"", np.uint8)
    return data[column.offset * size : (column.offset + len(column)) * size].reshape(len(column), size)
