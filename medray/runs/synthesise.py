"""A synthetic archive at a URI: ``medray synthesise``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medray.configuration import validated
from medray.data import store
from medray.data.synthetic import Label, SyntheticSpec, labels_csv
from medray.distributed.session import ClusterSpec
from medray.distributed.synthesise import write_parts
from medray.progress import Progress, counting
from medray.runs.executor import Executor, executing
from medray.work.pool import in_processes
from medray.work.synthesise import Part, parts, write_part


def synthesise(uri: str, settings: Sequence[str], cluster: ClusterSpec, progress: Progress | None = None) -> int:
    """Write an archive as ``settings`` (``name=value`` of SyntheticSpec) say; returns the number of images.

    Raises:
        ConfigError, StoreError
    """
    spec = validated({}, SyntheticSpec, settings, "--set")
    with executing(cluster) as executor:
        write_archive(executor, spec, uri, progress)
    return spec.count


def write_archive(executor: Executor, spec: SyntheticSpec, uri: str, progress: Progress | None) -> None:
    """Write ``images/``, ``masks/`` and ``labels.csv`` under ``uri``; each part makes its own images."""
    show = counting(progress, f"write {uri.rsplit('/', 1)[-1]}")
    found: dict[int, list[Label]] = {}
    for start, labels in _written(executor, parts(spec, uri), spec.count):
        found[start] = labels
        if show:
            show(sum(map(len, found.values())), spec.count)
    store.write(store.join(uri, "labels.csv"), labels_csv(label for _, labels in sorted(found.items()) for label in labels))


def _written(executor: Executor, todo: Sequence[Part], images: int) -> Iterator[tuple[int, list[Label]]]:
    if not executor.is_local(images):
        executor.join()
        return write_parts(todo)
    processes = executor.processes(len(todo) // 2)
    return map(write_part, todo) if processes == 1 else in_processes(write_part, todo, processes)
