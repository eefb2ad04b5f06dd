"""Objects → answers of one bundle: the common part of predict, evaluate and screen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from medray.data import store, tables, temporary
from medray.data.catalog import as_text
from medray.data.key_file import name_of, the_key
from medray.data.key_record import made_with, marked
from medray.data.pseudonym import Key
from medray.data.shards.address import Address
from medray.data.store import ObjectInfo
from medray.data.tables import parquet_bytes
from medray.distributed import session
from medray.distributed.session import ClusterSpec
from medray.errors import ConfigError
from medray.progress import Progress, counting
from medray.runs.executor import Executor
from medray.runs.summary import Summary, summarise
from medray.work.outcome import OUTCOME_COLUMNS
from medray.work.score import score_job
from medray.work.table import outcomes


def object_rows(objects: list[ObjectInfo]) -> pa.Table:
    """Objects as the rows that :func:`medray.work.process.process` takes; it refuses a name that no table can hold."""
    named = [(as_text(info.uri), info) for info in objects]
    uris = [name if name == info.uri else str(Address(name, 0, 0, "", error="OBJECT_NAME")) for name, info in named]
    columns = {"etag": [info.etag for info in objects], "size_bytes": pa.array([info.size for info in objects], pa.int64())}
    return pa.table({"uri": pa.array(uris, pa.string()), **columns})


def score(
    executor: Executor,
    bundle_uri: str,
    rows: pa.Table,
    table_uri: str,
    actors: int | None,
    progress: Progress | None,
    what: str,
    judged: bool = False,
    masks: bool = True,
    key: Key | None = None,
    fingerprint: str | None = None,
) -> tuple[pa.Table, Summary]:
    """Score objects into a table that holds answers of this bundle only.

    Args:
        judged: whether rows come with the true masks (``mask``, ``mask_etag``), to compare answers with.
        masks: whether to return columns of masks, which are large.
        key: that makes the pseudonyms; default: :func:`key_for` the table.
        fingerprint: of the bundle, as it was recorded or first read; another one is refused (BUNDLE_CHANGED).

    Returns:
        The outcome of every object with the answer's columns, sorted by URI, and the sums.
    """
    key, known = key or key_for(table_uri), {bundle_uri: fingerprint} if fingerprint else None
    job = score_job({"": bundle_uri}, judged, name_of(key), known)
    executor.process(rows, job, table_uri, actors, counting(progress, what))
    answers = [field.name for field in job.fields() if masks or not pa.types.is_binary(field.type)]
    table = marked(outcomes(rows, table_uri, [*OUTCOME_COLUMNS, *answers]), key.id)
    return table, summarise(table, len(rows))


def key_for(table_uri: str, key_file: str | None = None) -> Key:
    """The key to make the pseudonyms of a table of outcomes with: where a run has begun it, the one of that run.

    Raises:
        ConfigError: as :func:`medray.data.key_file.the_key`.
    """
    known = made_with(tables.schema(tables.open_table(table_uri))) if tables.is_table(table_uri) else None
    return the_key(key_file, known, table_uri)


def table_bytes(table: pa.Table, name: str) -> bytes:
    """The table as a Parquet or CSV file, by the name's ending.

    In CSV, text that a spreadsheet would take for a formula is preceded by ``'``, and columns of masks are left out.
    """
    if name.endswith(".csv"):
        sink = pa.BufferOutputStream()
        shown = [field.name for field in table.schema if not pa.types.is_binary(field.type)]
        pyarrow.csv.write_csv(pa.table({name: _plain(table[name]) for name in shown}), sink)
        return bytes(sink.getvalue())
    return parquet_bytes(table)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_string(column.type):
        return column
    return pc.replace_substring_regex(column, r"\A([=+\-@\t\r])", r"'\1")


@contextmanager
def working_folder(work: str | None, cluster: ClusterSpec) -> Iterator[str]:
    """Where shards go: the given URI (kept, so that a second start resumes), or a temporary folder of a local session.

    Raises:
        ConfigError: WORK_NEEDED on a cluster, whose nodes do not share this machine's disk.
    """
    if work:
        yield store.normalise(work)
        return
    if not session.is_local(cluster):
        raise ConfigError("WORK_NEEDED", "the nodes of a cluster do not share this machine's disk", "give --work URI")
    with temporary.folder("work") as folder:
        yield store.join(str(folder), "scores")
