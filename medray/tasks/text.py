"""Figures as text, for tables, tiles and captions."""

from __future__ import annotations

from typing import Protocol


class Bounded(Protocol):
    """A value with its interval; None where undefined."""

    @property
    def value(self) -> float | None:
        """The value."""
        ...

    @property
    def low(self) -> float | None:
        """The lower bound."""
        ...

    @property
    def high(self) -> float | None:
        """The upper bound."""
        ...


def number(value: float | None, digits: int = 3) -> str:
    """A figure, a dash where undefined."""
    return "–" if value is None else f"{value:.{digits}f}"


def interval_text(found: Bounded, digits: int = 3) -> str:
    """``0.912 [0.871–0.948]``, or a dash where undefined."""
    if found.value is None or found.low is None or found.high is None:
        return "–"
    return f"{found.value:.{digits}f} [{found.low:.{digits}f}–{found.high:.{digits}f}]"
