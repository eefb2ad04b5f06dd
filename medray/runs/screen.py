"""Nightly screening: a fixed input, every object to one terminal state, a worklist of studies by urgency."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BeforeValidator, Field

from medray.bundles import registry
from medray.bundles.bundle import open_bundle, read_manifest
from medray.data import archive, store, tables
from medray.distributed import session
from medray.distributed.session import ClusterSpec
from medray.errors import ConfigError, RunError
from medray.progress import Progress
from medray.runs.resources import Resources
from medray.runs.score import COLUMN, object_rows, score, table_bytes, with_decision
from medray.runs.summary import Summary
from medray.spec import Spec
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
        worklist: one row a study, most urgent first: rank, study_uid, patient_key, probability, positive, images, sop_uid, uri.
        summary: the sums.
    """

    night_uri: str
    bundle_uri: str
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
    bundle_uri = _fix_night(config, night_uri)
    rows = _fixed_inputs(config.source, night_uri)
    results_uri = store.join(night_uri, "results")
    with session.session(config.cluster):
        table, summary = score(bundle_uri, rows, results_uri, config.resources.actors, progress, "screen")
    store.write(store.join(night_uri, "summary.json"), _json({**summary.counts(), "reasons": summary.reasons}))
    if summary.failed:
        message = f"{summary.failed} of {summary.inputs} objects could not be fetched ({summary.reasons})"
        raise RunError("RUN_INPUTS_FAILED", message, "run the same night again; done work is kept")
    ranked = worklist(with_decision(table, open_bundle(bundle_uri).manifest.threshold.value))
    for name in ("worklist.parquet", "worklist.csv"):
        store.write(store.join(night_uri, name), table_bytes(ranked, name))
    return ScreenResult(night_uri, bundle_uri, ranked, summary)


def worklist(scored: pa.Table) -> pa.Table:
    """One row a study by its most suspicious image, highest probability first; ties by study UID.

    Args:
        scored: outcome rows with ``probability`` and ``positive``.
    """
    best: dict[str, dict[str, object]] = {}
    for item in (
        scored.filter(pc.equal(scored["state"], State.SCORED.value))
        .sort_by([(COLUMN, "descending"), ("uri", "ascending")])
        .to_pylist()
    ):
        study = best.setdefault(item["study_uid"], {**item, "images": 0})
        study["images"] = int(str(study["images"])) + 1
    ordered = sorted(best.values(), key=lambda item: (-float(str(item[COLUMN])), str(item["study_uid"])))
    names = ("study_uid", "patient_key", COLUMN, "positive", "images", "sop_uid", "uri")
    columns = {"rank": pa.array(range(1, len(ordered) + 1), pa.int64())}
    kinds = {COLUMN: pa.float64(), "positive": pa.bool_(), "images": pa.int64()}
    return pa.table(columns | {name: pa.array([item[name] for item in ordered], kinds.get(name, pa.string())) for name in names})


def _fix_night(config: ScreenConfig, night_uri: str) -> str:
    """The bundle of the night, recorded by the first start."""
    bundle_uri = store.normalise(config.bundle) if config.bundle else None
    record_uri = store.join(night_uri, "night.json")
    if store.exists(record_uri):
        record = json.loads(store.read(record_uri))
        asked = (store.normalise(config.source), bundle_uri or record["bundle"])
        if asked != (record["source"], record["bundle"]):
            raise ConfigError(
                "NIGHT_DIFFERS", f"{config.night} was started with {record['source']} and {record['bundle']}", "use another name"
            )
        if read_manifest(record["bundle"]).fingerprint() != record["fingerprint"]:
            raise ConfigError(
                "NIGHT_DIFFERS", f"the bundle {record['bundle']} has changed since {config.night} was started", "use another name"
            )
        return str(record["bundle"])
    chosen = bundle_uri or registry.champion(config.output)
    fingerprint = open_bundle(chosen).fingerprint
    next(store.pages(config.source))
    store.write(record_uri, _json({"source": store.normalise(config.source), "bundle": chosen, "fingerprint": fingerprint}))
    return chosen


def _fixed_inputs(source: str, night_uri: str) -> pa.Table:
    """The objects of the night, listed once."""
    uri = store.join(night_uri, "inputs.parquet")
    if not store.exists(uri):
        store.write(uri, tables.parquet_bytes(object_rows(archive.list_objects(source))))
    return pq.read_table(pa.BufferReader(store.read(uri)))


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
