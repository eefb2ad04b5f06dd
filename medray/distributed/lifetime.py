"""Ray's own processes on this machine: where one of them dies, the command ends, long before Ray itself would notice."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medray import lifeline

EVERY_S, START_S = 0.5, 25.0  # Ray gives up by itself after 30 s, with many lines
VITAL = ("raylet", "gcs_server")
"""Processes that Ray does not start again."""


@contextmanager
def ending_with_ray() -> Iterator[Callable[[], None]]:
    """Inside the block, a command that is watched ends with its last words when the Ray that it starts dies, or hangs at first.

    Ray's core goes by heartbeats, some of which end the process without a word and others an actor with a reason of its own.
    Linux alone; elsewhere only the start is limited.

    Yields:
        What to call when Ray has started.
    """
    over, started = threading.Event(), threading.Event()
    watch = threading.Thread(target=_watch, args=(over, started), name="ray-lifetime", daemon=True)
    watch.start()
    try:
        yield started.set
    finally:
        over.set()
        watch.join()


def _watch(over: threading.Event, started: threading.Event) -> None:
    known: set[int] = set()
    until = time.monotonic() + START_S
    while not over.wait(EVERY_S):
        alive = _vital()
        if known - alive or (time.monotonic() > until and not started.is_set()):
            lifeline.give_up()
            return
        known |= alive


def _vital() -> set[int]:
    """Ids of the vital processes that this one has started and that run."""
    if sys.platform != "linux":
        return set()
    found = set()
    for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        with suppress(OSError):  # it has ended in the meantime
            name, _, rest = Path(f"/proc/{child}/stat").read_text().partition("(")[2].rpartition(")")
            if name in VITAL and rest.split()[0] != "Z":
                found.add(int(child))
    return found
