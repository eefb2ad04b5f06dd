"""Fits on Ray: a Ray task for one process, TorchTrainer or XGBoostTrainer (Ray Train V2) for several workers.

Each worker reads its own rows from the table of prepared inputs, ``rank::world_size`` of the sorted training split, so that
shards do not depend on timing (Ray Data's streaming split does).
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from medray.data import store
from medray.distributed import contexts
from medray.distributed.dataset import read_values
from medray.distributed.failures import cause
from medray.models.family import FitData, Samples
from medray.models.table import family_of
from medray.spec import Spec
from medray.tasks.table import AnyTask
from medray.types import Bool

MODEL_DONE = "complete"

OnStep = Callable[[str, int, dict[str, float]], None]
"""Called with (model, step, metrics)."""


class Scaling(Spec):
    """How a fit is spread."""

    workers: int = Field(0, ge=0, description="0: one process (a Ray task); 1 or more: workers of a Ray Train run")
    threads: int | None = Field(None, ge=1, description="threads of each worker; default: all CPUs for a network on one, else 1")
    gpu: bool | None = Field(None, description="one GPU for each worker of a network; default: if the cluster has one")


@dataclass(frozen=True)
class FitJob:
    """One fit, as plain values.

    Attributes:
        model: name of the model in the run.
        family, params, task: what to fit.
        samples_uri: Parquet file with columns uri, etag, target, group, split; mask and mask_etag where masks are learnt.
        values_uri: table of prepared inputs (see :class:`medray.work.job.PrepareJob`).
        shape: of one input.
        columns: feature names, empty for images.
        fit_uri: where checkpoints and the fitted model go.
    """

    model: str
    family: str
    params: dict[str, Any]
    task: AnyTask
    samples_uri: str
    values_uri: str
    shape: tuple[int, ...]
    columns: tuple[str, ...]
    fit_uri: str
    seed: int

    @property
    def model_uri(self) -> str:
        """Where the fitted model lies."""
        return store.join(self.fit_uri, "model")

    def finished(self) -> bool:
        """Whether the fitted model is there and whole."""
        return store.exists(store.join(self.fit_uri, MODEL_DONE))


def load_data(job: FitJob, rank: int = 0, world_size: int = 1) -> FitData:
    """This worker's shard of the training split and the whole validation split."""
    samples = pq.read_table(pa.BufferReader(store.read(job.samples_uri))).sort_by("uri")
    groups = samples["group"].dictionary_encode().combine_chunks().indices
    samples = samples.set_column(samples.column_names.index("group"), "group", groups.cast(pa.int64()))
    train = samples.filter(pc.equal(samples["split"], "train"))
    train = train.filter(pa.array(job.task.learnt_from(train["target"])))
    shard = train.take(pa.array(range(rank, len(train), world_size), pa.int64()))
    valid = samples.filter(pc.equal(samples["split"], "val"))
    return FitData(_load(job, shard), _load(job, valid))


def _load(job: FitJob, rows: pa.Table) -> Samples:
    values = read_values(job.values_uri, rows, ("values", "target_mask") if job.task.masked else ("values",))
    rows = rows.filter(pc.is_in(rows["uri"], values["uri"].combine_chunks())).sort_by("uri")
    flat = values["values"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    x = np.ascontiguousarray(flat.reshape(len(rows), *job.shape), dtype=np.float32)
    y = _masks(values["target_mask"], job.shape[-2:]) if job.task.masked else job.task.truth(rows["target"])
    return Samples(x, y, rows["group"].to_numpy(), job.columns)


def _masks(bits: pa.ChunkedArray, shape: tuple[int, ...]) -> Bool:
    """Packed masks as bool (n, 1, rows, columns)."""
    count = int(np.prod(shape))
    found = [np.unpackbits(np.frombuffer(one, np.uint8), count=count) for one in bits.to_pylist()]
    return np.asarray(found, dtype=np.bool_).reshape(len(found), 1, *shape)


def run_fit(job: FitJob, context: Any) -> None:
    """Fit and, on rank 0, store the model: the one call that every way of training ends in."""
    family = family_of(job.family)
    data = load_data(job, context.rank, context.world_size)
    model = family.fit(data, job.task, family.params.model_validate(job.params), context)
    if context.rank == 0:
        with tempfile.TemporaryDirectory(prefix="medray-model-") as name:
            model.save(Path(name))
            store.upload_folder(Path(name), job.model_uri)
        store.write(store.join(job.fit_uri, MODEL_DONE), b"")


def fit_all(jobs: Iterable[tuple[FitJob, Scaling]], on_step: OnStep | None = None) -> None:
    """Fit every job that is not finished; fits in one process run side by side as CPUs allow.

    Raises:
        MedrayError: what the first failing fit raised.
    """
    import ray

    from medray.distributed.progress import watching

    waiting = [(job, scaling) for job, scaling in jobs if not job.finished()]
    with watching(on_step) as watcher:
        tasks = [_submit(job, scaling, watcher.actor) for job, scaling in waiting if not _uses_trainer(job, scaling)]
        for job, scaling in waiting:
            if _uses_trainer(job, scaling):
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


def _uses_trainer(job: FitJob, scaling: Scaling) -> bool:
    return scaling.workers > 0 and family_of(job.family).parallelism != "single"


def _resources(job: FitJob, scaling: Scaling) -> tuple[int, bool]:
    """(threads, use GPU) of a worker."""
    from medray.distributed.session import cpus, gpus

    network = family_of(job.family).parallelism == "torch"
    gpu = network and (gpus() > 0 if scaling.gpu is None else scaling.gpu)
    return scaling.threads or (min(cpus(), 8) if network and scaling.workers == 0 else 1), gpu


def _submit(job: FitJob, scaling: Scaling, watcher: Any) -> Any:
    import ray

    threads, gpu = _resources(job, scaling)
    task = ray.remote(num_cpus=threads, num_gpus=int(gpu), max_retries=2)(_fit_task)
    return task.remote(job, threads, watcher)


def _fit_task(job: FitJob, threads: int, watcher: Any) -> None:
    checkpoints = store.join(job.fit_uri, "checkpoints")
    run_fit(job, contexts.StoreContext(checkpoints, threads, contexts.device(), job.seed, watcher, job.model))


def _train(job: FitJob, scaling: Scaling, watcher: Any) -> None:
    import ray

    failure: list[BaseException] = []

    def fit() -> None:
        try:
            trainer(job, scaling, watcher.actor).fit()
        except (ray.train.TrainingFailedError, ray.exceptions.RayError) as error:
            failure.append(error)

    thread = threading.Thread(target=fit, name=f"fit-{job.model}")
    thread.start()
    while thread.is_alive():
        thread.join(0.5)
        watcher.pass_on()
    if failure:
        raise cause(failure[0]) from failure[0]


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
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=contexts.KEPT_CHECKPOINTS),
            callbacks=callbacks,
        ),
    }
    if family_of(job.family).parallelism == "xgboost":
        return XGBoostTrainer(_train_loop, **common)
    return TorchTrainer(_train_loop, torch_config=TorchConfig(backend="nccl" if gpu else "gloo"), **common)


def _train_loop(config: dict[str, Any]) -> None:
    job: FitJob = config["job"]
    run_fit(job, contexts.TrainContext(config["threads"], contexts.device(), job.seed, config["watcher"], job.model))
