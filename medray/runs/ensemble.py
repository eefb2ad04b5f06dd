"""Published bundles of one task → a bundle that combines them: ``medray ensemble``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from medray.bundles.combiner import Combiner, check_combiner, fit_combiner
from medray.bundles.manifest import Manifest, read_manifest
from medray.bundles.registry import recorded
from medray.data import store, tables
from medray.data.splits import SplitSpec
from medray.distributed.session import ClusterSpec
from medray.errors import ConfigError, RunError
from medray.evaluation.thresholds import ThresholdPolicy
from medray.progress import Progress, counting
from medray.runs.draft import Run, Settings, combined, environment
from medray.runs.executor import Executor, executing
from medray.runs.held_out import score_held_out
from medray.runs.promotion import PromoteSpec, promote_best
from medray.runs.publish import TrainResult, publish
from medray.runs.resources import Resources
from medray.runs.samples import labelled_samples, require_sides, sample_columns, write_samples
from medray.runs.split import SPLIT, cautions_of, counts_of, split_csv
from medray.runs.summary import Summary, summarise
from medray.spec import Spec, canonical_json, fingerprint
from medray.tasks.task import Task
from medray.types import State
from medray.work.score import score_job
from medray.work.table import outcomes


class EnsembleLabels(Spec):
    """How labelled images are divided: as in the runs that made the members, or they are judged on what they have learnt."""

    split: SplitSpec = SplitSpec()


class EnsembleConfig(Spec):
    """``medray ensemble``."""

    output: str = Field(description="root of everything a run makes")
    catalog: str = Field(description="where `medray ingest` wrote")
    name: str = Field("ensemble", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    members: tuple[str, ...] = Field(min_length=2, description="URIs of published bundles of one task")
    combine: Literal["mean", "stacked"] = Field(
        "mean", description="mean of the answers, or a regression on them that is fitted on validation images"
    )
    seed: int = Field(0, ge=0, le=2**31 - 1)
    labels: EnsembleLabels = EnsembleLabels()
    threshold: ThresholdPolicy = ThresholdPolicy()
    promote: PromoteSpec = PromoteSpec()
    cluster: ClusterSpec = ClusterSpec()
    resources: Resources = Resources()


def ensemble(config: EnsembleConfig, progress: Progress | None = None) -> TrainResult:
    """Combine the members, choose how to decide on validation, evaluate on test, and publish; the same command resumes.

    Raises:
        ConfigError: ENSEMBLE_TASKS, ENSEMBLE_HEAD, CONFIG_INVALID; LabelError, StoreError, BundleError, RunError.
    """
    uris = [store.normalise(uri) for uri in config.members]
    manifests = [read_manifest(uri, recorded(uri, config.output)) for uri in uris]
    task = _common_task(manifests, config)
    samples, version = labelled_samples(config.catalog, task, config.labels.split)
    fingerprints = [manifest.fingerprint() for manifest in manifests]
    name = _run_name(config, fingerprints, samples)
    run_uri = store.join(config.output, "runs", name)
    settings = Settings(task, config.threshold, config.seed, config.resources.actors)
    members = {str(number): uri for number, uri in enumerate(uris)}
    provenance = {"run": name, "catalog": store.normalise(config.catalog), "catalog_version": version, **environment()}
    store.write(store.join(run_uri, SPLIT), split_csv(samples))
    known = dict(zip(uris, fingerprints, strict=True))
    with executing(config.cluster) as executor:
        kept, answers, summary = _answers(executor, members, known, samples, run_uri, settings, progress)
        combiner = Combiner() if config.combine == "mean" else _fitted(settings, members, answers)
        provenance["members"] = known
        warnings = cautions_of(task, samples, config.labels.split)
        run = Run(config.output, run_uri, settings, kept, provenance, counts_of(task, samples), warnings)
        drafts = {str(config.combine): combined(run, f"{config.name}-{config.combine}", uris, combiner)}
        write_samples(kept, run_uri)
        scores = score_held_out(executor, run, drafts, progress)
        result = publish(run, drafts, scores, summary)
        return promote_best(executor, run, result, config.promote, progress)


def _common_task(manifests: Sequence[Manifest], config: EnsembleConfig) -> Task:
    """The task of all members; raises ConfigError where they differ, cannot be combined, or take no threshold."""
    task = manifests[0].task
    if other := next((manifest.task for manifest in manifests if manifest.task != task), None):
        message = (
            f"the members learn different tasks: {canonical_json(task.model_dump())} and {canonical_json(other.model_dump())}"
        )
        raise ConfigError("ENSEMBLE_TASKS", message, "name bundles of one task")
    check_combiner(task.head, config.combine)
    if not task.decides and "threshold" in config.model_fields_set:
        raise ConfigError("CONFIG_INVALID", f"threshold: the task {task.kind} takes none", "remove it from the configuration")
    return task


def _run_name(config: EnsembleConfig, fingerprints: Sequence[str], samples: pa.Table) -> str:
    """Name of the run that this configuration, these members and samples make."""
    decides = config.model_dump(mode="json", exclude={"output", "catalog", "members", "cluster", "resources", "promote"})
    data = tables.table_digest(samples.select(sample_columns(samples)))
    return f"{config.name}-{fingerprint([decides, list(fingerprints), data])}"


def _answers(
    executor: Executor,
    members: Mapping[str, str],
    fingerprints: Mapping[str, str],
    samples: pa.Table,
    run_uri: str,
    settings: Settings,
    progress: Progress | None,
) -> tuple[pa.Table, pa.Table, Summary]:
    """The held-out samples that every member answers for, the answers, and the sums.

    Raises:
        RunError: RUN_INPUTS_FAILED.
        LabelError: too little is left to choose a decision on.
    """
    held_out = samples.filter(pc.not_equal(samples["split"], "train")).sort_by("uri")
    job = score_job({f"{number}.": uri for number, uri in members.items()}, fingerprints=fingerprints)
    table_uri = store.join(run_uri, "members")
    executor.process(held_out, job, table_uri, settings.actors, counting(progress, "score members"))
    table = outcomes(held_out, table_uri, ["uri", "state", "code", *(field.name for field in job.fields())])
    summary = summarise(table, len(held_out))
    if summary.failed:
        message = f"{summary.failed} of {len(held_out)} images could not be fetched"
        raise RunError("RUN_INPUTS_FAILED", message, "run again; done work is kept")
    scored = pc.equal(table["state"], State.SCORED.value)
    kept = held_out.filter(scored)
    require_sides(settings.task, kept, ("val",), summary.reasons)
    return kept, pa.table({**{name: kept[name] for name in ("target", "split")}, **_columns(table.filter(scored))}), summary


def _columns(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return {name: table[name] for name in table.column_names if name not in ("uri", "state", "code")}


def _fitted(settings: Settings, members: Mapping[str, str], answers: pa.Table) -> Combiner:
    """The stacked combiner of the validation images."""
    rows = answers.filter(pc.equal(answers["split"], "val"))
    outputs = []
    for number in members:
        own = [name for name in rows.column_names if name.startswith(f"{number}.")]
        outputs.append(settings.task.outputs(rows.select(own).rename_columns([name.removeprefix(f"{number}.") for name in own])))
    return fit_combiner(settings.task.head, outputs, settings.task.truth(rows["target"]))
