"""How inputs are shared out: blocks of about the same number of bytes, made of the rows alone and never of who computes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from medray.distributed.outcome import KEYS, Row
from medray.spec import fingerprint

MIN_BLOCKS = 64
MAX_BLOCK_ROWS, MAX_BLOCK_BYTES = 256, 128 << 20
MAX_CHUNK_ROWS, MAX_CHUNK_BYTES = 64, 16 << 20
_OVERHEAD_BYTES = 32 << 10  # an object costs time, however small it is
_USUAL_BYTES = 256 << 10  # of an object of unknown size


def shards(rows: pa.Table, generation: int) -> dict[str, pa.Table]:
    """Shard name → block of rows, the largest first, so that no large object is left to the end while other actors idle.

    There are at least 64 blocks where there are rows enough: cores share small inputs, and a restart loses little. A block ends
    before it exceeds 256 rows, 128 MiB or a 64th of everything, so that a large object has one of its own.

    Args:
        rows: sorted by URI, with the columns of :data:`KEYS` that there are, and ``size_bytes`` where it is known.
        generation: tells the shards of this run from those registered before.
    """
    known = rows["size_bytes"].to_pylist() if "size_bytes" in rows.column_names else [None] * len(rows)
    sizes = [_weight(size) for size in known]
    limit_bytes = min(MAX_BLOCK_BYTES, max(sum(sizes) // MIN_BLOCKS, 1))
    limit_rows = max(1, min(MAX_BLOCK_ROWS, len(rows) // MIN_BLOCKS))
    spans = sorted(_spans(sizes, limit_rows, limit_bytes), key=lambda span: (-sum(sizes[span.start : span.stop]), span.start))
    blocks = [rows.slice(span.start, span.stop - span.start).combine_chunks() for span in spans]
    return {f"part-{generation:05d}-{_name(block)}.parquet": block for block in blocks}


def chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows of a block in parts that are fetched together: at most 64, or 16 MiB."""
    for span in _spans([_weight(row.get("size_bytes")) for row in rows], MAX_CHUNK_ROWS, MAX_CHUNK_BYTES):
        yield rows[span]


def _weight(size: int | None) -> int:
    return _OVERHEAD_BYTES + (_USUAL_BYTES if size is None or size < 0 else size)


def _spans(sizes: Sequence[int], limit_rows: int, limit_bytes: int) -> list[slice]:
    """Consecutive items up to a number and a sum; one that is larger stands alone."""
    spans, start, total = [], 0, 0
    for index, size in enumerate(sizes):
        if index > start and (index - start >= limit_rows or total + size > limit_bytes):
            spans.append(slice(start, index))
            start, total = index, 0
        total += size
    return [*spans, slice(start, len(sizes))] if len(sizes) else []


def _name(block: pa.Table) -> str:
    return fingerprint(block.select([name for name in KEYS if name in block.column_names]).to_pydict())
