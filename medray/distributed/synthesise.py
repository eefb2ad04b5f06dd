"""A synthetic archive written in parallel: each task makes its own indices, so any size is a matter of time."""

from __future__ import annotations

from functools import partial
from typing import Any

from medray.data import store
from medray.data.synthetic import MASKS, Label, SyntheticSpec, write_archive
from medray.progress import Count

CHUNK = 32


def synthesise(spec: SyntheticSpec, uri: str, progress: Count | None = None) -> list[Label]:
    """Write every image of an archive to ``images/`` under ``uri``, and every mask to ``masks/``.

    Returns:
        The labels in order of the images.
    """
    import ray

    task = ray.remote(num_cpus=1)(_write)
    starts = range(0, spec.count, CHUNK)
    tasks = [task.remote(spec, uri, start, min(start + CHUNK, spec.count)) for start in starts]
    waiting: list[Any] = tasks
    while waiting:
        ready, waiting = ray.wait(waiting, num_returns=1)
        ray.get(ready)
        if progress:
            progress(min((len(tasks) - len(waiting)) * CHUNK, spec.count), spec.count)
    return [label for chunk in ray.get(tasks) for label in chunk]


def _write(spec: SyntheticSpec, uri: str, start: int, stop: int) -> list[Label]:
    def put(folder: str, name: str, data: bytes) -> None:
        store.write(store.join(uri, folder, name), data)

    return write_archive(spec, partial(put, "images"), range(start, stop), partial(put, MASKS))
