"""Ray's own processes on this machine: where one of them dies, the command ends, long before Ray itself would notice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from medray import lifeline

EVERY_S = 0.5
VITAL = {"raylet", "gcs_server"}
"""Processes that Ray does not start again."""


@contextmanager
def ending_with_ray() -> Iterator[None]:
    """Inside the block, a command that is watched ends with its last words when the Ray that it started dies.

    Ray's core goes by heartbeats, some of which end the process without a word and others an actor with a reason of its own.
    """
    import ray

    over = threading.Event()
    node = ray._private.worker._global_node
    watch = threading.Thread(target=_watch, args=(node, over), name="ray-lifetime", daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()


def _watch(node: Any, over: threading.Event) -> None:
    while not over.wait(EVERY_S):
        if node is not None and any(kind in VITAL for kind, _ in node.dead_processes()):
            lifeline.give_up()
            return
