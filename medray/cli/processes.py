"""Processes of this machine: those that descend from one, and their end with it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

END_S = 5.0
"""How long :func:`end_descendants` tries."""

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)


def end_descendants() -> None:
    """Kill every process that descends from this one, and wait until they are gone."""
    until = time.monotonic() + END_S
    while (left := descendants(os.getpid())) and time.monotonic() < until:
        for process in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.01)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def descendants(process: int) -> list[int]:
    """Ids of the children of a process, their children and so on; parents first."""
    children = defaultdict(list)
    for child, parent in _parents():
        children[parent].append(child)
    found = list(children[process])
    for one in found:
        found += children[one]
    return found


def _parents() -> list[tuple[int, int]]:
    """(process, its parent) of all."""
    if sys.platform != "linux":
        import subprocess

        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        return [(int(line.split()[0]), int(line.split()[1])) for line in listed.splitlines()]
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # it has ended in the meantime
                found.append((int(folder.name), int((folder / "stat").read_bytes().rpartition(b")")[2].split()[1])))
    return found


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that they are found; on Linux alone."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_with(parent: int) -> None:
    """End this process when its parent does, however that ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_end_without, args=(parent,), daemon=True).start()


def _end_without(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
