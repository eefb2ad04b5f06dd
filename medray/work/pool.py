"""Processes of this machine that work for this one: they start clean, end with it, and leave Ctrl-C to it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from medray.errors import MedrayError
from medray.work.environment import WORKER_ENV, environment

T = TypeVar("T")
R = TypeVar("R")


def cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_processes(
    function: Callable[[T], R],
    items: Iterable[T],
    processes: int,
    prepare: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
) -> Iterator[R]:
    """``function`` of each item, as they become ready.

    Args:
        function, prepare: functions of a module, not lambdas; ``prepare(*arguments)`` is called first in every process.

    Raises:
        MedrayError: WORKER_FAILED, a process was killed; and what ``function`` raises.
    """
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    pool = ProcessPoolExecutor(processes, context, _start, (prepare, arguments))
    try:
        with environment(WORKER_ENV), _interrupts_held():
            futures = [pool.submit(function, item) for item in items]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        message = "a process of this machine was killed, or could not start"
        raise MedrayError("WORKER_FAILED", message, "run again; what is finished is kept (is there memory enough?)") from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Processes that start meanwhile do not get a SIGINT, not even before :func:`_start`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(prepare: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if prepare is not None:
        prepare(*arguments)


def _end_with_parent() -> None:
    """A parent that is killed cannot tell its children to stop."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
