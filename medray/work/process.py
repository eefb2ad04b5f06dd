"""Bring a table of outcomes up to date: what it lacks is shared out in blocks, computed wherever, and registered in one commit.

A shard is named after its inputs, its size and its content, so a run that was killed finds what it finished, and computes again
what a power loss cut; every input has one row with its state, whatever other runs register meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pyarrow as pa

from medray.data import tables
from medray.data.key_record import made_with, marked_schema, require_one_key
from medray.data.leftovers import at_work
from medray.progress import Count
from medray.work import blocks
from medray.work.chunk_file import most_rows, placed
from medray.work.job import ImageJob
from medray.work.register import Finished, register
from medray.work.table import input_columns, missing, schema_of

RunBlocks = Callable[[Mapping[str, pa.Table], ImageJob, str], Iterator[int]]
"""Called with (stem of a shard → block of rows, job, table URI): writes all shards, yields the number of inputs of each part."""


def process(rows: pa.Table, job: ImageJob, table_uri: str, run: RunBlocks, progress: Count | None = None) -> None:
    """Bring the table at ``table_uri`` to hold an outcome of every row; what it already holds is not computed again.

    Args:
        rows: objects with at least the columns ``uri`` and ``etag``; ``size_bytes`` where it is known, -1 or null where not;
            ``mask`` and ``mask_etag`` where the inputs have masks; ``members`` (uri, etag), identifiers and division of volumes.
        job: what to do with each image.
        table_uri: the Delta table; its path should hold the fingerprint of the job.
        run: where it is done: :func:`medray.work.local.on_this_machine`, :func:`medray.distributed.dataset.on_ray`; called only
            if there is anything to compute.

    Raises:
        StoreError: SHARDS_MISSING, TABLE_BUSY, …; what ``run`` raises.
        ConfigError: PSEUDONYM_KEYS, the table holds pseudonyms of another key.
    """
    made = schema_of(job, rows.schema)
    marked = marked_schema(placed(made), job.pseudonyms.id if job.pseudonyms else made_with(rows.schema))
    tables.create(table_uri, marked)
    table = tables.open_table(table_uri)
    require_one_key(tables.schema(table), marked, f"{table_uri} and of what would be added")
    version = int(table.version())
    todo = missing(rows.select(input_columns(rows)).sort_by("uri"), table_uri, version)
    shards = blocks.shards(todo, version, job.block_rows, most_rows(made))
    with at_work(table_uri):
        finished = Finished(table_uri, shards)
        waiting = {stem: block for stem, block in shards.items() if stem not in finished.sound}
        done = len(rows) - sum(len(block) for block in waiting.values())
        if progress:
            progress(done, len(rows))
        for count in run(waiting, job, table_uri) if waiting else ():
            done += count
            if progress:
                progress(done, len(rows))
        register(shards, finished, table_uri)
