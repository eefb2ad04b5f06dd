"""How inputs are shared out: blocks of about equal bytes, made from the rows alone, for any number of actors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from medray.spec import fingerprint
from medray.work.outcome import KEYS, Row

MIN_BLOCKS = 64
MAX_BLOCK_ROWS, MAX_BLOCK_BYTES = 256, 128 << 20
MAX_CHUNK_ROWS, MAX_CHUNK_BYTES = 64, 16 << 20
LAST_SHARE, LAST_PARTS = 8, 4
PROCESS_ROWS, PROCESS_BYTES = 64, 8 << 20
_OVERHEAD_BYTES = 32 << 10  # an object costs time, however small it is
_USUAL_BYTES = 256 << 10  # of an object of unknown size


def shards(rows: pa.Table, generation: int, least: int = 1, most: int = MAX_BLOCK_ROWS) -> dict[str, pa.Table]:
    """Stem of a shard → block of rows, the largest first, so that no large object is left to the end while other actors idle.

    There are at least 64 blocks where there are rows, or batches, enough: cores share small inputs, and a restart loses little.
    A block ends before it exceeds 256 rows, 128 MiB or a 64th of everything, so that a large object has one of its own. The last
    eighth is in blocks of a quarter of that size, which come last and let all actors end at about the same time.

    Args:
        rows: sorted by URI, with the columns of :data:`KEYS` that there are, and ``size_bytes`` where it is known.
        generation: tells the shards of this run from those registered before.
        least: rows of about equal sizes that a block has at least.
        most: rows that it has at most.
    """
    sizes = _sizes(rows)
    parts = max(1, min(MIN_BLOCKS, len(rows) // least))
    limit_bytes = min(MAX_BLOCK_BYTES, max(sum(sizes) // parts, 1))
    limit_rows = min(most, max(least, min(MAX_BLOCK_ROWS, len(rows) // parts)))
    last_rows = min(most, max(least, limit_rows // LAST_PARTS))
    first = _spans(sizes[: len(sizes) - len(sizes) // LAST_SHARE], limit_rows, limit_bytes)
    start = first[-1].stop if first else 0
    rest = _spans(sizes, last_rows, limit_bytes * last_rows // limit_rows, start)
    spans = sorted([*first, *rest], key=lambda span: (-sum(sizes[span.start : span.stop]), span.start))
    blocks = [rows.slice(span.start, span.stop - span.start).combine_chunks() for span in spans]
    return {f"part-{generation:05d}-{_name(block)}": block for block in blocks}


def chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows of a block in parts that are fetched together: at most 64, or 16 MiB."""
    for span in _spans([_weight(row.get("size_bytes")) for row in rows], MAX_CHUNK_ROWS, MAX_CHUNK_BYTES):
        yield rows[span]


def useful_processes(inputs: Iterable[pa.Table]) -> int:
    """How many processes are worth their start: one for every 64 inputs, or every 8 MiB.

    Args:
        inputs: blocks of rows, as of :func:`shards`.
    """
    count, size_bytes = size_of(inputs)
    return max(1, math.ceil(count / PROCESS_ROWS), math.ceil(size_bytes / PROCESS_BYTES))


def size_of(inputs: Iterable[pa.Table]) -> tuple[int, int]:
    """Number of inputs of blocks, and about how many bytes they have."""
    sizes = [size for block in inputs for size in _sizes(block)]
    return len(sizes), sum(sizes)


def _sizes(rows: pa.Table) -> list[int]:
    known = rows["size_bytes"].to_pylist() if "size_bytes" in rows.column_names else [None] * len(rows)
    return [_weight(size) for size in known]


def _weight(size: int | None) -> int:
    return _OVERHEAD_BYTES + (_USUAL_BYTES if size is None or size < 0 else size)


def _spans(sizes: Sequence[int], limit_rows: int, limit_bytes: int, start: int = 0) -> list[slice]:
    """Consecutive items, from ``start`` on, up to a number and a sum; one that is larger stands alone."""
    spans, total = [], 0
    for index, size in enumerate(sizes[start:], start):
        if index > start and (index - start >= limit_rows or total + size > limit_bytes):
            spans.append(slice(start, index))
            start, total = index, 0
        total += size
    return [*spans, slice(start, len(sizes))] if start < len(sizes) else spans


def _name(block: pa.Table) -> str:
    return fingerprint(block.select([name for name in KEYS if name in block.column_names]).to_pydict())
