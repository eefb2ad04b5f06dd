"""The models of a training configuration: the fit of each on prepared samples, and the bundle that it becomes."""

from __future__ import annotations

from dataclasses import asdict

import pyarrow as pa

from medray.bundles.bundle import MODEL
from medray.bundles.input_spec import InputSpec
from medray.bundles.manifest import Manifest
from medray.data import store
from medray.models.table import family_of
from medray.runs.draft import Draft, Run
from medray.runs.train_config import TrainConfig
from medray.source import source_fingerprint
from medray.spec import fingerprint
from medray.tasks.task import Task
from medray.work.fit import FitJob
from medray.work.outcome import ONLY_MASKS, ONLY_VOLUMES
from medray.work.prepare import PrepareJob


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


def prepare_job(config: TrainConfig, spec: InputSpec) -> PrepareJob:
    """What makes the samples of an input."""
    return PrepareJob(spec, config.task.masked, config.task.mask_choice)


def table_uri(output: str, spec: InputSpec, task: Task) -> str:
    """The table of prepared inputs under an output root.

    Its path holds the fingerprint of what made it, specs and source, so that changed ops never meet stale data.
    """
    unused = ONLY_VOLUMES if task.masked else (*ONLY_VOLUMES, *ONLY_MASKS)
    code = source_fingerprint("medray.work.prepare", "medray.work.outcome", "medray.work.chunk_file", *spec.modules, apart=unused)
    masks = asdict(task.mask_choice) if task.masked else None
    made_by = fingerprint([spec.model_dump(mode="json"), masks, code])
    return store.join(output, "cache", f"{spec.kind}-{made_by}")


def draft(run: Run, config: TrainConfig, name: str, job: FitJob) -> Draft:
    """The bundle of a fitted model of the configuration, but for its decision."""
    model = config.models[name]
    spec = config.inputs[model.input]
    manifest = Manifest(
        name=f"{config.name}-{job.model}",
        task=config.task,
        family=model.family,
        params=family_of(model.family).params.model_validate(model.params).model_dump(mode="json"),
        input=spec,
        modalities=tuple(sorted(set(run.samples["modality"].to_pylist()) - {""})),
        units=units_of(run.samples, spec),
        provenance={**run.provenance, "seed": job.seed, "images": run.images()},
    )
    return Draft(manifest, {MODEL: job.model_uri})


def units_of(samples: pa.Table, spec: InputSpec) -> tuple[str, ...]:
    """The units of the samples' pixels; none where the preprocessing brings them, or an older catalog does not tell."""
    if spec.preprocess.brings_units or "units" not in samples.column_names:
        return ()
    return tuple(sorted({units or "" for units in samples["units"].to_pylist()}))
