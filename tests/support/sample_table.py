"""A table of prepared samples without images: records in chunk files, and the rows that say where they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from medray.data import store, tables
from medray.types import Float32, State
from medray.work.chunk_file import placed, set_apart
from medray.work.outcome import OUTCOME
from medray.work.record import Record


@dataclass(frozen=True)
class SampleTable:
    """What :func:`written` wrote.

    Attributes:
        uri: the table's.
        rows: ``uri`` and ``etag`` of each sample.
        record: how one lies.
        x: the samples, float32 (n, …).
    """

    uri: str
    rows: pa.Table
    record: Record
    x: Float32


def written(uri: str, x: Float32, per_file: int, dtype: str = "float32") -> SampleTable:
    """Write samples, some of them into each file; every seventh row is of an input without a sample.

    Args:
        x: float32 (n, …), as they come back.
    """
    record = Record(dtype, x.shape[1:])
    schema = pa.schema([*OUTCOME, pa.field("sample", pa.binary(record.size))])
    tables.create(uri, placed(schema))
    shards = []
    for start in range(0, len(x), per_file):
        shard = _shard(range(start, min(start + per_file, len(x))), x, record, schema)
        name = f"part-{start:07d}.parquet"
        data = tables.parquet_bytes(set_apart(shard, uri, f"part-{start:07d}"))
        store.write(store.join(uri, name), data)
        shards.append((name, len(data), tables.count_only(len(shard))))
    tables.swap(tables.open_table(uri), shards, [])
    names = [f"image-{index:07d}" for index in range(len(x))]
    return SampleTable(uri, pa.table({"uri": names, "etag": ["1"] * len(names)}), record, x)


def _shard(indices: range, x: Float32, record: Record, schema: pa.Schema) -> pa.Table:
    rows = []
    for index in indices:
        outcome: dict[str, object] = {
            **dict.fromkeys((field.name for field in OUTCOME), ""),
            "uri": f"image-{index:07d}",
            "etag": "1",
        }
        if index % 7 == 3:
            rows.append({**outcome, "uri": f"bad-{index}", "state": State.EXCLUDED.value, "sample": None})
        kept = x[index].astype(np.dtype(record.dtype))
        rows.append({**outcome, "state": State.SCORED.value, "sample": record.packed(kept)})
    return pa.Table.from_pylist(rows, schema=schema)
