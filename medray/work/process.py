"""Bring a table of outcomes up to date: what it lacks is shared out in blocks, computed wherever, and registered in one commit.

A shard is named after its inputs, so a run that was killed finds what it finished; every input has one row with its state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pyarrow as pa

from medray.data import store, tables
from medray.data.key_record import made_with, marked_schema, require_one_key
from medray.progress import Count
from medray.work import blocks
from medray.work.chunk_file import most_rows, placed
from medray.work.job import ImageJob
from medray.work.table import input_columns, missing, register, schema_of

RunBlocks = Callable[[Mapping[str, pa.Table], ImageJob, str], Iterator[int]]
"""Called with (shard name → block of rows, job, table URI): writes every shard and yields the number of inputs of each part."""


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
        StoreError; ConfigError: PSEUDONYM_KEYS, the table holds pseudonyms of another key; and what ``run`` raises.
    """
    made = schema_of(job, rows.schema)
    schema = placed(made)
    marked = marked_schema(schema, job.pseudonyms.id if job.pseudonyms else made_with(rows.schema))
    tables.create(table_uri, marked)
    require_one_key(tables.schema(tables.open_table(table_uri)), marked, f"{table_uri} and of what would be added")
    todo = missing(rows.select(input_columns(rows)).sort_by("uri"), table_uri)
    shards = blocks.shards(todo, int(tables.open_table(table_uri).version()), job.block_rows, most_rows(made))
    finished = set(store.names(table_uri))
    waiting = {name: block for name, block in shards.items() if name not in finished}
    done = len(rows) - sum(len(block) for block in waiting.values())
    if progress:
        progress(done, len(rows))
    for count in run(waiting, job, table_uri) if waiting else ():
        done += count
        if progress:
            progress(done, len(rows))
    register(shards, schema, table_uri)
