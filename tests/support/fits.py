"""Fits that are watched, and cut off at a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medray.models.family import LocalContext


class Interrupted(Exception):
    """The fit was cut off."""


@dataclass
class Log:
    """Keeps what a fit reports; cuts it off at a step (0: never)."""

    stop_at: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        """See ``LocalContext.on_report``."""
        self.rows.append({"epoch": step, **metrics})
        if step == self.stop_at:
            raise Interrupted


@dataclass
class Breaking(LocalContext):
    """Cuts a fit off at a step, after its checkpoint."""

    at: int = 0

    def report(self, step: int, metrics: Mapping[str, float], save: Callable[[Path], None] | None = None) -> None:
        """See ``FitContext.report``."""
        super().report(step, metrics, save)
        if step == self.at:
            raise Interrupted
