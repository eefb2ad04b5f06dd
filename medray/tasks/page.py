"""What a task puts into a report, as plain values: the report draws it and knows nothing of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from medray.types import Float64, Int64


@dataclass(frozen=True)
class Cell:
    """One figure in a table of models.

    Attributes:
        heading: of the column.
        text: as shown.
        value: to compare, None where undefined.
        sign: 1 where more is better, -1 where less is, 0 where neither.
    """

    heading: str
    text: str
    value: float | None = None
    sign: Literal[-1, 0, 1] = 0


@dataclass(frozen=True)
class Tile:
    """A key figure: heading, value and note."""

    heading: str
    value: str
    note: str


@dataclass(frozen=True)
class Table:
    """Figures of the parts of an answer (classes, labels): the name of each part and its cells, under the same headings."""

    title: str
    part: str
    rows: Mapping[str, tuple[Cell, ...]]


@dataclass(frozen=True)
class Line:
    """A curve: float64 (points,) each; ``mark`` is a point to show on it."""

    label: str
    x: Float64
    y: Float64
    mark: tuple[float, float] | None = None
    points: bool = False


@dataclass(frozen=True)
class Sample:
    """Values of a histogram; ``alarm`` for the group that wants attention."""

    label: str
    values: Float64
    alarm: bool = False


@dataclass(frozen=True)
class Curves:
    """Curves in one pair of axes, with a diagonal for reference and, below, histograms of ``below``.

    ``limits`` are of both axes; None lets the data decide.
    """

    title: str
    alt: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    legend: str = ""
    legend_at: str = "best"
    limits: tuple[float, float] | None = (0.0, 1.0)
    square: bool = False
    below: tuple[Sample, ...] = ()
    below_x_label: str = ""


@dataclass(frozen=True)
class Matrix:
    """Counts by truth (rows) and decision (columns), int64 (classes, classes)."""

    title: str
    alt: str
    names: tuple[str, ...]
    counts: Int64


@dataclass(frozen=True)
class Histogram:
    """Histograms of groups over one axis, with named positions as upright lines; ``limits`` None lets the data decide."""

    title: str
    alt: str
    x_label: str
    samples: tuple[Sample, ...]
    marks: Mapping[str, float] = field(default_factory=dict)
    limits: tuple[float, float] | None = (0.0, 1.0)


@dataclass(frozen=True)
class Scatter:
    """Points (x, y), float64 (n,) each, with the diagonal, or with named levels as lines across in its place."""

    title: str
    alt: str
    x_label: str
    y_label: str
    x: Float64
    y: Float64
    levels: Mapping[str, float] = field(default_factory=dict)


Plot = Curves | Matrix | Histogram | Scatter


@dataclass(frozen=True)
class Page:
    """The part of a report that belongs to a task: what came out in a sentence or two, key figures, plots, tables.

    Attributes:
        note: what to know of the table of models.
    """

    summary: str
    note: str = ""
    tiles: tuple[Tile, ...] = ()
    plots: tuple[Plot, ...] = ()
    tables: tuple[Table, ...] = ()
