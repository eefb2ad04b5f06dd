"""Objects of an archive → fetch → decode → job → table, through Ray Data and a fixed pool of actors.

The actors read the bytes themselves and write their results as Parquet shards under the table; the driver registers the shards in
one commit. A shard is named after its inputs, so a run that was killed finds what it finished; every input has one row with its
state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from medray.data import archive, store, tables
from medray.data.catalog import terminal_state
from medray.data.dicom import decode
from medray.data.duplicates import settled
from medray.distributed.failures import cause
from medray.distributed.jobs import ImageJob, Work
from medray.errors import InputError, StoreError
from medray.spec import fingerprint
from medray.types import State

MIN_BLOCKS, MAX_ROWS_PER_BLOCK = 64, 256
OUTCOME = [
    pa.field("uri", pa.string()),
    pa.field("etag", pa.string()),
    pa.field("sop_uid", pa.string()),
    pa.field("series_uid", pa.string()),
    pa.field("study_uid", pa.string()),
    pa.field("patient_key", pa.string()),
    pa.field("content_sha256", pa.string()),
    pa.field("state", pa.string()),
    pa.field("code", pa.string()),
    pa.field("message", pa.string()),
    pa.field("flags", pa.string()),
]
OUTCOME_COLUMNS = [field.name for field in OUTCOME]

Progress = Callable[[int, int], None]
"""Called with (done, total) inputs."""


def process(rows: pa.Table, job: ImageJob, table_uri: str, actors: int, progress: Progress | None = None) -> None:
    """Bring the table at ``table_uri`` to hold an outcome of every row; what it already holds is not computed again.

    Args:
        rows: objects with at least the columns ``uri`` and ``etag``.
        job: what to do with each image.
        table_uri: the Delta table; its path should hold the fingerprint of the job.
        actors: size of the actor pool, one CPU each.

    Raises:
        StoreError
    """
    schema = pa.schema([*OUTCOME, *job.fields()])
    tables.create(table_uri, schema)
    todo = _missing(rows.select(["uri", "etag"]).sort_by("uri"), table_uri)
    shards = _shards(todo, int(tables.open_table(table_uri).version()))
    finished = set(store.names(table_uri))
    waiting = {name: block for name, block in shards.items() if name not in finished}
    done = len(rows) - sum(len(block) for block in waiting.values())
    if progress:
        progress(done, len(rows))
    if waiting:
        for count in _run(waiting, job, table_uri, actors):
            done += count
            if progress:
                progress(done, len(rows))
    _register(shards, schema, table_uri)


def outcomes(rows: pa.Table, table_uri: str, columns: list[str] | None = None) -> pa.Table:
    """The outcome of each of ``rows``, sorted by URI; of objects with one SOP Instance UID, at most one is SCORED.

    Args:
        columns: which columns of the table; default: those of the outcome, without the job's. The job's are null unless SCORED.
    """
    table = tables.read_table(table_uri, columns=columns or OUTCOME_COLUMNS)
    wanted = rows.select(["uri", "etag"])
    return _unique(table.join(wanted, keys=["uri", "etag"], join_type="inner")).sort_by("uri")


def _unique(table: pa.Table) -> pa.Table:
    """The outcomes with duplicates and conflicts of SOP Instance UIDs settled among those that are SCORED."""
    if not {"sop_uid", "content_sha256", "code", "message"} <= set(table.column_names):
        return table
    scored = pc.and_(pc.equal(table["state"], State.SCORED.value), pc.not_equal(table["sop_uid"], ""))
    found = settled(table.filter(scored), State.SCORED)
    usable = pc.equal(found["state"], State.SCORED.value)
    for name in found.column_names:
        if name not in OUTCOME_COLUMNS:
            column = found[name]
            found = found.set_column(
                found.column_names.index(name), name, pc.if_else(usable, column, pa.scalar(None, column.type))
            )
    return pa.concat_tables([table.filter(pc.invert(scored)), found])


def read_values(table_uri: str, rows: pa.Table) -> pa.Table:
    """Columns ``uri`` and ``values`` of the scored objects among ``rows`` (uri, etag), sorted by URI."""
    table = tables.dataset(table_uri)
    chosen = pc.field("uri").isin(rows["uri"].combine_chunks()) & (pc.field("state") == State.SCORED.value)
    with store.translated(table_uri):
        found = table.to_table(columns=["uri", "etag", "values"], filter=chosen)
    current = pc.is_in(_keys(found), value_set=_keys(rows).combine_chunks())
    return found.filter(current).select(["uri", "values"]).sort_by("uri")


def _keys(rows: pa.Table) -> pa.ChunkedArray:
    """One text for each object and content: an object that changed is another one."""
    return pc.binary_join_element_wise(rows["uri"], rows["etag"], "\n")


def _missing(rows: pa.Table, table_uri: str) -> pa.Table:
    """Rows without an outcome; failed ones are tried again."""
    table = tables.open_table(table_uri)
    with store.translated(table_uri):
        if table.count():
            table.delete(f"state = '{State.FAILED.value}'")
    known = tables.read_table(table_uri, columns=["uri", "etag"])
    return rows.join(known, keys=["uri", "etag"], join_type="left anti").sort_by("uri")


def _shards(rows: pa.Table, generation: int) -> dict[str, pa.Table]:
    """Shard name → block; ``generation`` tells the shards of this run from those registered before.

    There are at least 64 blocks where there are rows enough: cores share small inputs, and a restart loses little.
    """
    size = max(1, min(MAX_ROWS_PER_BLOCK, len(rows) // MIN_BLOCKS))
    blocks = [rows.slice(start, size).combine_chunks() for start in range(0, len(rows), size)]
    return {f"part-{generation:05d}-{fingerprint(block.to_pydict())}.parquet": block for block in blocks}


def _run(shards: Mapping[str, pa.Table], job: ImageJob, table_uri: str, actors: int) -> Iterator[int]:
    """Yield the number of inputs of each finished block."""
    import ray
    from ray.data import ActorPoolStrategy

    blocks = [block.append_column("shard", pa.array([name] * len(block), pa.string())) for name, block in shards.items()]
    results = ray.data.from_arrow(blocks).map_batches(
        BlockActor,
        fn_constructor_args=(job, table_uri),
        batch_size=None,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=min(actors, len(blocks))),
        num_cpus=1,
    )
    try:
        for batch in results.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            yield int(pc.sum(batch["done"]).as_py())
    except ray.exceptions.RayError as error:
        raise cause(error) from error


class BlockActor:
    """Holds an opened job; turns a block of object rows into a shard of outcome rows."""

    def __init__(self, job: ImageJob, table_uri: str) -> None:
        import cv2

        cv2.setNumThreads(1)
        self._fields = [*OUTCOME, *job.fields()]
        self._work = job.open()
        self._table_uri = table_uri

    def __call__(self, block: pa.Table) -> pa.Table:
        """Write the shard of a block."""
        rows = block.to_pylist()
        contents = archive.read_many([row["uri"] for row in rows], etags=[row["etag"] for row in rows])
        done = [outcome(row, content, self._work) for row, content in zip(rows, contents, strict=True)]
        shard = pa.Table.from_pylist(done, schema=pa.schema(self._fields))
        store.write(store.join(self._table_uri, rows[0]["shard"]), tables.parquet_bytes(shard))
        return pa.table({"done": [len(rows)]})


def outcome(row: dict[str, Any], content: archive.Answer, work: Work) -> dict[str, Any]:
    """The outcome row of one object: its identifiers, its one terminal state, and the job's columns where it is SCORED."""
    base: dict[str, Any] = dict.fromkeys(OUTCOME_COLUMNS, "") | {"uri": row["uri"], "etag": row["etag"]}
    try:
        if not isinstance(content, bytes):
            raise content
        base["content_sha256"] = hashlib.sha256(content).hexdigest()
        image = decode(content)
        header = image.header
        identifiers = {name: getattr(header, name) for name in ("sop_uid", "series_uid", "study_uid", "patient_key")}
        return {**base, **identifiers, "flags": " ".join(header.flags), "state": State.SCORED.value, **work(image)}
    except (InputError, StoreError) as error:
        return {**base, "state": terminal_state(error).value, "code": error.code, "message": error.message}


def _register(shards: Mapping[str, pa.Table], schema: pa.Schema, table_uri: str) -> None:
    if not shards:
        return
    sizes = {info.uri.rsplit("/", 1)[-1]: info.size for info in store.list_objects(table_uri)}
    if missing := shards.keys() - sizes.keys():
        message = f"{len(missing)} of {len(shards)} shards that workers wrote are not at {table_uri}"
        raise StoreError("SHARDS_MISSING", message, "on a cluster, output must be a place that every node reaches")
    tables.register(table_uri, schema, [(name, sizes[name], len(block)) for name, block in shards.items()])
