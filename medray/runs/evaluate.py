"""Score labelled images with a bundle and say how well it does: ``medray evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from medray.bundles.manifest import Manifest, read_manifest
from medray.bundles.registry import recorded
from medray.cataloguing.ingest import ingest
from medray.data import archive, store
from medray.data.catalog import Catalog
from medray.data.labels import join_labels, read_labels
from medray.data.left_out import counted, left_out, telling, usable_images
from medray.data.pseudonym import Key, using
from medray.distributed.session import ClusterSpec
from medray.errors import LabelError
from medray.evaluation.cautions import Caution
from medray.progress import Progress
from medray.runs.executor import executing
from medray.runs.labelled import labelled
from medray.runs.score import key_for, object_rows, score, working_folder
from medray.runs.summary import Summary
from medray.tasks.cautions import of_cohort, of_model
from medray.tasks.decision import Figures, Judged
from medray.tasks.task import Task
from medray.types import State


@dataclass(frozen=True)
class Evaluation:
    """How a bundle does on labelled images.

    Attributes:
        rows: the images with a label that were scored: ``target`` and the answer's columns among theirs.
        unlabelled: how many were scored and have no label.
        warnings: what makes the figures less than they seem.
    """

    figures: Figures
    summary: Summary
    unlabelled: int
    rows: pa.Table
    manifest: Manifest
    warnings: Sequence[Caution]


def evaluate_source(
    bundle_uri: str,
    source: str,
    labels_uri: str,
    cluster: ClusterSpec,
    work: str | None = None,
    progress: Progress | None = None,
    key_file: str | None = None,
) -> Evaluation:
    """Score every object under ``source`` and compare with the labels; nothing has to be ingested.

    Masks are compared with images as they are scored, so of a masked task the images are catalogued first, in the working folder.

    Args:
        key_file: local file with the key of pseudonyms: see :func:`medray.data.key_file.the_key`.

    Raises:
        LabelError: no label matches; ConfigError: as :func:`medray.data.key_file.the_key`; StoreError; BundleError.
    """
    manifest = read_manifest(bundle_uri, recorded(bundle_uri))
    task, rows = manifest.task, object_rows(archive.list_objects(source))
    with working_folder(work, cluster) as place, executing(cluster) as executor:
        table_uri = store.join(place, manifest.fingerprint() + ("-judged" if task.masked else ""))
        key = key_for(table_uri, key_file)
        with using(key):
            labels = read_labels(labels_uri)
        masks = _masked(source, store.join(place, "catalog"), labels, task, key) if task.masked else None
        if masks is not None:
            rows = _looked_up(rows, masks, "mask", "mask_etag")
        known = manifest.fingerprint()
        table, summary = score(
            executor, bundle_uri, rows, table_uri, None, progress, "evaluate", task.masked, key=key, fingerprint=known
        )
    scored = table.filter(pc.equal(table["state"], State.SCORED.value))
    if not len(scored):
        message = f"none of {summary.inputs} objects of {source} could be scored"
        raise LabelError(
            "EVALUATE_NOTHING_SCORED", f"{message}: {counted(summary.reasons)}", "mend them, or name another archive"
        )
    with telling(lambda: summary.reasons):
        joined = join_labels(scored, labels, task) if masks is None else _known(scored, masks)
    judged = joined.filter(pc.is_valid(joined["target"]))
    figures = task.evaluate(joined, manifest.decision)
    model = Judged(manifest.name, joined, figures, manifest.decision)
    warnings = [*of_cohort(task, judged, "labelled images"), *of_model(task, model, "these images")]
    return Evaluation(figures, summary, len(scored) - len(judged), judged, manifest, warnings)


def _masked(source: str, catalog_uri: str, labels: pa.Table, task: Task, key: Key) -> pa.Table:
    """The images of an archive that have a target, with their masks."""
    ingest(source, catalog_uri, key_file=key.file or None)
    catalog = Catalog(catalog_uri)
    images = usable_images(catalog)
    with telling(lambda: left_out(catalog)):
        return labelled(images, labels, task, catalog.segmentations)


def _known(scored: pa.Table, masks: pa.Table) -> pa.Table:
    """The images that have a target, with it and their group."""
    found = _looked_up(scored, masks, "target", "group")
    return found.filter(pc.is_valid(found["target"]))


def _looked_up(rows: pa.Table, known: pa.Table, *names: str) -> pa.Table:
    """The rows with columns of text of a table by URI; a target that it lacks is null, everything else ""."""
    at = pc.index_in(rows["uri"], value_set=known["uri"].combine_chunks())
    for name in names:
        found = known[name].take(at)
        rows = rows.append_column(name, found if name == "target" else pc.fill_null(found, ""))
    return rows
