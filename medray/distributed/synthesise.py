"""The parts of a synthetic archive as Ray tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from medray.data.synthetic import Label
from medray.work.synthesise import Part, write_part


def write_parts(parts: Sequence[Part]) -> Iterator[tuple[int, list[Label]]]:
    """Write every part on the running session; yields what each returns as it is finished."""
    import ray

    task = ray.remote(num_cpus=1)(write_part)
    waiting: list[Any] = [task.remote(part) for part in parts]
    while waiting:
        ready, waiting = ray.wait(waiting, num_returns=1)
        yield ray.get(ready[0])
