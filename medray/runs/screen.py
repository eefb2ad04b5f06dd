"""Nightly screening: a fixed input, every object to one terminal state, a worklist of studies by urgency."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BeforeValidator, Field, model_validator

from medray.bundles import registry
from medray.bundles.bundle import open_bundle
from medray.bundles.manifest import read_manifest
from medray.data import archive, store, tables
from medray.data.catalog import GONE
from medray.data.key_record import marked
from medray.distributed.session import ClusterSpec
from medray.errors import ConfigError, RunError
from medray.json_file import json_object
from medray.progress import Progress
from medray.runs.executor import executing
from medray.runs.gone import GoneSpec, without_gone
from medray.runs.resources import Resources
from medray.runs.score import key_for, object_rows, score, table_bytes
from medray.runs.summary import Summary
from medray.spec import Spec
from medray.tasks.decision import Decision
from medray.tasks.task import Task
from medray.types import State

_logger = logging.getLogger("medray")


def _date_as_text(value: Any) -> Any:
    """YAML reads 2026-11-23 as a date; as the name of a night it is text."""
    return value.isoformat() if isinstance(value, date) else value


class ScreenConfig(Spec):
    """``medray screen``."""

    output: str = Field(description="root of everything a run makes")
    source: str = Field(description="the archive to screen: a prefix of DICOM objects")
    bundle: str | None = Field(None, description="URI of a bundle; default: the champion of the registry under output")
    champion: str | None = Field(
        None,
        description="whose champion, where several tasks or targets have one: a target, or the text of `medray registry list`",
    )
    night: Annotated[str, BeforeValidator(_date_as_text)] = Field(
        "night", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="name of this run; the same name resumes"
    )
    gone: GoneSpec = GoneSpec()
    cluster: ClusterSpec = ClusterSpec()
    resources: Resources = Resources()

    @model_validator(mode="after")
    def _one_choice(self) -> ScreenConfig:
        if self.bundle and self.champion:
            raise ValueError("bundle and champion: give one of them")
        return self


@dataclass(frozen=True)
class Chosen:
    """The bundle of a night, fixed by its first start.

    Attributes:
        bundle, fingerprint: which one it is.
        why: why this one: since when it is champion, by whom and why, or that the configuration names it.
    """

    bundle: str
    fingerprint: str
    why: str


@dataclass(frozen=True)
class ScreenResult:
    """What a night made.

    Attributes:
        night_uri: folder of the night.
        chosen: the bundle that scored, and why this one.
        task: of the bundle.
        worklist: one row a study, most urgent first: rank, study_uid, patient_key, the columns of answer and decision, images,
            sop_uid, uri.
        summary: the sums; failed are objects that are gone.
    """

    night_uri: str
    chosen: Chosen
    task: Task
    worklist: pa.Table
    summary: Summary

    @property
    def bundle_uri(self) -> str:
        """The bundle that scored."""
        return self.chosen.bundle

    @property
    def gone(self) -> int:
        """Objects of the night's list that were deleted or replaced before they could be read (``OBJECT_GONE``)."""
        return self.summary.reasons.get(GONE, 0)


def screen(config: ScreenConfig, progress: Progress | None = None, key_file: str | None = None) -> ScreenResult:
    """Score one night. The list of objects and the bundle are fixed by the first start; other starts take both, and resume.

    Objects that are gone since they were listed are looked for again (``gone.tries``); then they are FAILED with ``OBJECT_GONE``.

    Writes under ``OUTPUT/screen/NIGHT``: ``night.json``, ``inputs.parquet``, ``results/`` (Delta), ``worklist.csv``,
    ``worklist.parquet`` and ``summary.json``; the worklist appears only when the sums agree and nothing failed but what is
    gone.

    Args:
        key_file: local file with the key of pseudonyms: see :func:`medray.data.key_file.the_key`.

    Raises:
        ConfigError: NIGHT_DIFFERS; as :func:`medray.data.key_file.the_key`; RunError: RUN_INPUTS_FAILED; StoreError; BundleError.
    """
    night_uri = store.join(config.output, "screen", config.night)
    chosen = _fix_night(config, night_uri)
    _logger.info("screening with %s: %s", chosen.bundle, chosen.why)
    rows = _fixed_inputs(config.source, night_uri)
    results_uri = store.join(night_uri, "results")
    key = key_for(results_uri, key_file)
    actors, known = config.resources.actors, chosen.fingerprint
    with executing(config.cluster) as executor:

        def scored() -> tuple[pa.Table, Summary]:
            return score(
                executor, chosen.bundle, rows, results_uri, actors, progress, "screen", masks=False, key=key, fingerprint=known
            )

        table, summary = without_gone(scored, config.gone, results_uri)
    gone = summary.reasons.get(GONE, 0)
    counts = {**summary.counts(), "gone": gone, "reasons": summary.reasons}
    store.write(store.join(night_uri, "summary.json"), _json({**asdict(chosen), **counts}))
    if summary.failed > gone:
        message = f"{summary.failed} of {summary.inputs} objects could not be fetched ({summary.reasons})"
        raise RunError("RUN_INPUTS_FAILED", message, "run the same night again; done work is kept (many gone? see gone.most)")
    if gone:
        _logger.warning(f"{gone} of {summary.inputs} objects of the night are gone ({GONE}): the worklist is without them")
    manifest = read_manifest(chosen.bundle, chosen.fingerprint)
    ranked = marked(worklist(table, manifest.task, manifest.decision), key.id)
    for name in ("worklist.parquet", "worklist.csv"):
        store.write(store.join(night_uri, name), table_bytes(ranked, name))
    return ScreenResult(night_uri, chosen, manifest.task, ranked, summary)


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


def _fix_night(config: ScreenConfig, night_uri: str) -> Chosen:
    """The bundle of the night, recorded by the first start."""
    record_uri = store.join(night_uri, "night.json")
    if store.exists(record_uri):
        return _started(config, _record(record_uri))
    chosen = _choose(config)
    next(store.pages(config.source))
    record = {"source": store.normalise(config.source), **asdict(chosen)}
    if not store.create(record_uri, _json(record)):
        return _fix_night(config, night_uri)  # another start was faster: its night counts
    return chosen


def _record(uri: str) -> dict[str, str]:
    """What ``night.json`` says; raises RunError NIGHT_UNREADABLE."""
    try:
        found = json_object(store.read(uri))
        return {name: str(found[name]) for name in ("source", "bundle", "fingerprint")} | {
            "why": str(found.get("why", "an earlier start of this night chose it"))
        }
    except (ValueError, KeyError) as error:
        raise RunError("NIGHT_UNREADABLE", f"{uri} is broken", "use another name for the night") from error


def _choose(config: ScreenConfig) -> Chosen:
    if config.bundle:
        uri = store.normalise(config.bundle)
        found = open_bundle(uri, fingerprint=registry.recorded(uri, config.output))
        return Chosen(found.uri, found.fingerprint, "the configuration names it")
    champion = registry.champion(config.output, config.champion)
    open_bundle(champion.bundle, fingerprint=champion.fingerprint)
    return Chosen(champion.bundle, champion.fingerprint, f"champion of {champion.question}, {champion.why}")


def _started(config: ScreenConfig, record: dict[str, str]) -> Chosen:
    """The bundle that a night was started with; raises ConfigError NIGHT_DIFFERS where it or the configuration has changed."""
    asked = (store.normalise(config.source), store.normalise(config.bundle) if config.bundle else record["bundle"])
    if asked != (record["source"], record["bundle"]):
        message = f"{config.night} was started with {record['source']} and {record['bundle']}"
        raise ConfigError("NIGHT_DIFFERS", message, "use another name")
    manifest = read_manifest(record["bundle"])
    if manifest.fingerprint() != record["fingerprint"]:
        message = f"the bundle {record['bundle']} has changed since {config.night} was started"
        raise ConfigError("NIGHT_DIFFERS", message, "use another name")
    if config.champion not in (None, manifest.task.question, manifest.task.target):
        message = f"{config.night} was started with a bundle of {manifest.task.question}"
        raise ConfigError("NIGHT_DIFFERS", message, "use another name")
    return Chosen(record["bundle"], record["fingerprint"], record["why"])


def _fixed_inputs(source: str, night_uri: str) -> pa.Table:
    """The objects of the night, listed once: of several starts, all take the list that was there first."""
    uri = store.join(night_uri, "inputs.parquet")
    if not store.exists(uri):
        store.create(uri, tables.parquet_bytes(object_rows(archive.list_objects(source))))
    return pq.read_table(pa.BufferReader(store.read(uri)))


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
