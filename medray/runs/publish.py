"""Fitted models → judged and published bundles: answers for the held-out images, decisions, figures, registry."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from medray.bundles import registry
from medray.bundles.bundle import open_bundle
from medray.bundles.manifest import Manifest, read_manifest, write_bundle
from medray.bundles.scorer import Scorer
from medray.data import store
from medray.data.splits import SPLITS
from medray.errors import RunError
from medray.evaluation.cautions import Caution
from medray.evaluation.thresholds import ThresholdPolicy
from medray.progress import Progress, counting
from medray.runs.executor import Executor
from medray.runs.summary import Summary
from medray.spec import fingerprint
from medray.tasks.cautions import of_cohort, of_model
from medray.tasks.head import Monitor
from medray.tasks.page import Cell
from medray.tasks.task import Decision, Judged, Task
from medray.types import State
from medray.work.score import score_job
from medray.work.table import outcomes

_PACKAGES = (
    *("medray", "ray", "torch", "monai", "scikit-learn", "xgboost", "xgboost-cpu"),
    *("pydicom", "imagecodecs", "opencv-python-headless", "numpy"),
)
_KNOWN = ("uri", "patient_key", "target", "group", "split")


@dataclass(frozen=True)
class Settings:
    """How the models of a run are judged.

    Attributes:
        task, policy: what is learnt, and how to choose the threshold where there is one.
        seed: of the intervals.
        actors: see :class:`medray.runs.resources.Resources`.
    """

    task: Task
    policy: ThresholdPolicy
    seed: int
    actors: int | None


@dataclass(frozen=True)
class Run:
    """What every bundle of a run shares.

    Attributes:
        output: root of everything that runs make.
        uri: folder of the run.
        samples: the images that every input could be made of, with target, group and split.
        provenance: run, catalog, its version, package versions.
        split: patients and images of each split and class (see :func:`medray.runs.split.counts_of`).
        warnings: of the samples.
    """

    output: str
    uri: str
    settings: Settings
    samples: pa.Table
    provenance: Mapping[str, Any]
    split: Sequence[Mapping[str, Any]] = ()
    warnings: Sequence[Caution] = ()

    @property
    def name(self) -> str:
        """The run's name."""
        return self.uri.rsplit("/", 1)[-1]

    def images(self) -> dict[str, int]:
        """Number of images of each split."""
        splits = self.samples["split"].to_pylist()
        return {split: splits.count(split) for split in SPLITS}


@dataclass(frozen=True)
class Draft:
    """A bundle but for its decision and figures.

    Attributes:
        content: name in the bundle → URI of the folder.
    """

    manifest: Manifest
    content: Mapping[str, str]

    def write(self, uri: str, decision: Decision, metrics: Mapping[str, Any]) -> str:
        """Write the bundle; returns its URI."""
        manifest = self.manifest.model_copy(update={"decision": decision, "metrics": dict(metrics)})
        with ExitStack() as stack:
            folders = {name: stack.enter_context(store.local_folder(place)) for name, place in self.content.items()}
            write_bundle(manifest, folders, uri)
        return uri


@dataclass(frozen=True)
class Scores:
    """Answers for the held-out images.

    Attributes:
        rows: uri, patient_key, target, group, split, and the answer's columns of each model, each name after the model's and a
            dot; sorted by URI.
    """

    rows: pa.Table

    def of(self, model: str, split: str) -> pa.Table:
        """The images of a split with the answer's columns of one model."""
        rows = self.rows.filter(pc.equal(self.rows["split"], split))
        own = {name: name.removeprefix(f"{model}.") for name in rows.column_names if name.startswith(f"{model}.")}
        return rows.select([*_KNOWN, *own]).rename_columns([*_KNOWN, *own.values()])


@dataclass(frozen=True)
class Standing:
    """Whether the best model of a run is the champion of what it was asked.

    Attributes:
        promoted: whether it is.
        champion: URI of the champion, None where there is none.
        why: of the policy, or of the entry that made it champion before.
    """

    promoted: bool
    champion: str | None
    why: str

    @property
    def line(self) -> str:
        """All of it in one line."""
        there = self.champion or "none"
        return f"champion: {there} ({'this run' if self.promoted else 'the best of this run was not promoted'}: {self.why})"


@dataclass(frozen=True)
class TrainResult:
    """What a training run made.

    Attributes:
        run_uri: folder of the run: samples, metrics, report.
        task: what was learnt.
        best: name of the model with the best monitored figure on validation.
        bundles: model → opened bundle.
        judged: model → its answers and figures on ``evaluated_on``.
        evaluated_on: ``"test"`` where there is such a split, else ``"val"``.
        standing: what came of the best one in the registry; None until that is decided.
        split: patients and images of each split and class.
        warnings: of the samples, the judged images and the models.
    """

    run_uri: str
    task: Task
    best: str
    bundles: Mapping[str, Scorer]
    judged: Mapping[str, Judged]
    evaluated_on: str
    scores: Scores
    summary: Summary
    standing: Standing | None = None
    split: Sequence[Mapping[str, Any]] = ()
    warnings: Sequence[Caution] = ()


def environment() -> dict[str, Any]:
    """Versions that can change an answer."""
    installed = {name: _version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), "packages": {name: number for name, number in installed.items() if number}}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # xgboost comes as one of two packages
        return ""


def score_held_out(executor: Executor, run: Run, drafts: Mapping[str, Draft], progress: Progress | None) -> Scores:
    """Answers for every validation and test image, through the bundles themselves.

    Raises:
        RunError: RUN_NOT_SCORED.
    """
    written = {name: draft.write(store.join(run.uri, "drafts", name), Decision(), {}) for name, draft in drafts.items()}
    held_out = run.samples.filter(pc.not_equal(run.samples["split"], "train")).sort_by("uri")
    scored_by = fingerprint({name: read_manifest(uri, own=True).fingerprint() for name, uri in written.items()})
    scores_uri = store.join(run.uri, f"scores-{scored_by}")
    job = score_job({f"{name}.": uri for name, uri in written.items()}, run.settings.task.masked, own=True)
    executor.process(held_out, job, scores_uri, run.settings.actors, counting(progress, "evaluate"))
    answers = [field.name for field in job.fields()]
    table = outcomes(held_out, scores_uri, ["uri", "state", *answers])
    if table["uri"].to_pylist() != held_out["uri"].to_pylist() or set(table["state"].to_pylist()) - {State.SCORED.value}:
        raise RunError("RUN_NOT_SCORED", "some held-out images could not be scored", "run again with --debug")
    rows = held_out.select(_KNOWN)
    for name in answers:
        rows = rows.append_column(name, table[name])
    return Scores(rows)


def publish(run: Run, drafts: Mapping[str, Draft], scores: Scores, summary: Summary) -> TrainResult:
    """Choose how to decide on validation, write the bundles and record them; which one is champion is decided elsewhere."""
    evaluated_on = "test" if run.images()["test"] else "val"
    judged: dict[str, Judged] = {}
    bundles: dict[str, Scorer] = {}
    validation: dict[str, float] = {}
    warnings = list(run.warnings)
    for name, draft in drafts.items():
        by_split = _judge(run, scores, name)
        judged[name] = by_split[evaluated_on]
        value = by_split["val"].figures.monitor.value
        validation[name] = float("nan") if value is None else value
        warnings += _warnings(run.settings.task, by_split, evaluated_on, first=len(judged) == 1)
        recorded = {split: found.figures.model_dump(mode="json") for split, found in by_split.items()}
        uri = draft.write(store.join(run.output, "bundles", run.name, name), judged[name].decision, recorded)
        bundles[name] = open_bundle(uri, own=True)
    best = best_of(validation, run.settings.task.monitor)
    registry.publish(run.output, [registry.Published.of(bundles[name]) for name in drafts])
    result = TrainResult(
        run.uri, run.settings.task, best, bundles, judged, evaluated_on, scores, summary, split=run.split, warnings=warnings
    )
    store.write(store.join(run.uri, "metrics.json"), (json.dumps(as_json(result), indent=2) + "\n").encode())
    return result


def best_of(values: Mapping[str, float], monitor: Monitor) -> str:
    """The name with the best value of the monitored figure; of equal ones the last by name."""
    best = ""
    for name in sorted(values):
        if not best or not monitor.better(values[best], values[name]):
            best = name
    return best


def _judge(run: Run, scores: Scores, name: str) -> dict[str, Judged]:
    """The model on each held-out split, with the decision that was chosen on validation."""
    task, found = run.settings.task, {split: scores.of(name, split) for split in ("val", "test")}
    decision = task.decision(found["val"], run.settings.policy)
    return {
        split: Judged(name, rows, task.evaluate(rows, decision, run.settings.seed), decision)
        for split, rows in found.items()
        if len(rows)
    }


def _warnings(task: Task, by_split: Mapping[str, Judged], evaluated_on: str, first: bool) -> list[Caution]:
    """Of a model on the images that its decision was chosen on; with the first one, of the images that all are judged on."""
    cohort = of_cohort(task, by_split[evaluated_on].rows, f"{evaluated_on} images") if first else []
    return [*cohort, *of_model(task, by_split["val"], "the validation images")]


def as_json(result: TrainResult) -> dict[str, Any]:
    """The result as plain data, as ``medray train --json`` prints it."""
    models = {
        name: {
            "bundle": bundle.uri,
            "fingerprint": bundle.fingerprint,
            **bundle.manifest.model_dump(mode="json", include={"task", "decision", "threshold"}),
            "metrics": result.judged[name].figures.model_dump(mode="json"),
        }
        for name, bundle in result.bundles.items()
    }
    return {
        "run": result.run_uri,
        "task": result.task.model_dump(mode="json"),
        "best": result.best,
        "bundle": result.bundles[result.best].uri,
        "evaluated_on": result.evaluated_on,
        "models": models,
        **result.summary.counts(),
        "reasons": result.summary.reasons,
        "split": list(result.split),
        "warnings": [caution.model_dump() for caution in result.warnings],
    }


def cells_of(result: TrainResult) -> dict[str, list[Cell]]:
    """Model → its figures as a row of a table."""
    return {name: result.task.cells(found.figures) for name, found in result.judged.items()}
