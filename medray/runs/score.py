"""Objects → scores by one bundle: the common part of predict, evaluate and screen."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from medray.bundles.bundle import Manifest, read_manifest
from medray.data import archive, store
from medray.data.catalog import as_text
from medray.data.labels import join_labels, read_labels
from medray.data.shards.address import Address
from medray.data.store import ObjectInfo
from medray.data.tables import parquet_bytes
from medray.distributed import session
from medray.distributed.dataset import outcomes, process
from medray.distributed.session import ClusterSpec
from medray.errors import ConfigError, LabelError
from medray.evaluation.binary import Metrics, evaluate
from medray.progress import Progress, counting
from medray.runs.summary import Summary, summarise
from medray.types import State
from medray.work.outcome import OUTCOME_COLUMNS
from medray.work.score import ScoreJob

COLUMN = "probability"


@dataclass(frozen=True)
class Evaluation:
    """How a bundle does on labelled images."""

    metrics: Metrics
    summary: Summary
    unlabelled: int
    rows: pa.Table
    manifest: Manifest


def object_rows(objects: list[ObjectInfo]) -> pa.Table:
    """Objects as the rows that :func:`medray.distributed.dataset.process` takes; it refuses a name that no table can hold."""
    named = [(as_text(info.uri), info) for info in objects]
    uris = [name if name == info.uri else str(Address(name, 0, 0, "", error="OBJECT_NAME")) for name, info in named]
    columns = {"etag": [info.etag for info in objects], "size_bytes": pa.array([info.size for info in objects], pa.int64())}
    return pa.table({"uri": pa.array(uris, pa.string()), **columns})


def score(
    bundle_uri: str, rows: pa.Table, table_uri: str, actors: int | None, progress: Progress | None, what: str
) -> tuple[pa.Table, Summary]:
    """Score objects into a table that holds scores of this bundle only; needs a running session.

    Returns:
        The outcome of every object with its ``probability``, sorted by URI, and the sums.
    """
    process(rows, ScoreJob({COLUMN: bundle_uri}), table_uri, actors, counting(progress, what))
    table = outcomes(rows, table_uri, [*OUTCOME_COLUMNS, COLUMN])
    return table, summarise(table, len(rows))


def predict_source(
    bundle_uri: str, source: str, out: str, cluster: ClusterSpec, work: str | None = None, progress: Progress | None = None
) -> Summary:
    """Score every object under ``source`` and write one row each to ``out`` (.parquet or .csv).

    Raises:
        ConfigError: PREDICT_OUT; StoreError; BundleError.
    """
    if not out.endswith((".parquet", ".csv")):
        raise ConfigError("PREDICT_OUT", f"--out {out} is neither .parquet nor .csv", "name one of them")
    manifest = read_manifest(bundle_uri)
    rows = object_rows(archive.list_objects(source))
    with working_folder(work, cluster) as place, session.session(cluster):
        table, summary = score(bundle_uri, rows, store.join(place, manifest.fingerprint()), None, progress, "predict")
    store.write(out, table_bytes(with_decision(table, manifest.threshold.value), out))
    return summary


def evaluate_source(
    bundle_uri: str, source: str, labels_uri: str, cluster: ClusterSpec, work: str | None = None, progress: Progress | None = None
) -> Evaluation:
    """Score every object under ``source`` and compare with the labels; nothing has to be ingested.

    Raises:
        LabelError: no label matches, or one class only; StoreError; BundleError.
    """
    manifest = read_manifest(bundle_uri)
    labels = read_labels(labels_uri)
    rows = object_rows(archive.list_objects(source))
    with working_folder(work, cluster) as place, session.session(cluster):
        table, summary = score(bundle_uri, rows, store.join(place, manifest.fingerprint()), None, progress, "evaluate")
    scored = table.filter(pa.compute.equal(table["state"], State.SCORED.value))
    if not len(scored):
        raise LabelError(
            "EVALUATE_NOTHING_SCORED",
            f"none of {summary.inputs} objects of {source} could be scored",
            f"codes: {summary.reasons}",
        )
    joined = join_labels(scored, labels, manifest.target, manifest.positive)
    metrics = evaluate(
        joined["y"].to_numpy(),
        joined[COLUMN].to_numpy(),
        manifest.threshold.value,
        groups=joined["group"].to_numpy(zero_copy_only=False),
    )
    return Evaluation(metrics, summary, len(scored) - len(joined), joined, manifest)


def with_decision(table: pa.Table, threshold: float) -> pa.Table:
    """The table with a ``positive`` column, null where there is no probability."""
    return table.append_column("positive", pa.compute.greater_equal(table[COLUMN], threshold))


def table_bytes(table: pa.Table, name: str) -> bytes:
    """The table as a Parquet or CSV file, by the name's ending.

    In CSV, text that a spreadsheet would take for a formula is preceded by ``'``.
    """
    if name.endswith(".csv"):
        sink = pa.BufferOutputStream()
        pyarrow.csv.write_csv(pa.table({name: _plain(table[name]) for name in table.column_names}), sink)
        return bytes(sink.getvalue())
    return parquet_bytes(table)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_string(column.type):
        return column
    return pa.compute.replace_substring_regex(column, r"\A([=+\-@\t\r])", r"'\1")


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
    with tempfile.TemporaryDirectory(prefix="medray-work-") as name:
        yield store.join(name, "scores")
