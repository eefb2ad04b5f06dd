"""Objects of an archive → fetch → decode → job → table, through Ray Data and a fixed pool of actors.

The actors read the bytes themselves and write their results as Parquet shards under the table; the driver registers the shards in
one commit. A shard is named after its inputs, so a run that was killed finds what it finished; every input has one row with its
state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from medray.data import store, tables
from medray.data.duplicates import images_of, settled
from medray.distributed import session
from medray.distributed.actor import CALLS, BlockActor, schema_of
from medray.distributed.failures import cause
from medray.distributed.session import ClusterSpec
from medray.errors import StoreError
from medray.progress import Count
from medray.types import State
from medray.work import blocks
from medray.work.job import ImageJob
from medray.work.outcome import IDENTIFIERS, KEYS, OUTCOME_COLUMNS, STACK


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
        actors: size of the actor pool, one CPU each; default: as many as the cluster holds.
        cluster: where to start a session, if none runs and there is anything to compute.

    Raises:
        StoreError; ClusterError: CLUSTER_TOO_SMALL, CLUSTER_BUSY.
    """
    schema = schema_of(job, rows.schema)
    tables.create(table_uri, schema)
    todo = _missing(rows.select(_inputs(rows)).sort_by("uri"), table_uri)
    shards = blocks.shards(todo, int(tables.open_table(table_uri).version()))
    finished = set(store.names(table_uri))
    waiting = {name: block for name, block in shards.items() if name not in finished}
    done = len(rows) - sum(len(block) for block in waiting.values())
    if progress:
        progress(done, len(rows))
    if waiting:
        with session.session(cluster or ClusterSpec()):
            for count in _run(waiting, job, table_uri, session.pool_size(actors)):
                done += count
                if progress:
                    progress(done, len(rows))
    _register(shards, schema, table_uri)


def outcomes(rows: pa.Table, table_uri: str, columns: list[str] | None = None) -> pa.Table:
    """The outcome of each of ``rows``, sorted by URI; of images with one SOP Instance UID, at most one is SCORED.

    Those that differ in content are read again, and are equal if they differ in nothing but their encoding.

    Args:
        columns: which columns of the table; default: those of the outcome, without the job's. The job's are null unless SCORED.
    """
    keys = _keys(rows)
    wanted = rows.select(keys)
    names = list(dict.fromkeys([*(columns or OUTCOME_COLUMNS), *keys]))
    table = tables.read_table(table_uri, columns=names).join(wanted, keys=keys, join_type="inner")
    table = table.select(columns or OUTCOME_COLUMNS)
    return (table if "members" in rows.column_names else _unique(table)).sort_by("uri")


def _unique(table: pa.Table) -> pa.Table:
    """The outcomes with duplicates and conflicts of SOP Instance UIDs settled among those that are SCORED."""
    if not {"uri", "etag", "sop_uid", "content_sha256", "code", "message"} <= set(table.column_names):
        return table
    scored = pc.and_(pc.equal(table["state"], State.SCORED.value), pc.not_equal(table["sop_uid"], ""))
    found = table.filter(scored)
    found = settled(found, State.SCORED, images_of(found))
    usable = pc.equal(found["state"], State.SCORED.value)
    for name in found.column_names:
        if name not in OUTCOME_COLUMNS:
            column = found[name]
            found = found.set_column(
                found.column_names.index(name), name, pc.if_else(usable, column, pa.scalar(None, column.type))
            )
    return pa.concat_tables([table.filter(pc.invert(scored)), found])


def read_values(table_uri: str, rows: pa.Table, columns: Sequence[str] = ("values",)) -> pa.Table:
    """Column ``uri`` and columns of a job of the scored ones among ``rows`` (uri, etag; mask, mask_etag), sorted by URI."""
    keys = _keys(rows)
    table = tables.dataset(table_uri)
    chosen = pc.field("uri").isin(rows["uri"].combine_chunks()) & (pc.field("state") == State.SCORED.value)
    with store.translated(table_uri):
        found = table.to_table(columns=[*keys, *columns], filter=chosen)
    current = pc.is_in(_joined(found, keys), value_set=_joined(rows, keys).combine_chunks())
    return found.filter(current).select(["uri", *columns]).sort_by("uri")


def _keys(rows: pa.Table) -> list[str]:
    return [name for name in KEYS if name in rows.column_names]


def _inputs(rows: pa.Table) -> list[str]:
    wanted = [
        "size_bytes",
        *(["members", *IDENTIFIERS, *(field.name for field in STACK)] if "members" in rows.column_names else []),
    ]
    return [*_keys(rows), *(name for name in wanted if name in rows.column_names)]


def _joined(rows: pa.Table, keys: Sequence[str]) -> pa.ChunkedArray:
    """One text for each input."""
    return pc.binary_join_element_wise(*(rows[name] for name in keys), "\n")


def _missing(rows: pa.Table, table_uri: str) -> pa.Table:
    """Rows without an outcome; failed ones are tried again."""
    table = tables.open_table(table_uri)
    with store.translated(table_uri):
        if table.count():
            table.delete(f"state = '{State.FAILED.value}'")
    keys = _keys(rows)
    known = tables.read_table(table_uri, columns=keys)
    numbered = rows.select(keys).append_column("row", pa.array(range(len(rows)), pa.int64()))  # a join carries no lists
    missing = numbered.join(known, keys=keys, join_type="left anti")
    return rows.take(missing["row"]).sort_by("uri")


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
        BlockActor,
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


def _register(shards: Mapping[str, pa.Table], schema: pa.Schema, table_uri: str) -> None:
    if not shards:
        return
    sizes = {info.uri.rsplit("/", 1)[-1]: info.size for info in store.list_objects(table_uri)}
    if missing := shards.keys() - sizes.keys():
        message = f"{len(missing)} of {len(shards)} shards that workers wrote are not at {table_uri}"
        raise StoreError("SHARDS_MISSING", message, "on a cluster, output must be a place that every node reaches")
    tables.register(table_uri, schema, [(name, sizes[name], len(block)) for name, block in shards.items()])
