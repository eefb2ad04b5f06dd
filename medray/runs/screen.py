"""Nightly screening: a fixed input, every object to one terminal state, a worklist of studies by urgency."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BeforeValidator, Field

from medray.bundles import registry
from medray.bundles.bundle import open_bundle
from medray.bundles.manifest import read_manifest
from medray.data import archive, store, tables
from medray.distributed.session import ClusterSpec
from medray.errors import ConfigError, RunError
from medray.json_file import json_object
from medray.progress import Progress
from medray.runs.executor import executing
from medray.runs.resources import Resources
from medray.runs.score import object_rows, score, table_bytes
from medray.runs.summary import Summary
from medray.spec import Spec
from medray.tasks.task import Decision, Task
from medray.types import State


def _date_as_text(value: Any) -> Any:
    """YAML reads 2026-11-23 as a date; as the name of a night it is text."""
    return value.isoformat() if isinstance(value, date) else value


class ScreenConfig(Spec):
    """``medray screen``."""

    output: str = Field(description="root of everything a run makes")
    source: str = Field(description="the archive to screen: a prefix of DICOM objects")
    bundle: str | None = Field(None, description="URI of a bundle; default: the champion of the registry under output")
    night: Annotated[str, BeforeValidator(_date_as_text)] = Field(
        "night", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="name of this run; the same name resumes"
    )
    cluster: ClusterSpec = ClusterSpec()
    resources: Resources = Resources()


@dataclass(frozen=True)
class ScreenResult:
    """What a night made.

    Attributes:
        night_uri: folder of the night.
        bundle_uri: the bundle that scored.
        task: of the bundle.
        worklist: one row a study, most urgent first: rank, study_uid, patient_key, the columns of answer and decision, images,
            sop_uid, uri.
        summary: the sums.
    """

    night_uri: str
    bundle_uri: str
    task: Task
    worklist: pa.Table
    summary: Summary


def screen(config: ScreenConfig, progress: Progress | None = None) -> ScreenResult:
    """Score one night. The list of objects and the bundle are fixed by the first start; a later start resumes.

    Writes under ``OUTPUT/screen/NIGHT``: ``night.json``, ``inputs.parquet``, ``results/`` (Delta), ``worklist.csv``,
    ``worklist.parquet`` and ``summary.json``; the worklist appears only when the sums agree and nothing failed.

    Raises:
        ConfigError: NIGHT_DIFFERS; RunError: RUN_INPUTS_FAILED; StoreError; BundleError.
    """
    night_uri = store.join(config.output, "screen", config.night)
    bundle_uri, fingerprint = _fix_night(config, night_uri)
    rows = _fixed_inputs(config.source, night_uri)
    results_uri = store.join(night_uri, "results")
    with executing(config.cluster) as executor:
        actors = config.resources.actors
        table, summary = score(
            executor, bundle_uri, rows, results_uri, actors, progress, "screen", masks=False, fingerprint=fingerprint
        )
    store.write(store.join(night_uri, "summary.json"), _json({**summary.counts(), "reasons": summary.reasons}))
    if summary.failed:
        message = f"{summary.failed} of {summary.inputs} objects could not be fetched ({summary.reasons})"
        raise RunError("RUN_INPUTS_FAILED", message, "run the same night again; done work is kept")
    manifest = read_manifest(bundle_uri, fingerprint)
    ranked = worklist(table, manifest.task, manifest.decision)
    for name in ("worklist.parquet", "worklist.csv"):
        store.write(store.join(night_uri, name), table_bytes(ranked, name))
    return ScreenResult(night_uri, bundle_uri, manifest.task, ranked, summary)


def worklist(outcomes: pa.Table, task: Task, decision: Decision) -> pa.Table:
    """One row a study by its most urgent image, the most urgent study first; ties by study UID.

    What the decision flags is more urgent than what it does not, so that no flagged image hides behind another of its study.

    Args:
        outcomes: outcome rows with the answer's columns, but those of masks.
        task, decision: of the bundle that scored.
    """
    scored = outcomes.filter(pc.equal(outcomes["state"], State.SCORED.value))
    scored = task.decided(scored, decision).append_column("urgency", pa.array(task.urgency(scored), pa.float64()))
    flagged = pa.array([task.urgent(row) for row in scored.to_pylist()], pa.bool_())
    order = [("flagged", "descending"), ("urgency", "descending"), ("study_uid", "ascending"), ("uri", "ascending")]
    scored = scored.append_column("flagged", flagged).sort_by(order)
    first, images = _first_of_each(scored["study_uid"].to_pylist())
    best = scored.take(pa.array(first, pa.int64()))
    shown = [name for name in task.answer_columns if name in best.column_names]
    ranks = {"rank": pa.array(range(1, len(best) + 1), pa.int64())}
    before = {name: best[name] for name in ("study_uid", "patient_key", *shown)}
    counts = {"images": pa.array(images, pa.int64())}
    return pa.table({**ranks, **before, **counts, **{name: best[name] for name in ("sop_uid", "uri")}})


def _first_of_each(values: Sequence[str]) -> tuple[list[int], list[int]]:
    """Position of the first of each distinct value, and how often it occurs, in order of appearance."""
    counts = Counter(values)
    first: dict[str, int] = {}
    for position, value in enumerate(values):
        first.setdefault(value, position)
    return list(first.values()), [counts[value] for value in first]


def _fix_night(config: ScreenConfig, night_uri: str) -> tuple[str, str]:
    """The bundle of the night and its fingerprint, recorded by the first start.

    A bundle that the registry under output knows must be the one that was published.
    """
    bundle_uri = store.normalise(config.bundle) if config.bundle else None
    record_uri = store.join(night_uri, "night.json")
    if store.exists(record_uri):
        record = _record(record_uri)
        asked = (store.normalise(config.source), bundle_uri or record["bundle"])
        if asked != (record["source"], record["bundle"]):
            raise ConfigError(
                "NIGHT_DIFFERS", f"{config.night} was started with {record['source']} and {record['bundle']}", "use another name"
            )
        if read_manifest(record["bundle"]).fingerprint() != record["fingerprint"]:
            raise ConfigError(
                "NIGHT_DIFFERS", f"the bundle {record['bundle']} has changed since {config.night} was started", "use another name"
            )
        return record["bundle"], record["fingerprint"]
    chosen = bundle_uri or registry.champion(config.output)
    fingerprint = open_bundle(chosen, fingerprint=registry.recorded(config.output, chosen)).fingerprint
    next(store.pages(config.source))
    store.write(record_uri, _json({"source": store.normalise(config.source), "bundle": chosen, "fingerprint": fingerprint}))
    return chosen, fingerprint


def _record(uri: str) -> dict[str, str]:
    """What ``night.json`` says; raises RunError NIGHT_UNREADABLE."""
    try:
        found = json_object(store.read(uri))
        return {name: str(found[name]) for name in ("source", "bundle", "fingerprint")}
    except (ValueError, KeyError) as error:
        raise RunError("NIGHT_UNREADABLE", f"{uri} is broken", "use another name for the night") from error


def _fixed_inputs(source: str, night_uri: str) -> pa.Table:
    """The objects of the night, listed once."""
    uri = store.join(night_uri, "inputs.parquet")
    if not store.exists(uri):
        store.write(uri, tables.parquet_bytes(object_rows(archive.list_objects(source))))
    return pq.read_table(pa.BufferReader(store.read(uri)))


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
