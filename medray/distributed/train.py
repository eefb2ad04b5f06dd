"""Fits on Ray: a Ray task for one process, TorchTrainer or XGBoostTrainer (Ray Train V2) for several workers."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import Any

import pyarrow as pa

from medray.data import store
from medray.distributed import contexts
from medray.distributed.failures import cause
from medray.models.table import family_of
from medray.work.context import KEPT_CHECKPOINTS, OnStep
from medray.work.fit import FitJob, Scaling, fit_with_checkpoints, run_fit


def fit_all(jobs: Iterable[tuple[FitJob, Scaling]], on_step: OnStep | None = None) -> None:
    """Fit every job that is not finished; fits in one process run side by side as CPUs allow.

    Raises:
        MedrayError: what the first failing fit raised.
    """
    import ray

    from medray.distributed.progress import watching

    waiting = [(job, scaling) for job, scaling in jobs if not job.finished()]
    with watching(on_step) as watcher:
        tasks = [_submit(job, scaling, watcher.actor) for job, scaling in waiting if not scaling.spreads(job)]
        for job, scaling in waiting:
            if scaling.spreads(job):
                _train(job, scaling, watcher)
        try:
            while tasks:
                _, tasks = _finished(tasks)
                watcher.pass_on()
        except ray.exceptions.RayError as error:
            raise cause(error) from error


def _finished(tasks: list[Any]) -> tuple[list[Any], list[Any]]:
    import ray

    ready, rest = ray.wait(tasks, num_returns=1, timeout=0.5)
    ray.get(ready)
    return ready, rest


def _resources(job: FitJob, scaling: Scaling) -> tuple[int, bool]:
    """(threads, use GPU) of a worker."""
    from medray.distributed.session import cpus, gpus

    return scaling.threads_of(job, cpus()), scaling.wants_gpu(job, gpus())


def _submit(job: FitJob, scaling: Scaling, watcher: Any) -> Any:
    import ray

    threads, gpu = _resources(job, scaling)
    task = ray.remote(num_cpus=threads, num_gpus=int(gpu), max_retries=2)(_fit_task)
    return task.remote(job, threads, watcher)


def _fit_task(job: FitJob, threads: int, watcher: Any) -> None:
    fit_with_checkpoints(job, threads, contexts.device(), partial(contexts.notify, watcher))


def _train(job: FitJob, scaling: Scaling, watcher: Any) -> None:
    import ray

    threads = ThreadPoolExecutor(1)
    fitting = threads.submit(lambda: trainer(job, scaling, watcher.actor).fit())
    threads.shutdown(wait=False)
    while wait([fitting], 0.5).not_done:
        watcher.pass_on()
    try:
        fitting.result()
    except (ray.train.TrainingFailedError, ray.exceptions.RayError) as error:
        raise cause(error) from error


def trainer(job: FitJob, scaling: Scaling, watcher: Any = None, callbacks: list[Any] | None = None) -> Any:
    """The Ray Train V2 trainer of a job: checkpoints in the store, resumed by the run's name."""
    import ray.train
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.train.xgboost import XGBoostTrainer

    threads, gpu = _resources(job, scaling)
    fs, path = store.filesystem(store.join(job.fit_uri, "train"))
    common: dict[str, Any] = {
        "train_loop_config": {"job": job, "threads": threads, "watcher": watcher},
        "scaling_config": ray.train.ScalingConfig(
            num_workers=scaling.workers, use_gpu=gpu, resources_per_worker={"CPU": threads} | ({"GPU": 1} if gpu else {})
        ),
        "run_config": ray.train.RunConfig(
            name=job.model,
            storage_path=path,
            storage_filesystem=pa.fs.PyFileSystem(pa.fs.FSSpecHandler(fs)),
            failure_config=ray.train.FailureConfig(max_failures=2),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=KEPT_CHECKPOINTS),
            callbacks=callbacks,
        ),
    }
    if family_of(job.family).parallelism == "xgboost":
        return XGBoostTrainer(_train_loop, **common)
    return TorchTrainer(_train_loop, torch_config=TorchConfig(backend="nccl" if gpu else "gloo"), **common)


def _train_loop(config: dict[str, Any]) -> None:
    job: FitJob = config["job"]
    run_fit(job, contexts.TrainContext(config["threads"], contexts.device(), job.seed, config["watcher"], job.model))
