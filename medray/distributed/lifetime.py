"""Ray's own processes on this machine: where one of them dies, the command ends, long before Ray itself would notice."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from medray import lifeline

EVERY_S, HANGS_S = 0.5, 12.0
"""How often Ray is looked at, and how long it may take to its next process, or from the last one until it has started. It gives
up by itself after 30 s, with many lines."""

VITAL = (b"raylet", b"gcs_server")
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
    until = time.monotonic() + HANGS_S
    while not over.wait(EVERY_S):
        if new := {child for child in _children() if _vital(child)} - known:
            known |= new
            until = time.monotonic() + HANGS_S
        hangs = time.monotonic() > until and not started.is_set()
        if hangs or not all(_vital(process) for process in known):
            lifeline.give_up()
            return


def _children() -> list[int]:
    """Ids of the processes that this one has started, of which some may be missing while another ends; none without ``/proc``."""
    try:
        return [int(child) for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _vital(process: int) -> bool:
    """Whether it is one of the vital processes, and runs."""
    try:
        name, _, rest = Path(f"/proc/{process}/stat").read_bytes().partition(b"(")[2].rpartition(b")")
    except OSError:  # it has ended
        return False
    return name in VITAL and rest.split()[0] != b"Z"
