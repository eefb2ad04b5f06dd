"""The fits of a run, wherever its executor does the work."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from medray.distributed.train import fit_all as fit_on_ray
from medray.models.abilities import Starting
from medray.models.table import family_of
from medray.runs.executor import Executor
from medray.work.context import OnStep
from medray.work.fit import FitJob, Scaling, fit_with_checkpoints

_logger = logging.getLogger("medray")


def fit_all(executor: Executor, jobs: Sequence[tuple[FitJob, Scaling]], images: int, on_step: OnStep | None = None) -> None:
    """Fit every job that is not finished: on this machine one after the other, on Ray side by side as CPUs allow.

    Args:
        images: how many are learnt from and judged on.

    Raises:
        MedrayError: what the first failing fit raised.
    """
    waiting = [(job, scaling) for job, scaling in jobs if not job.finished()]
    _tell_starts([job for job, _ in waiting])
    if any(scaling.spreads(job) for job, scaling in waiting) or (waiting and not executor.is_local(images)):
        executor.join()
        fit_on_ray(waiting, on_step)
        return
    for job, scaling in waiting:
        gpu = scaling.wants_gpu(job, _gpus(job))
        fit_with_checkpoints(job, scaling.threads_of(job, executor.cpus()), "cuda" if gpu else "cpu", on_step)


def _tell_starts(jobs: Sequence[FitJob]) -> None:
    """Say what fits take of weights that they begin with, once for each family and parameters; raises BundleError, StoreError."""
    said: set[str] = set()
    for job in jobs:
        family = family_of(job.family)
        if isinstance(family, Starting) and (line := family.start(job.params, job.record.shape, job.task)) and line not in said:
            said.add(line)
            _logger.info(line)


def _gpus(job: FitJob) -> int:
    """GPUs of this machine that the family could use."""
    if family_of(job.family).parallelism != "torch":
        return 0
    import torch

    return int(torch.cuda.device_count())
