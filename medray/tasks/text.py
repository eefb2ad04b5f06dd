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


def interval_note(found: Bounded, digits: int = 3) -> str:
    """``95 % interval 0.871–0.948``, or that the value is undefined."""
    return "undefined" if found.value is None else f"95 % interval {number(found.low, digits)}–{number(found.high, digits)}"


def interval_text(found: Bounded, digits: int = 3) -> str:
    """``0.912 [0.871–0.948]``, or a dash where undefined."""
    if found.value is None or found.low is None or found.high is None:
        return "–"
    return f"{found.value:.{digits}f} [{found.low:.{digits}f}–{found.high:.{digits}f}]"


def quantity(value: float | None, unit: str = "") -> str:
    """A number of any size to three digits and more, with its unit; a dash where undefined."""
    if value is None:
        return "–"
    text = (f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}").replace("-", "−")
    return f"{text} {unit}" if unit else text


def quantity_interval(found: Bounded) -> str:
    """``812 [790–834]``, or a dash where undefined."""
    if found.value is None or found.low is None or found.high is None:
        return "–"
    return f"{quantity(found.value)} [{quantity(found.low)}–{quantity(found.high)}]"
