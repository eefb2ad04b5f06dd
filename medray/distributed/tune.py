"""Sweeps with Ray Tune: it only samples parameters and calls the very fit that training calls."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from pydantic import Field

from medray.data import store
from medray.distributed import contexts
from medray.distributed.failures import cause
from medray.distributed.train import trainer
from medray.errors import ModelError
from medray.models.family import SearchSpace
from medray.models.table import family_of
from medray.spec import Spec
from medray.tasks.head import Monitor
from medray.work.fit import FitJob, Scaling, fitted


class TuneSpec(Spec):
    """A sweep over a family's own search space, with ASHA (Li et al. 2020) to stop poor trials early."""

    samples: int = Field(8, ge=1, description="trials for each model")
    concurrent: int = Field(2, ge=1, description="trials at the same time, one CPU each")
    grace_steps: int = Field(3, ge=1, description="reports before a trial may be stopped")
    max_steps: int = Field(200, ge=1, description="reports after which a trial ends")


@dataclass(frozen=True)
class Trial:
    """One sampled set of parameters and the best value of the task's monitored figure that it reached on validation."""

    params: dict[str, Any]
    value: float
    steps: int


def sampled(space: SearchSpace) -> dict[str, Any]:
    """The family's search space, plain data, as Tune's samplers."""
    from ray import tune

    samplers: Mapping[str, Callable[[Any], Any]] = {
        "choice": tune.choice,
        "int": lambda bounds: tune.randint(bounds[0], bounds[1] + 1),
        "uniform": lambda bounds: tune.uniform(*bounds),
        "log": lambda bounds: tune.loguniform(*bounds),
    }
    return {name: samplers[kind](value) for name, entry in space.items() for kind, value in entry.items()}


def sweep(job: FitJob, scaling: Scaling, spec: TuneSpec, on_trial: Callable[[int, int], None] | None = None) -> list[Trial]:
    """Run or resume a sweep, kept under the job's URI.

    Returns:
        The trials, best first.

    Raises:
        ModelError: TUNE_FAILED when every trial failed, or what the first one raised.
    """
    import ray
    from ray import tune

    fs, path = store.filesystem(job.fit_uri)
    filesystem = pa.fs.PyFileSystem(pa.fs.FSSpecHandler(fs))
    trainable = tune.with_resources(_trainable(job, scaling), {"cpu": 0.01 if scaling.workers else 1})
    where = f"{path}/sweep"
    if tune.Tuner.can_restore(where, storage_filesystem=filesystem):
        tuner = tune.Tuner.restore(
            where, trainable=trainable, storage_filesystem=filesystem, resume_unfinished=True, restart_errored=True
        )
    else:
        tuner = tune.Tuner(
            trainable,
            param_space=sampled(family_of(job.family).search_space),
            tune_config=_tune_config(job, spec),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=path,
                storage_filesystem=filesystem,
                verbose=0,
                callbacks=[_counter(spec, on_trial)],
                checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
            ),
        )
    try:
        with redirect_stdout(io.StringIO()):  # Tune's banners; standard output is for results
            return _ranked(tuner.fit(), job.task.monitor)
    except ray.exceptions.RayError as error:
        raise cause(error) from error


def _tune_config(job: FitJob, spec: TuneSpec) -> Any:
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.basic_variant import BasicVariantGenerator

    scheduler = ASHAScheduler(grace_period=spec.grace_steps, max_t=max(spec.max_steps, spec.grace_steps), reduction_factor=3)
    return tune.TuneConfig(
        metric=_metric(job.task.monitor),
        mode="max" if job.task.monitor.sign > 0 else "min",
        num_samples=spec.samples,
        search_alg=BasicVariantGenerator(max_concurrent=spec.concurrent, random_state=job.seed),
        scheduler=scheduler,
    )


def _trainable(job: FitJob, scaling: Scaling) -> Callable[[dict[str, Any]], None]:
    def trial(sample: dict[str, Any]) -> None:
        from ray import tune

        chosen = replace(job, params={**job.params, **sample})
        if scaling.spreads(job):
            from ray.tune.integration.ray_train import TuneReportCallback

            place = store.join(job.fit_uri, "trials", tune.get_context().get_trial_id())
            report = TuneReportCallback()  # type: ignore[no-untyped-call]
            trainer(replace(chosen, fit_uri=place), scaling, callbacks=[report]).fit()
            return
        fitted(chosen, contexts.TrialContext(seed=job.seed))

    return trial


def _counter(spec: TuneSpec, on_trial: Callable[[int, int], None] | None) -> Any:
    from ray.tune import Callback

    class Counter(Callback):
        done = 0

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.done += 1
            if on_trial:
                on_trial(self.done, spec.samples)

    return Counter()


def _metric(monitor: Monitor) -> str:
    """The monitored figure as fits report it."""
    return f"valid_{monitor.figure}"


def _ranked(grid: Any, monitor: Monitor) -> list[Trial]:
    trials: list[Trial] = []
    name = _metric(monitor)
    for result in grid:
        history = result.metrics_dataframe
        if history is not None and name in history:
            best = history[name].max() if monitor.sign > 0 else history[name].min()
            trials.append(Trial(dict(result.config), float(best), len(history)))
    if not trials:
        first = next(iter(grid.errors), None)
        raise cause(first) if first else ModelError("TUNE_FAILED", "no trial reported a result", "run again with --debug")
    return sorted(trials, key=lambda trial: (math.isnan(trial.value), -monitor.sign * trial.value))
