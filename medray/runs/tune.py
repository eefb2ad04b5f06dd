"""Sweep the parameters of the models of a training configuration: ``medray tune``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from medray.data import store
from medray.distributed.tune import Trial, sweep
from medray.errors import ConfigError, ModelError
from medray.progress import Progress, counting
from medray.runs.executor import executing
from medray.runs.fitting import fit_job
from medray.runs.samples import labelled_samples, write_samples
from medray.runs.train import prepare, run_name
from medray.runs.train_config import TrainConfig
from medray.spec import fingerprint


def tune(config: TrainConfig, models: list[str], progress: Progress | None = None) -> dict[str, list[Trial]]:
    """Sweep each model on the validation split and write the best parameters as a YAML file for ``--set`` or the configuration.

    The same command resumes or repeats the sweep; other settings of ``tune`` make another one.

    Returns:
        Model → trials, best first.

    Raises:
        ConfigError: MODEL_UNKNOWN; ModelError: TUNE_NO_MONITOR; and what training raises.
    """
    if unknown := sorted(set(models) - set(config.models)):
        raise ConfigError(
            "MODEL_UNKNOWN", f"no model {', '.join(unknown)} in the configuration", f"it has {', '.join(config.models)}"
        )
    samples, _ = labelled_samples(config.catalog, config.task, config.labels.split, config.labels.keep)
    require_comparable(config, samples)
    root = store.join(config.output, "tune", run_name(config, samples))
    sweep_of = fingerprint(config.tune.model_dump(exclude={"concurrent"}))
    found: dict[str, list[Trial]] = {}
    with executing(config.cluster) as executor:
        kept, _ = prepare(executor, config, samples, progress)
        samples_uri = write_samples(kept, root)
        executor.join()
        for name in models or list(config.models):
            job = replace(fit_job(config, name, samples_uri, root), fit_uri=store.join(root, f"{name}-{sweep_of}"))
            found[name] = sweep(job, config.models[name].scaling, config.tune, counting(progress, f"tune {name}"))
    store.write(store.join(root, "best.yaml"), yaml.safe_dump(best(config, found), sort_keys=True).encode())
    return found


def require_comparable(config: TrainConfig, samples: pa.Table) -> None:
    """Check that trials can be ranked; raises ModelError TUNE_NO_MONITOR."""
    task = config.task
    if not task.comparable(samples.filter(pc.equal(samples["split"], "val"))["target"]):
        message = f"the validation images have no labels that give a {task.monitor.figure}, by which trials are ranked"
        raise ModelError("TUNE_NO_MONITOR", message, "label validation images of each kind, or train without a sweep")


def best(config: TrainConfig, found: dict[str, list[Trial]]) -> dict[str, Any]:
    """The ``models`` part of a configuration with the best parameters."""
    return {"models": {name: {"params": {**config.models[name].params, **trials[0].params}} for name, trials in found.items()}}
