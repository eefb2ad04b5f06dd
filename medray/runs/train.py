"""Catalog → trained, evaluated, published bundles: ``medray train``."""

from __future__ import annotations

from dataclasses import asdict

import pyarrow as pa
import pyarrow.compute as pc

from medray.bundles.bundle import MODEL
from medray.bundles.input_spec import InputSpec
from medray.bundles.manifest import Manifest
from medray.data import store, tables
from medray.data.catalog import Catalog
from medray.errors import RunError
from medray.models.table import family_of
from medray.progress import Progress, counting
from medray.runs.executor import Executor, executing
from medray.runs.fits import fit_all
from medray.runs.promotion import promote_best
from medray.runs.publish import Draft, Run, Settings, TrainResult, environment, publish, score_held_out
from medray.runs.samples import labelled_samples, require_sides, sample_columns, write_samples
from medray.runs.split import SPLIT, cautions_of, counts_of, split_csv
from medray.runs.summary import Summary, summarise
from medray.runs.train_config import TrainConfig
from medray.source import source_fingerprint
from medray.spec import fingerprint
from medray.tasks.task import Task
from medray.types import State
from medray.work.context import OnStep
from medray.work.fit import FitJob
from medray.work.outcome import ONLY_MASKS, ONLY_VOLUMES
from medray.work.prepare import PrepareJob
from medray.work.table import outcomes

_APART = {"output", "catalog", "cluster", "resources", "tune", "cache", "promote"}
"""Settings that do not change what a run learns."""


def train(config: TrainConfig, progress: Progress | None = None, on_step: OnStep | None = None) -> TrainResult:
    """Prepare the inputs, fit every model, choose how to decide on validation, evaluate, and publish the best.

    A run is named by its configuration and data: the same command again resumes it, from the checkpoints where a fit was cut off.

    Raises:
        LabelError, StoreError, ModelError, RunError
    """
    samples, catalog_version = labelled_samples(config.catalog, config.task, config.labels.split, config.labels.keep)
    name = run_name(config, samples)
    uri = store.join(config.output, "runs", name)
    store.write(store.join(uri, SPLIT), split_csv(samples))
    with executing(config.cluster) as executor:
        kept, summary = prepare(executor, config, samples, progress)
        samples_uri = write_samples(kept, uri)
        jobs = {model: fit_job(config, model, samples_uri, uri) for model in config.models}
        fit_all(executor, [(job, config.models[model].scaling) for model, job in jobs.items()], len(kept), on_step)
        provenance = {"run": name, "catalog": Catalog(config.catalog).uri, "catalog_version": catalog_version, **environment()}
        settings = Settings(config.task, config.threshold, config.seed, config.resources.actors)
        warnings = cautions_of(config.task, samples, config.labels.split)
        run = Run(config.output, uri, settings, kept, provenance, counts_of(config.task, samples), warnings)
        drafts = {model: draft(run, config, job) for model, job in jobs.items()}
        scores = score_held_out(executor, run, drafts, progress)
        result = publish(run, drafts, scores, summary)
        return promote_best(executor, run, result, config.promote, progress)


def draft(run: Run, config: TrainConfig, job: FitJob) -> Draft:
    """The bundle of a fitted model but for its decision."""
    model = config.models[job.model]
    spec = config.inputs[model.input]
    manifest = Manifest(
        name=f"{config.name}-{job.model}",
        task=config.task,
        family=model.family,
        params=family_of(model.family).params.model_validate(model.params).model_dump(mode="json"),
        input=spec,
        modalities=tuple(sorted(set(run.samples["modality"].to_pylist()) - {""})),
        units=units_of(run.samples, spec),
        provenance={**run.provenance, "seed": config.seed, "images": run.images()},
    )
    return Draft(manifest, {MODEL: job.model_uri})


def units_of(samples: pa.Table, spec: InputSpec) -> tuple[str, ...]:
    """The units of the samples' pixels; none where the preprocessing brings them, or an older catalog does not tell."""
    if spec.preprocess.brings_units or "units" not in samples.column_names:
        return ()
    return tuple(sorted({units or "" for units in samples["units"].to_pylist()}))


def run_name(config: TrainConfig, samples: pa.Table) -> str:
    """Name of the run that this configuration, these samples and the source that prepares them make.

    Where it runs does not matter.
    """
    decides = config.model_dump(mode="json", exclude=_APART)
    data = tables.table_digest(samples.select(sample_columns(samples)))
    inputs = [table_uri("", spec, config.task) for spec in used_inputs(config).values()]
    return f"{config.name}-{fingerprint([decides, data, inputs])}"


def table_uri(output: str, spec: InputSpec, task: Task) -> str:
    """The table of prepared inputs under an output root.

    Its path holds the fingerprint of what made it, specs and source, so that changed ops never meet stale data.
    """
    unused = ONLY_VOLUMES if task.masked else (*ONLY_VOLUMES, *ONLY_MASKS)
    code = source_fingerprint("medray.work.prepare", "medray.work.outcome", "medray.work.chunk_file", *spec.modules, apart=unused)
    masks = asdict(task.mask_choice) if task.masked else None
    made_by = fingerprint([spec.model_dump(mode="json"), masks, code])
    return store.join(output, "cache", f"{spec.kind}-{made_by}")


def prepare(executor: Executor, config: TrainConfig, samples: pa.Table, progress: Progress | None) -> tuple[pa.Table, Summary]:
    """Make the table of every input; returns the samples that every input could be made of, and the sums.

    Raises:
        RunError: RUN_INPUTS_FAILED when objects could not be fetched.
        LabelError: what is left is too little to learn from.
    """
    bad = pa.table({"uri": pa.array([], pa.string()), "state": pa.array([], pa.string()), "code": pa.array([], pa.string())})
    for name, spec in used_inputs(config).items():
        uri = table_uri(config.output, spec, config.task)
        executor.process(samples, prepare_job(config, spec), uri, config.resources.actors, counting(progress, f"prepare {name}"))
        found = outcomes(samples, uri, bad.column_names)
        found = found.filter(pc.not_equal(found["state"], State.SCORED.value))
        bad = pa.concat_tables([bad, found.filter(pc.invert(pc.is_in(found["uri"], bad["uri"].combine_chunks())))])
    good = pc.invert(pc.is_in(samples["uri"], bad["uri"].combine_chunks()))
    kept = samples.filter(good)
    scored = {"uri": kept["uri"], "state": pa.array([State.SCORED.value] * len(kept)), "code": pa.array([""] * len(kept))}
    summary = summarise(pa.concat_tables([bad, pa.table(scored)]), len(samples))
    if summary.failed:
        raise RunError(
            "RUN_INPUTS_FAILED", f"{summary.failed} of {len(samples)} images could not be fetched", "run again; done work is kept"
        )
    require_sides(config.task, kept, unusable=summary.reasons)
    return kept, summary


def prepare_job(config: TrainConfig, spec: InputSpec) -> PrepareJob:
    """What makes the samples of an input."""
    return PrepareJob(spec, config.task.masked, config.task.mask_choice)


def used_inputs(config: TrainConfig) -> dict[str, InputSpec]:
    """The inputs that some model takes."""
    return {name: config.inputs[name] for name in sorted({model.input for model in config.models.values()})}


def fit_job(config: TrainConfig, name: str, samples_uri: str, run_uri: str) -> FitJob:
    """The fit of one model on the samples at ``samples_uri``."""
    model = config.models[name]
    spec = config.inputs[model.input]
    columns = spec.columns()
    return FitJob(
        model=name,
        family=model.family,
        params=model.params,
        task=config.task,
        samples_uri=samples_uri,
        values_uri=table_uri(config.output, spec, config.task),
        record=prepare_job(config, spec).record,
        columns=columns,
        fit_uri=store.join(run_uri, "fits", name),
        seed=config.seed,
        cache=config.cache,
    )
