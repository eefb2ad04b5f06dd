"""Where the work of a run is done: on this machine without Ray, or on Ray, whose session starts with the first work for it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial

import pyarrow as pa

from medray.data import temporary
from medray.distributed import session
from medray.distributed.dataset import on_ray
from medray.distributed.session import ClusterSpec
from medray.progress import Count
from medray.work.blocks import size_of, useful_processes
from medray.work.job import ImageJob
from medray.work.local import on_this_machine
from medray.work.pool import cpus
from medray.work.process import process

SMALL_INPUTS, SMALL_BYTES = 2048, 1 << 30
"""A job of at most so many inputs is over on one machine before a cluster would have started."""

_WORTH_A_START = 4
"""Processes that could be kept busy, below which none is started: this one is as fast."""

_logger = logging.getLogger("medray")


class Executor:
    """Does the work of one run. Made by :func:`executing`.

    It goes by ``cluster.executor``: ``local``, ``ray``, or ``auto``, which is Ray where a cluster is named, a session runs
    already or a job is large, else this machine. Results are the same bytes either way.
    """

    def __init__(self, cluster: ClusterSpec, stack: ExitStack) -> None:
        self._cluster = cluster
        self._stack = stack
        self._said = False

    def process(
        self, rows: pa.Table, job: ImageJob, table_uri: str, actors: int | None = None, progress: Count | None = None
    ) -> None:
        """As :func:`medray.work.process.process`, in ``actors`` processes; default: as many as the inputs keep busy.

        Raises:
            ClusterError: CLUSTER_TOO_SMALL, CLUSTER_BUSY, CLUSTER_OPEN, CLUSTER_UNREACHABLE; StoreError.
        """
        process(rows, job, table_uri, partial(self._run, actors=actors), progress)

    def _run(self, shards: Mapping[str, pa.Table], job: ImageJob, table_uri: str, actors: int | None) -> Iterator[int]:
        blocks = list(shards.values())
        inputs, size_bytes = size_of(blocks)
        if self.is_local(inputs, size_bytes):
            return on_this_machine(actors or self.processes(useful_processes(blocks)))(shards, job, table_uri)
        self.join()
        return on_ray(actors)(shards, job, table_uri)

    def is_local(self, inputs: int, size_bytes: int = 0) -> bool:
        """Whether work of that size is done without Ray."""
        chosen = self._cluster.executor
        if chosen != "auto":
            return chosen == "local"
        if session.running() or not session.is_local(self._cluster) or inputs > SMALL_INPUTS or size_bytes > SMALL_BYTES:
            return False
        if not self._said:
            self._said = True
            _logger.info("a small job: this machine does it, without Ray (--executor ray for Ray)")
        return True

    def join(self) -> None:
        """Start or join Ray until the run ends; once."""
        self._stack.enter_context(session.session(self._cluster))

    def processes(self, useful: int) -> int:
        """How many processes of this machine to use, where so many could be kept busy: 1 is this one."""
        return min(self.cpus(), useful) if useful >= _WORTH_A_START else 1

    def cpus(self) -> int:
        """CPUs of this machine that work may use."""
        return self._cluster.cpus or cpus()


@contextmanager
def executing(cluster: ClusterSpec) -> Iterator[Executor]:
    """The executor of a run; a Ray session that it starts ends with the block. Temporary folders of killed runs go first."""
    if left := temporary.sweep():
        _logger.info(f"removed {len(left)} temporary folders that killed runs left")
    with ExitStack() as stack:
        yield Executor(cluster, stack)
