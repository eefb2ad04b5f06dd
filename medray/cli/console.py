"""Progress and errors on stderr: progress bars on a terminal, plain lines otherwise, one line for an error."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from medray.redaction import redacted

_PLAIN_EVERY_S = 2.0


def printable(text: str) -> str:
    """The text with every control, formatting and invalid character escaped, so that no name can control a terminal or a log.

    Credentials inside URLs are hidden.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in redacted(text))


class Reporter:
    """Show the progress of a command."""

    def __init__(self, bars: Progress | None) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[str, float] = {}

    def progress(self, what: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` are finished."""
        if self._bars is not None:
            task = self._tasks.get(what)
            if task is None:
                task = self._tasks[what] = self._bars.add_task(what, total=total)
            self._bars.update(task, completed=done, total=total)
        elif done >= total or time.monotonic() - self._said.get(what, float("-inf")) > _PLAIN_EVERY_S:
            self._said[what] = time.monotonic()
            self.line(f"{what}: {done}/{total}")

    def step(self, model: str, step: int, metrics: Mapping[str, float]) -> None:
        """Show a step (epoch, round) of a fit."""
        shown = " ".join(
            f"{name.removeprefix('valid_')} {value:.3f}" for name, value in metrics.items() if name.startswith("valid_")
        )
        if self._bars is not None:
            task = self._tasks.get(model)
            if task is None:
                task = self._tasks[model] = self._bars.add_task(model, total=None)
            self._bars.update(task, completed=step, description=f"train {model}: {shown}")
        elif time.monotonic() - self._said.get(model, float("-inf")) > _PLAIN_EVERY_S:
            self._said[model] = time.monotonic()
            self.line(f"train {model}: step {step} {shown}")

    def line(self, text: str) -> None:
        """A line of its own."""
        text = printable(text)
        if self._bars is not None:
            self._bars.console.print(text, highlight=False, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)


class _Lines(logging.Handler):
    """Shows what medray logs, each text once."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(logging.INFO)
        self._reporter = reporter
        self._shown: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text not in self._shown:
            self._shown.add(text)
            self._reporter.line(text)


@contextmanager
def _logged(reporter: Reporter) -> Iterator[Reporter]:
    logger, handler = logging.getLogger("medray"), _Lines(reporter)
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield reporter
    finally:
        logger.removeHandler(handler)


@contextmanager
def reporting() -> Iterator[Reporter]:
    """A reporter for the length of a command; what Ray prints of its processes goes where native libraries chatter."""
    console = Console(stderr=True)
    native = os.fdopen(2, "w", buffering=1, closefd=False)
    if not console.is_terminal:
        with redirect_stdout(native), _logged(Reporter(None)) as reporter:
            yield reporter
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with redirect_stdout(native), Progress(*columns, console=console) as bars, _logged(Reporter(bars)) as reporter:
        yield reporter
