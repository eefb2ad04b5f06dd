"""Objects of an archive → fetch → decode → job → table, through Ray Data and a fixed pool of actors.

The actors read the bytes themselves and write their results as Parquet shards under the table; the driver registers the shards in
one commit. A shard is named after its inputs, so a run that was killed finds what it finished; every input has one row with its
state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from medray.data import store, tables
from medray.distributed import session
from medray.distributed.failures import cause
from medray.distributed.session import ClusterSpec
from medray.progress import Count
from medray.work import blocks
from medray.work.job import ImageJob
from medray.work.shard import CALLS, ShardWriter
from medray.work.table import input_columns, missing, register, schema_of


def process(
    rows: pa.Table,
    job: ImageJob,
    table_uri: str,
    actors: int | None = None,
    progress: Count | None = None,
    cluster: ClusterSpec | None = None,
) -> None:
    """Bring the table at ``table_uri`` to hold an outcome of every row; what it already holds is not computed again.

    Args:
        rows: objects with at least the columns ``uri`` and ``etag``; ``size_bytes`` where it is known, -1 or null where not;
            ``mask`` and ``mask_etag`` where the inputs have masks; ``members`` (uri, etag), identifiers and division of volumes.
        job: what to do with each image.
        table_uri: the Delta table; its path should hold the fingerprint of the job.
        actors: size of the actor pool, one CPU each; default: as many as the cluster holds and the inputs keep busy.
        cluster: where to start a session, if none runs and there is anything to compute.

    Raises:
        StoreError; ClusterError: CLUSTER_TOO_SMALL, CLUSTER_BUSY.
    """
    schema = schema_of(job, rows.schema)
    tables.create(table_uri, schema)
    todo = missing(rows.select(input_columns(rows)).sort_by("uri"), table_uri)
    shards = blocks.shards(todo, int(tables.open_table(table_uri).version()))
    finished = set(store.names(table_uri))
    waiting = {name: block for name, block in shards.items() if name not in finished}
    done = len(rows) - sum(len(block) for block in waiting.values())
    if progress:
        progress(done, len(rows))
    if waiting:
        with session.session(cluster or ClusterSpec()):
            size = session.pool_size(actors) if actors else min(session.pool_size(), blocks.useful_processes(waiting.values()))
            for count in _run(waiting, job, table_uri, size):
                done += count
                if progress:
                    progress(done, len(rows))
    register(shards, schema, table_uri)


def _run(shards: Mapping[str, pa.Table], job: ImageJob, table_uri: str, actors: int) -> Iterator[int]:
    """Yield the number of inputs of each finished block."""
    import ray
    from ray.data import ActorPoolStrategy

    named = [block.append_column("shard", pa.array([name] * len(block), pa.string())) for name, block in shards.items()]
    pool = ActorPoolStrategy(
        size=min(actors, len(named)),
        max_concurrent_calls_per_actor=CALLS,
        max_tasks_in_flight_per_actor=CALLS,
        enable_true_multi_threading=True,
    )
    results = ray.data.from_arrow(named).map_batches(
        ShardWriter,
        fn_constructor_args=(job, table_uri),
        batch_size=None,
        batch_format="pyarrow",
        compute=pool,
        num_cpus=1,
        num_gpus=min(1, session.gpus() / pool.max_size) if job.gpu else None,
        memory=session.ACTOR_MEMORY_BYTES,
    )
    try:
        for batch in results.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            yield int(pc.sum(batch["done"]).as_py())
    except ray.exceptions.RayError as error:
        raise cause(error) from error
