"""Fitted models → judged and published bundles: answers for the held-out images, decisions, figures, registry."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from medray.bundles import registry
from medray.bundles.bundle import open_bundle
from medray.bundles.scorer import Scorer
from medray.data import store
from medray.data.splits import IN_WORDS, OUT_OF_FOLD
from medray.evaluation.cautions import Caution
from medray.evaluation.recalibration import Calibration
from medray.runs.draft import Draft, Run
from medray.runs.held_out import Scores
from medray.runs.summary import Summary
from medray.tasks.cautions import of_cohort, of_model
from medray.tasks.decision import Judged
from medray.tasks.head import Monitor
from medray.tasks.page import Cell
from medray.tasks.task import Task


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
        best: name of the model with the best monitored figure on the images that were decided on.
        bundles: model → opened bundle.
        judged: model → its answers and figures on ``evaluated_on``.
        evaluated_on: see :attr:`medray.runs.draft.Run.evaluated_on`.
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


def publish(run: Run, drafts: Mapping[str, Draft], scores: Scores, summary: Summary) -> TrainResult:
    """Choose how to decide, write the bundles and record them; which one is champion is decided elsewhere."""
    judged: dict[str, Judged] = {}
    bundles: dict[str, Scorer] = {}
    validation: dict[str, float] = {}
    warnings = list(run.warnings)
    for name, draft in drafts.items():
        calibration = _calibration(run, scores, name)
        if calibration:
            scores = scores.mapped(name, partial(run.settings.task.recalibrated, calibration=calibration))
        by_split = _judge(run, scores, name, calibration)
        judged[name] = by_split[run.evaluated_on]
        value = by_split[run.decided_on].figures.monitor.value
        validation[name] = float("nan") if value is None else value
        warnings += _warnings(run, by_split, first=len(judged) == 1)
        recorded = {split: found.figures.model_dump(mode="json") for split, found in by_split.items()}
        uri = draft.write(store.join(run.output, "bundles", run.name, name), judged[name].decision, recorded)
        bundles[name] = open_bundle(uri, own=True)
    best = best_of(validation, run.settings.task.monitor)
    registry.publish(run.output, [registry.Published.of(bundles[name]) for name in drafts])
    result = TrainResult(
        run.uri, run.settings.task, best, bundles, judged, run.evaluated_on, scores, summary, split=run.split, warnings=warnings
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


def _calibration(run: Run, scores: Scores, name: str) -> Calibration | None:
    """Of a model's answers out of fold; none of those on one small validation split."""
    return run.settings.task.calibration(scores.of(name, OUT_OF_FOLD)) if run.decided_on == OUT_OF_FOLD else None


def _judge(run: Run, scores: Scores, name: str, calibration: Calibration | None) -> dict[str, Judged]:
    """The model on each held-out split, with the decision that was chosen on one of them."""
    task, found = run.settings.task, {split: scores.of(name, split) for split in (run.decided_on, "test")}
    decision = task.decision(found[run.decided_on], run.settings.policy, IN_WORDS[run.decided_on])
    decision = decision.model_copy(update={"calibration": calibration})
    return {
        split: Judged(name, rows, task.evaluate(rows, decision, run.settings.seed), decision)
        for split, rows in found.items()
        if len(rows)
    }


def _warnings(run: Run, by_split: Mapping[str, Judged], first: bool) -> list[Caution]:
    """Of a model on the images that its decision was chosen on; with the first one, of the images that all are judged on."""
    task = run.settings.task
    cohort = of_cohort(task, by_split[run.evaluated_on].rows, f"{run.evaluated_on} images") if first else []
    return [*cohort, *of_model(task, by_split[run.decided_on], f"the {IN_WORDS[run.decided_on]} images")]


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
