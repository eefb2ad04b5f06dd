"""Chunk files: records of one length, one for each input, beside the shard of outcome rows, ready to be mapped.

``part-….samples`` (see :mod:`medray.work.shard_file`) holds the records of one shard's scored inputs, one after the other. In the
table each input has the name of its file, its place in it and the CRC-32 of its bytes, so that a reader finds out where a file is
not what was written.
"""

from __future__ import annotations

import zlib

import numpy as np
import pyarrow as pa

from medray.data import store
from medray.types import UInt8
from medray.work.blocks import MAX_BLOCK_ROWS
from medray.work.shard_file import SAMPLES, file_name

PLACE = [pa.field("chunk", pa.string()), pa.field("row", pa.int32()), pa.field("crc32", pa.int64())]
"""Where a record lies; null where the input has none."""

_CHUNK_BYTES = 64 << 20


def placed(schema: pa.Schema) -> pa.Schema:
    """The columns of the table where a job gives these: the one of binary of a fixed length is kept in chunk files."""
    index = _records_column(schema)
    return schema if index is None else pa.schema([*list(schema)[:index], *PLACE, *list(schema)[index + 1 :]])


def most_rows(schema: pa.Schema) -> int:
    """How many rows a shard may have, so that its records are some 64 MiB at most."""
    index = _records_column(schema)
    return MAX_BLOCK_ROWS if index is None else max(1, _CHUNK_BYTES // schema.field(index).type.byte_width)


def set_apart(shard: pa.Table, table_uri: str, stem: str) -> pa.Table:
    """Write the records of a shard into a chunk file under ``table_uri``; returns the shard with their places instead.

    Args:
        stem: what the name of the file starts with, as that of the shard.

    Raises:
        StoreError
    """
    index = _records_column(shard.schema)
    if index is None:
        return shard
    column = shard.column(index).combine_chunks()
    records = _records(column.drop_null())
    data = records.tobytes()
    name = file_name(stem, data, SAMPLES)
    if data:
        store.write(store.join(table_uri, name), data)
    there = np.asarray(column.is_valid())
    rows, crcs = np.zeros((2, len(there)), np.int64)
    rows[there] = np.arange(len(records))
    crcs[there] = [zlib.crc32(record) for record in records]
    names = np.full(len(there), name, object)
    places = [pa.array(values, field.type, mask=~there) for field, values in zip(PLACE, (names, rows, crcs), strict=True)]
    columns = shard.columns
    return pa.Table.from_arrays([*columns[:index], *places, *columns[index + 1 :]], schema=placed(shard.schema))


def _records_column(schema: pa.Schema) -> int | None:
    """Which column holds records, if one does."""
    return next((index for index, field in enumerate(schema) if pa.types.is_fixed_size_binary(field.type)), None)


def _records(column: pa.FixedSizeBinaryArray) -> UInt8:
    """The records of a column without nulls, uint8 (n, length), without a copy."""
    size = column.type.byte_width
    data = np.frombuffer(column.buffers()[1] or b"", np.uint8)
    return data[column.offset * size : (column.offset + len(column)) * size].reshape(len(column), size)
