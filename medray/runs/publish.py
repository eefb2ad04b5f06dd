"""Fitted models → judged and published bundles: scores of the held-out images, thresholds, metrics, registry."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medray.bundles import registry
from medray.bundles.bundle import Bundle, Manifest, open_bundle, read_manifest, write_bundle
from medray.bundles.input_spec import InputSpec
from medray.data import store
from medray.data.labels import SPLITS
from medray.distributed.dataset import outcomes, process
from medray.distributed.train import FitJob
from medray.errors import RunError
from medray.evaluation.binary import Metrics, evaluate
from medray.evaluation.thresholds import Threshold, choose_threshold
from medray.models.table import family_of
from medray.progress import Progress, counting
from medray.runs.summary import Summary
from medray.runs.train_config import TrainConfig
from medray.spec import fingerprint
from medray.types import Bool, Float64, Int64, State
from medray.work.score import ScoreJob

_PACKAGES = (
    *("medray", "ray", "torch", "monai", "scikit-learn", "xgboost", "xgboost-cpu"),
    *("pydicom", "imagecodecs", "opencv-python-headless", "numpy"),
)


@dataclass(frozen=True)
class Scores:
    """Probabilities of the held-out images.

    Attributes:
        rows: the samples (uri, y, group, split, …) that were scored, sorted by URI.
        probability: model → float64 (n,).
    """

    rows: pa.Table
    probability: Mapping[str, Float64]

    def of(self, split: str) -> tuple[Int64, Bool, list[str]]:
        """(y of the split, which rows are in it, their groups)."""
        inside = np.asarray(pc.equal(self.rows["split"], split))
        groups = [group for group, at in zip(self.rows["group"].to_pylist(), inside, strict=True) if at]
        return self.rows["y"].to_numpy()[inside], inside, groups


@dataclass(frozen=True)
class TrainResult:
    """What a training run made.

    Attributes:
        run_uri: folder of the run: samples, metrics, report.
        best: name of the champion.
        bundles: model → opened bundle.
        metrics: model → metrics on ``evaluated_on``.
        evaluated_on: ``"test"`` where there is such a split, else ``"val"``.
    """

    run_uri: str
    best: str
    bundles: Mapping[str, Bundle]
    metrics: Mapping[str, Metrics]
    evaluated_on: str
    scores: Scores
    summary: Summary


def environment() -> dict[str, Any]:
    """Versions that can change an answer."""
    installed = {name: _version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), "packages": {name: number for name, number in installed.items() if number}}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # xgboost comes as one of two packages
        return ""


@dataclass(frozen=True)
class Run:
    """What every bundle of a run shares.

    Attributes:
        samples: the images that every input could be made of, with y, group and split.
        provenance: run, catalog, its version, package versions.
    """

    config: TrainConfig
    uri: str
    samples: pa.Table
    provenance: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The run's name."""
        return self.uri.rsplit("/", 1)[-1]

    def images(self) -> dict[str, int]:
        """Number of images of each split."""
        splits = self.samples["split"].to_pylist()
        return {split: splits.count(split) for split in SPLITS}


def write_draft(run: Run, job: FitJob) -> str:
    """Write the bundle of a fitted model whose threshold is not chosen yet; returns its URI."""
    threshold = Threshold(value=0.5, reason="draft: not chosen yet")
    return _write(run, job, store.join(run.uri, "drafts", job.model), threshold, {})


def _write(run: Run, job: FitJob, uri: str, threshold: Threshold, metrics: dict[str, Any]) -> str:
    config, name = run.config, job.model
    model = config.models[name]
    manifest = Manifest(
        name=f"{config.name}-{name}",
        family=model.family,
        params=family_of(model.family).params.model_validate(model.params).model_dump(mode="json"),
        input=config.inputs[model.input],
        target=config.labels.target,
        positive=config.labels.positive,
        modalities=tuple(sorted(set(run.samples["modality"].to_pylist()) - {""})),
        units=_units(run.samples, config.inputs[model.input]),
        threshold=threshold,
        metrics=metrics,
        provenance={**run.provenance, "seed": config.seed, "images": run.images()},
    )
    with store.local_folder(job.model_uri) as folder:
        write_bundle(manifest, folder, uri)
    return uri


def _units(samples: pa.Table, spec: InputSpec) -> tuple[str, ...]:
    """The units of the samples' pixels; none where the preprocessing brings them, or an older catalog does not tell."""
    if spec.preprocess.brings_units or "units" not in samples.column_names:
        return ()
    return tuple(sorted({units or "" for units in samples["units"].to_pylist()}))


def score_held_out(run: Run, drafts: Mapping[str, str], progress: Progress | None) -> Scores:
    """Probabilities of every validation and test image, through the bundles themselves; needs a running session.

    Raises:
        RunError: RUN_NOT_SCORED.
    """
    held_out = run.samples.filter(pc.not_equal(run.samples["split"], "train"))
    scored_by = fingerprint({name: read_manifest(uri).fingerprint() for name, uri in drafts.items()})
    scores_uri = store.join(run.uri, f"scores-{scored_by}")
    process(held_out, ScoreJob(dict(drafts)), scores_uri, run.config.resources.actors, counting(progress, "evaluate"))
    table = outcomes(held_out, scores_uri, ["uri", "etag", "state", *drafts])
    known = held_out.select(["uri", "patient_key", "y", "group", "split"])
    joined = known.join(table.drop_columns(["etag"]), keys="uri", join_type="inner").sort_by("uri")
    if len(joined) != len(held_out) or set(joined["state"].to_pylist()) - {State.SCORED.value}:
        raise RunError("RUN_NOT_SCORED", "some held-out images could not be scored", "run again with --debug")
    return Scores(joined, {name: joined[name].to_numpy() for name in drafts})


def publish(run: Run, jobs: Mapping[str, FitJob], scores: Scores, summary: Summary) -> TrainResult:
    """Choose thresholds on validation, write the bundles, record them with the best one as champion."""
    evaluated_on = "test" if run.images()["test"] else "val"
    metrics: dict[str, Metrics] = {}
    bundles: dict[str, Bundle] = {}
    validation: dict[str, float] = {}
    for name, job in jobs.items():
        threshold, by_split = _judge(run.config, scores, name)
        metrics[name] = by_split[evaluated_on]
        validation[name] = by_split["val"].auroc.value or 0.0
        recorded = {split: value.model_dump(mode="json") for split, value in by_split.items()}
        uri = store.join(run.config.output, "bundles", run.name, name)
        bundles[name] = open_bundle(_write(run, job, uri, threshold, recorded))
    best = max(validation, key=lambda name: (validation[name], name))
    registry.publish(run.config.output, [_record(run, name, bundles[name], validation[name], name == best) for name in jobs])
    result = TrainResult(run.uri, best, bundles, metrics, evaluated_on, scores, summary)
    store.write(store.join(run.uri, "metrics.json"), (json.dumps(as_json(result), indent=2) + "\n").encode())
    return result


def _judge(config: TrainConfig, scores: Scores, name: str) -> tuple[Threshold, dict[str, Metrics]]:
    """The threshold chosen on validation, and the metrics of each held-out split."""
    probability = scores.probability[name]
    y, inside, _ = scores.of("val")
    threshold = choose_threshold(y, probability[inside], config.threshold)
    by_split: dict[str, Metrics] = {}
    for split in ("val", "test"):
        y, inside, groups = scores.of(split)
        if len(y):
            by_split[split] = evaluate(y, probability[inside], threshold.value, groups=np.array(groups), seed=config.seed)
    return threshold, by_split


def _record(run: Run, name: str, bundle: Bundle, auroc: float, champion: bool) -> dict[str, Any]:
    return {
        "run": run.name,
        "model": name,
        "family": bundle.manifest.family,
        "bundle": bundle.uri,
        "fingerprint": bundle.fingerprint,
        "auroc": auroc,
        "champion": champion,
    }


def as_json(result: TrainResult) -> dict[str, Any]:
    """The result as plain data, as ``medray train --json`` prints it."""
    models = {
        name: {
            "bundle": bundle.uri,
            "fingerprint": bundle.fingerprint,
            "threshold": bundle.manifest.threshold.model_dump(mode="json"),
            "metrics": result.metrics[name].model_dump(mode="json"),
        }
        for name, bundle in result.bundles.items()
    }
    return {
        "run": result.run_uri,
        "best": result.best,
        "bundle": result.bundles[result.best].uri,
        "evaluated_on": result.evaluated_on,
        "models": models,
        **result.summary.counts(),
        "reasons": result.summary.reasons,
    }
