"""Commands that are stopped, or lose what they stand on, in mid run: what they say, how they end, which processes they leave."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from medray.cli.processes import descendants

STOP_LINE = "medray: stopped; the same command goes on where it was"
STOP_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
PROGRESS = re.compile(r"[^:]*: \d+/\d+|train \w+: step .*|a small job: .*")
_MARK = "MEDRAY_TEST_RUN"


@dataclass
class Started:
    """A running command; every process that it starts carries its mark in the environment."""

    process: subprocess.Popen[str]
    mark: str
    log: Path

    def said(self) -> str:
        """Its standard error up to now."""
        return self.log.read_text()

    def wait_for(self, happened: Callable[[], bool], limit_s: float = 120) -> None:
        """Wait until something has happened while the command runs."""
        until = time.monotonic() + limit_s
        while not happened():
            assert self.process.poll() is None, f"it ended before that happened: {self.said()}"
            assert time.monotonic() < until, f"it did not happen in {limit_s} s: {self.said()}"
            time.sleep(0.01)

    def marked(self) -> list[int]:
        """Ids of the processes that run and carry the mark."""
        return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if self._carries(folder)]

    def named(self, name: str) -> list[int]:
        """Ids of descendants whose command line holds ``name``."""
        return named(name, self.process.pid)

    def _carries(self, folder: Path) -> bool:
        try:
            return f"{_MARK}={self.mark}".encode() in (folder / "environ").read_bytes()
        except OSError:  # it has ended, or is a zombie
            return False


def named(name: str, ancestor: int | None = None) -> list[int]:
    """Ids of the descendants of a process, of this one by default, whose command line holds ``name``."""
    return [one for one in descendants(ancestor or os.getpid()) if name in _command(one)]


def _command(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text(errors="replace").replace("\0", " ")
    except OSError:
        return ""


@dataclass
class Ended:
    """How a command ended.

    Attributes:
        lines: of standard error, without progress.
        seconds: from the blow to the end of the command.
        left: what was left of its processes 10 s after the blow, or as soon as there were none.
    """

    code: int
    lines: list[str]
    seconds: float
    left: list[str] = field(default_factory=list)


@contextmanager
def started(arguments: list[str], log: Path, env: dict[str, str] | None = None) -> Iterator[Started]:
    """The ``medray`` command in a process group of its own."""
    mark = uuid.uuid4().hex
    command = [str(Path(sys.executable).parent / "medray"), *arguments]
    with log.open("w") as stderr:
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            text=True,
            start_new_session=True,
            env={**os.environ, **(env or {}), _MARK: mark},
        )
    run = Started(process, mark, log)
    try:
        yield run
    finally:
        for one in run.marked():
            os.kill(one, signal.SIGKILL)
        process.wait()


def end_of(run: Started, limit_s: float = 90) -> Ended:
    """Wait for a command that has had its blow."""
    began = time.monotonic()
    code = run.process.wait(limit_s)
    seconds = time.monotonic() - began
    while (left := run.marked()) and time.monotonic() < began + 10:
        time.sleep(0.05)
    lines = [line for line in run.said().splitlines() if line.strip() and not PROGRESS.fullmatch(line)]
    return Ended(code, lines, seconds, [_command(one) for one in left])


def stopped(run: Started, number: signal.Signals, whole_group: bool = False) -> Ended:
    """Send a signal to a command alone, as ``kill`` does, or to its group, as a terminal does."""
    (os.killpg if whole_group else os.kill)(run.process.pid, number)
    return end_of(run)
