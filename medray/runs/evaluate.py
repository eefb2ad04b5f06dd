"""Score labelled images with a bundle and say how well it does: ``medray evaluate``."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from medray.bundles.manifest import Manifest, read_manifest
from medray.data import archive, store
from medray.data.labels import join_labels, read_labels
from medray.distributed import session
from medray.distributed.session import ClusterSpec
from medray.errors import LabelError
from medray.progress import Progress
from medray.runs.score import object_rows, score, working_folder
from medray.runs.summary import Summary
from medray.tasks.task import Figures
from medray.types import State


@dataclass(frozen=True)
class Evaluation:
    """How a bundle does on labelled images.

    Attributes:
        rows: the images with a label that were scored: ``target`` and the answer's columns among theirs.
        unlabelled: how many were scored and have no label.
    """

    figures: Figures
    summary: Summary
    unlabelled: int
    rows: pa.Table
    manifest: Manifest


def evaluate_source(
    bundle_uri: str, source: str, labels_uri: str, cluster: ClusterSpec, work: str | None = None, progress: Progress | None = None
) -> Evaluation:
    """Score every object under ``source`` and compare with the labels; nothing has to be ingested.

    Raises:
        LabelError: no label matches; StoreError; BundleError.
    """
    manifest = read_manifest(bundle_uri)
    task, labels = manifest.task, read_labels(labels_uri)
    rows = object_rows(archive.list_objects(source))
    with working_folder(work, cluster) as place, session.session(cluster):
        table, summary = score(bundle_uri, rows, store.join(place, manifest.fingerprint()), None, progress, "evaluate")
    scored = table.filter(pc.equal(table["state"], State.SCORED.value))
    if not len(scored):
        message = f"none of {summary.inputs} objects of {source} could be scored"
        raise LabelError("EVALUATE_NOTHING_SCORED", message, f"codes: {summary.reasons}")
    joined = join_labels(scored, labels, task)
    judged = joined.filter(pc.is_valid(joined["target"]))
    return Evaluation(task.evaluate(joined, manifest.decision), summary, len(scored) - len(judged), judged, manifest)
