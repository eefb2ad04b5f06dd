"""Where a fit runs on Ray: on a Ray Train worker, in a Tune trial. Families see only FitContext."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medray.data import temporary

Watcher = Any
"""Handle of a :class:`medray.distributed.progress.Watch` actor, or None."""


@dataclass
class TrainContext:
    """A fit on the workers of a Ray Train run; Ray keeps the checkpoints and finds them again by the run's name."""

    threads: int = 1
    device: str = "cpu"
    seed: int = 0
    watcher: Watcher = None
    label: str = ""

    def __post_init__(self) -> None:
        import ray.train

        context = ray.train.get_context()
        self.rank: int = context.get_world_rank()
        self.world_size: int = context.get_world_size()
        self._stack = ExitStack()
        if self.device == "cuda":
            _take_own_gpu()

    def report(self, step: int, metrics: Mapping[str, float], save: Callable[[Path], None] | None = None) -> None:
        """Report to Ray Train; the checkpoint is that of rank 0."""
        import ray.train

        with _checkpoint(ray.train.Checkpoint, save if self.rank == 0 else None) as kept:
            ray.train.report(dict(metrics), checkpoint=kept)
        if self.rank == 0:
            notify(self.watcher, self.label, step, metrics)

    def checkpoint(self) -> Path | None:
        """The checkpoint from which Ray Train resumes."""
        import ray.train

        found = ray.train.get_checkpoint()
        return Path(self._stack.enter_context(found.as_directory())) if found else None


def _take_own_gpu() -> None:
    """The workers of a node see all its GPUs; each computes on its own."""
    import ray.train.torch
    import torch

    torch.cuda.set_device(ray.train.torch.get_device())


@dataclass
class TrialContext:
    """A fit in a Tune trial; every report may end it early, or pause it until it goes on from its checkpoint."""

    threads: int = 1
    device: str = "cpu"
    seed: int = 0
    rank: int = 0
    world_size: int = 1
    _stack: ExitStack = field(default_factory=ExitStack)

    def report(self, step: int, metrics: Mapping[str, float], save: Callable[[Path], None] | None = None) -> None:
        """Report to Tune, which may end the trial here; it keeps the checkpoint."""
        from ray import tune

        with _checkpoint(tune.Checkpoint, save) as kept:
            tune.report({**metrics, "step": step}, checkpoint=kept)

    def checkpoint(self) -> Path | None:
        """The checkpoint from which Tune has the trial go on."""
        from ray import tune

        found = tune.get_checkpoint()
        return Path(self._stack.enter_context(found.as_directory())) if found else None


@contextmanager
def _checkpoint(kind: Any, save: Callable[[Path], None] | None) -> Iterator[Any]:
    """Ray's checkpoint, of that class, of what ``save`` writes; None where nothing is to be kept."""
    if save is None:
        yield None
        return
    with temporary.folder("checkpoint") as folder:
        save(folder)
        yield kind.from_directory(str(folder))


def notify(watcher: Watcher, label: str, step: int, metrics: Mapping[str, float]) -> None:
    """Tell the driver how far a fit is."""
    if watcher is not None:
        watcher.tell.remote(label, step, dict(metrics))


def device() -> str:
    """``"cuda"`` where Ray gave this process a GPU."""
    return "cuda" if os.environ.get("CUDA_VISIBLE_DEVICES", "").strip() not in ("", "-1", "NoDevFiles") else "cpu"
