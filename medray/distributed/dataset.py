"""Objects of an archive → fetch → decode → job → table, through Ray Data and a fixed pool of actors.

The actors read the bytes themselves and write their results as Parquet shards under the table, which the driver registers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from medray.distributed import session
from medray.distributed.failures import cause
from medray.work.blocks import useful_processes
from medray.work.job import ImageJob
from medray.work.process import RunBlocks
from medray.work.shard import CALLS, ShardWriter, named


def on_ray(actors: int | None = None) -> RunBlocks:
    """Runs blocks in actors of the running session.

    Args:
        actors: size of the actor pool, one CPU each; default: as many as the cluster holds and the inputs keep busy.
    """
    return partial(_run, actors=actors)


def _run(shards: Mapping[str, pa.Table], job: ImageJob, table_uri: str, actors: int | None) -> Iterator[int]:
    """Yield the number of inputs of each finished block.

    Raises:
        ClusterError: CLUSTER_TOO_SMALL, CLUSTER_BUSY; what a worker raised.
    """
    import ray
    from ray.data import ActorPoolStrategy

    blocks = named(shards)
    size = session.pool_size(actors) if actors else min(session.pool_size(), useful_processes(blocks))
    pool = ActorPoolStrategy(
        size=min(size, len(blocks)),
        max_concurrent_calls_per_actor=CALLS,
        max_tasks_in_flight_per_actor=CALLS,
        enable_true_multi_threading=True,
    )
    results = ray.data.from_arrow(blocks).map_batches(
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
