"""Catalog → trained, evaluated, published bundles: ``medray train``."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medray import registry
from medray.bundle import Bundle, InputSpec, Manifest, open_bundle, write_bundle
from medray.data import store, tables
from medray.data.catalog import Catalog
from medray.data.labels import assign_splits, join_labels
from medray.distributed import session
from medray.distributed.dataset import outcomes, process
from medray.distributed.jobs import PrepareJob, ScoreJob
from medray.distributed.train import FitJob, fit_all
from medray.errors import RunError
from medray.lifecycle.config import TrainConfig
from medray.lifecycle.summary import Progress, Summary, summarise
from medray.metrics import Metrics, Threshold, choose_threshold, evaluate
from medray.models.table import family_of
from medray.spec import fingerprint
from medray.types import Bool, Float64, Int64, State

OnStep = Callable[[str, int, dict[str, float]], None]
_PACKAGES = (
    "medray",
    "ray",
    "torch",
    "monai",
    "scikit-learn",
    "xgboost-cpu",
    "pydicom",
    "imagecodecs",
    "opencv-python-headless",
    "numpy",
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


def train(config: TrainConfig, progress: Progress | None = None, on_step: OnStep | None = None) -> TrainResult:
    """Prepare the inputs, fit every model, choose thresholds on validation, evaluate, and publish the best.

    A run is named by its configuration and data: the same command again resumes it, from the checkpoints where a fit was cut off.

    Raises:
        LabelError, StoreError, ModelError, RunError
    """
    samples, catalog_version = labelled_samples(config)
    run = run_name(config, samples)
    run_uri = store.join(config.output, "runs", run)
    with session.session(config.cluster):
        kept, summary = prepare(config, samples, progress)
        jobs = {name: fit_job(config, name, kept, run_uri) for name in config.models}
        fit_all([(job, config.models[name].scaling) for name, job in jobs.items()], on_step)
        provenance = {"run": run, "catalog": Catalog(config.catalog).uri, "catalog_version": catalog_version, **environment()}
        drafts = {name: _write(config, name, job, kept, provenance, run_uri) for name, job in jobs.items()}
        scores = score_held_out(config, drafts, kept, run_uri, progress)
    return _publish(config, jobs, kept, provenance, scores, run_uri, summary)


def labelled_samples(config: TrainConfig) -> tuple[pa.Table, int]:
    """Labelled images of the catalog with their split, sorted by URI, and the catalog's version."""
    catalog = Catalog(config.catalog)
    images = catalog.images()
    rows = join_labels(images, catalog.labels(), config.labels.target, config.labels.positive)
    return assign_splits(rows, config.labels.split).sort_by("uri"), catalog.version()


def run_name(config: TrainConfig, samples: pa.Table) -> str:
    """Name of the run that this configuration and these samples make; where it runs does not matter."""
    decides = config.model_dump(mode="json", exclude={"output", "catalog", "cluster", "resources", "tune"})
    data = samples.select(["uri", "etag", "y", "group", "split"]).to_pydict()
    return f"{config.name}-{fingerprint([decides, data])}"


def table_uri(config: TrainConfig, spec: InputSpec) -> str:
    """The table of prepared inputs; its path holds the fingerprint of what made it, so changed specs never meet stale data."""
    return store.join(config.output, "cache", f"{spec.kind}-{spec.fingerprint()}")


def prepare(config: TrainConfig, samples: pa.Table, progress: Progress | None) -> tuple[pa.Table, Summary]:
    """Make the table of every input; returns the samples that every input could be made of, and the sums.

    Raises:
        RunError: RUN_INPUTS_FAILED when objects could not be fetched.
    """
    actors = config.resources.actors or session.cpus()
    bad: dict[str, dict[str, Any]] = {}
    for name, spec in used_inputs(config).items():
        uri = table_uri(config, spec)
        process(samples, PrepareJob(spec), uri, actors, _named(progress, f"prepare {name}"))
        for item in outcomes(samples, uri).to_pylist():
            if item["state"] != State.SCORED:
                bad.setdefault(item["uri"], item)
    states = [{"uri": uri, "state": State.SCORED.value, "code": ""} | bad.get(uri, {}) for uri in samples["uri"].to_pylist()]
    summary = summarise(pa.Table.from_pylist(states), len(samples))
    if summary.failed:
        raise RunError(
            "RUN_INPUTS_FAILED", f"{summary.failed} of {len(samples)} images could not be fetched", "run again; done work is kept"
        )
    return samples.filter(pc.invert(pc.is_in(samples["uri"], pa.array(list(bad), pa.string())))), summary


def used_inputs(config: TrainConfig) -> dict[str, InputSpec]:
    """The inputs that some model takes."""
    return {name: config.inputs[name] for name in sorted({model.input for model in config.models.values()})}


def _named(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    return (lambda done, total: progress(what, done, total)) if progress else None


def fit_job(config: TrainConfig, name: str, samples: pa.Table, run_uri: str) -> FitJob:
    """The fit of one model; writes the samples of the run beside it."""
    model = config.models[name]
    spec = config.inputs[model.input]
    samples_uri = store.join(run_uri, "samples.parquet")
    store.write(samples_uri, tables.parquet_bytes(samples.select(["uri", "y", "group", "split"])))
    columns = spec.columns()
    shape = spec.preprocess.output_shape if spec.kind == "image" else (len(columns),)
    return FitJob(
        model=name,
        family=model.family,
        params=model.params,
        samples_uri=samples_uri,
        values_uri=table_uri(config, spec),
        shape=shape or (),
        columns=columns,
        fit_uri=store.join(run_uri, "fits", name),
        seed=config.seed,
    )


def environment() -> dict[str, Any]:
    """Versions that can change an answer."""
    return {"python": platform.python_version(), "packages": {name: version(name) for name in _PACKAGES}}


def _write(
    config: TrainConfig,
    name: str,
    job: FitJob,
    samples: pa.Table,
    provenance: dict[str, Any],
    run_uri: str,
    threshold: Threshold | None = None,
    metrics: dict[str, Any] | None = None,
) -> str:
    """Write a bundle: a draft until its threshold is chosen."""
    model = config.models[name]
    splits = {split: samples["split"].to_pylist().count(split) for split in ("train", "val", "test")}
    manifest = Manifest(
        name=f"{config.name}-{name}",
        family=model.family,
        params=family_of(model.family).params.model_validate(model.params).model_dump(mode="json"),
        input=config.inputs[model.input],
        target=config.labels.target,
        positive=config.labels.positive,
        modalities=tuple(sorted(set(samples["modality"].to_pylist()) - {""})),
        threshold=threshold or Threshold(value=0.5, reason="draft: not chosen yet"),
        metrics=metrics or {},
        provenance={**provenance, "seed": config.seed, "images": splits},
    )
    uri = (
        store.join(run_uri, "drafts", name) if threshold is None else store.join(config.output, "bundles", job_run(run_uri), name)
    )
    with store.local_folder(job.model_uri) as folder:
        write_bundle(manifest, folder, uri)
    return uri


def job_run(run_uri: str) -> str:
    """The name of a run from its folder."""
    return run_uri.rsplit("/", 1)[-1]


def score_held_out(
    config: TrainConfig, drafts: Mapping[str, str], samples: pa.Table, run_uri: str, progress: Progress | None
) -> Scores:
    """Probabilities of every validation and test image, through the bundles themselves."""
    held_out = samples.filter(pc.not_equal(samples["split"], "train"))
    scores_uri = store.join(run_uri, "scores")
    actors = config.resources.actors or session.cpus()
    process(held_out, ScoreJob(dict(drafts)), scores_uri, actors, _named(progress, "evaluate"))
    table = outcomes(held_out, scores_uri, ["uri", "etag", "state", *drafts])
    known = held_out.select(["uri", "patient_key", "y", "group", "split"])
    joined = known.join(table.drop_columns(["etag"]), keys="uri", join_type="inner").sort_by("uri")
    if len(joined) != len(held_out) or set(joined["state"].to_pylist()) - {State.SCORED.value}:
        raise RunError("RUN_NOT_SCORED", "some held-out images could not be scored", "run again with --debug")
    return Scores(joined, {name: joined[name].to_numpy() for name in drafts})


def _publish(
    config: TrainConfig,
    jobs: Mapping[str, FitJob],
    samples: pa.Table,
    provenance: dict[str, Any],
    scores: Scores,
    run_uri: str,
    summary: Summary,
) -> TrainResult:
    evaluated_on = "test" if "test" in samples["split"].to_pylist() else "val"
    metrics: dict[str, Metrics] = {}
    bundles: dict[str, Bundle] = {}
    validation: dict[str, float] = {}
    for name, job in jobs.items():
        threshold, by_split = _judge(config, scores, name)
        metrics[name] = by_split[evaluated_on]
        validation[name] = by_split["val"].auroc.value or 0.0
        recorded = {split: value.model_dump(mode="json") for split, value in by_split.items()}
        bundles[name] = open_bundle(_write(config, name, job, samples, provenance, run_uri, threshold, recorded))
    best = max(validation, key=lambda name: (validation[name], name))
    registry.publish(config.output, [_record(run_uri, name, bundles[name], validation[name], name == best) for name in jobs])
    result = TrainResult(run_uri, best, bundles, metrics, evaluated_on, scores, summary)
    store.write(store.join(run_uri, "metrics.json"), (json.dumps(as_json(result), indent=2) + "\n").encode())
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


def _record(run_uri: str, name: str, bundle: Bundle, auroc: float, champion: bool) -> dict[str, Any]:
    return {
        "run": job_run(run_uri),
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
