"""Catalog → trained, evaluated, published bundles: ``medray train``."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from medray.bundles.input_spec import InputSpec
from medray.data import store, tables
from medray.data.catalog import Catalog
from medray.data.splits import OUT_OF_FOLD
from medray.errors import RunError
from medray.progress import Progress, counting
from medray.runs.draft import Draft, Run, Settings, environment
from medray.runs.executor import Executor, executing
from medray.runs.fits import fit_all
from medray.runs.fitting import draft, fit_job, prepare_job, table_uri
from medray.runs.held_out import Scores, score_held_out
from medray.runs.out_of_fold import fit_folds
from medray.runs.promotion import promote_best
from medray.runs.publish import TrainResult, publish
from medray.runs.samples import labelled_samples, require_sides, sample_columns, write_samples
from medray.runs.split import SPLIT, cautions_of, counts_of, split_csv
from medray.runs.summary import Summary, summarise
from medray.runs.train_config import TrainConfig
from medray.spec import fingerprint
from medray.types import State
from medray.work.context import OnStep
from medray.work.table import outcomes

_APART = {"output", "catalog", "cluster", "resources", "tune", "cache", "promote"}
"""Settings that do not change what a run learns."""


def train(config: TrainConfig, progress: Progress | None = None, on_step: OnStep | None = None) -> TrainResult:
    """Prepare the inputs, fit every model, choose how to decide on validation or out of fold, evaluate, and publish the best.

    A run is named by its configuration and data: the same command again resumes it, from the checkpoints where a fit was cut off.

    Raises:
        LabelError, StoreError, ModelError, RunError
    """
    samples, version = labelled_samples(
        config.catalog, config.task, config.labels.split, config.labels.keep, pooled=config.folds > 0
    )
    name = run_name(config, samples)
    uri = store.join(config.output, "runs", name)
    store.write(store.join(uri, SPLIT), split_csv(samples))
    with executing(config.cluster) as executor:
        kept, summary = prepare(executor, config, samples, progress)
        provenance = {"run": name, "catalog": Catalog(config.catalog).uri, "catalog_version": version, **environment()}
        run = Run(
            output=config.output,
            uri=uri,
            settings=Settings(config.task, config.threshold, config.seed, config.resources.actors),
            samples=kept,
            provenance=provenance,
            split=[one for one in counts_of(config.task, samples) if one["split"] != "val" or not config.folds],
            warnings=cautions_of(config.task, samples, config.labels.split),
            decided_on=OUT_OF_FOLD if config.folds else "val",
        )
        samples_uri = write_samples(kept, uri)
        if config.folds:
            drafts, scores = fit_folds(executor, run, config, progress, on_step)
        else:
            drafts, scores = _fit_once(executor, run, config, samples_uri, progress, on_step)
        result = publish(run, drafts, scores, summary)
        return promote_best(executor, run, result, config.promote, progress)


def _fit_once(
    executor: Executor, run: Run, config: TrainConfig, samples_uri: str, progress: Progress | None, on_step: OnStep | None
) -> tuple[dict[str, Draft], Scores]:
    """Fit every model on the training split; returns what is to be published, and the answers for the others."""
    jobs = {model: fit_job(config, model, samples_uri, run.uri) for model in config.models}
    fit_all(executor, [(job, config.models[model].scaling) for model, job in jobs.items()], len(run.samples), on_step)
    drafts = {model: draft(run, config, model, job) for model, job in jobs.items()}
    return drafts, score_held_out(executor, run, drafts, progress)


def run_name(config: TrainConfig, samples: pa.Table) -> str:
    """Name of the run that this configuration, these samples and the source that prepares them make.

    Where it runs does not matter.
    """
    decides = config.model_dump(mode="json", exclude=_APART)
    data = tables.table_digest(samples.select(sample_columns(samples)))
    inputs = [table_uri("", spec, config.task) for spec in used_inputs(config).values()]
    return f"{config.name}-{fingerprint([decides, data, inputs])}"


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
    require_sides(config.task, kept, ("train",) if config.folds else ("train", "val"), summary.reasons)
    return kept, summary


def used_inputs(config: TrainConfig) -> dict[str, InputSpec]:
    """The inputs that some model takes."""
    return {name: config.inputs[name] for name in sorted({model.input for model in config.models.values()})}
