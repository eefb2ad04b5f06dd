"""The local executor: blocks of inputs in this process, or in several of this machine, without Ray."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial

import pyarrow as pa

from medray.work.job import ImageJob
from medray.work.pool import in_processes
from medray.work.process import RunBlocks
from medray.work.shard import CALLS, ShardWriter, named

_BLOCKS = 2 * CALLS
"""Blocks that a process gets at a time."""


def on_this_machine(processes: int = 1) -> RunBlocks:
    """Runs blocks in that many processes: 1 is this one."""
    return _here if processes == 1 else partial(_spawned, processes=processes)


def _here(shards: Mapping[str, pa.Table], job: ImageJob, table_uri: str) -> Iterator[int]:
    import cv2

    threads = cv2.getNumThreads()
    try:
        yield from _written(ShardWriter(job, table_uri), named(shards))
    finally:
        cv2.setNumThreads(threads)


def _written(writer: ShardWriter, blocks: Sequence[pa.Table]) -> Iterator[int]:
    """The number of inputs of each block, as they are finished; one computes while others are fetched."""
    threads = ThreadPoolExecutor(CALLS)
    try:
        for future in as_completed([threads.submit(writer.write, block) for block in blocks]):
            yield future.result()
    finally:
        threads.shutdown(cancel_futures=True)


def _spawned(shards: Mapping[str, pa.Table], job: ImageJob, table_uri: str, processes: int) -> Iterator[int]:
    blocks = named(shards)
    parts = [blocks[start : start + _BLOCKS] for start in range(0, len(blocks), _BLOCKS)]
    yield from in_processes(_write_part, parts, min(processes, len(parts)), _open, (job, table_uri))


_writer: ShardWriter
"""Of a process that was started for one job."""


def _open(job: ImageJob, table_uri: str) -> None:
    global _writer
    _writer = ShardWriter(job, table_uri)


def _write_part(blocks: Sequence[pa.Table]) -> int:
    return sum(_written(_writer, blocks))
