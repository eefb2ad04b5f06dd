"""What commands print. Text from outside (names, headers, messages) is escaped, so that it cannot control the terminal."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from medray.cli.console import printable

if TYPE_CHECKING:
    from medray.tasks.page import Cell

NEEDS_ATTENTION = 3
SPLIT_COLUMNS = ("split", "class", "patients", "images", "share_of_patients", "share_of_images")

AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object")]


def show(answer: Mapping[str, Any], as_json: bool, title: str) -> None:
    """Print a result: one JSON object, or a table of its values."""
    if as_json:
        print_json(answer)
        return
    table = Table(title=Text(title), show_header=False, title_justify="left")
    for key, value in answer.items():
        if value not in (None, {}, [], ""):
            table.add_row(_cell(key), _cell(value))
    _stdout().print(table)


def show_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], title: str) -> None:
    """Print rows as a table of some of their columns."""
    table = Table(*columns, title=Text(title), title_justify="left")
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in columns))
    _stdout().print(table)


def print_json(answer: Any) -> None:
    """Print one JSON value, ASCII only; a type unknown to JSON becomes text, NaN and infinity become null."""
    print(json.dumps(_finite(answer), sort_keys=False, default=str))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _cell(value: Any) -> Text:
    return Text(printable(_short(value)), overflow="fold")


def _stdout() -> Console:
    """Standard output; if it is not a terminal, wide enough for the tables."""
    return Console(width=None if sys.stdout.isatty() else 130)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if value is None:
        return ""
    if isinstance(value, list):
        between = "; " if any(isinstance(inner, list | dict) for inner in value) else " "
        return between.join(_short(inner) for inner in value)
    if isinstance(value, dict):
        return "  ".join(f"{key} {_short(inner)}" for key, inner in value.items())
    return str(value)


def show_models(cells: Mapping[str, Sequence[Cell]], answer: Mapping[str, Any]) -> None:
    """Print the models of a training run side by side.

    Args:
        cells: model → its figures.
        answer: what ``medray train --json`` prints.
    """
    from medray.data.splits import IN_WORDS  # imports numpy and pyarrow

    table = Table(title=f"Models on the {IN_WORDS[answer['evaluated_on']]} images", title_justify="left")
    for heading in ("model", *(cell.heading for cell in next(iter(cells.values()))), ""):
        table.add_column(heading)
    for name, row in cells.items():
        table.add_row(_cell(name), *(cell.text for cell in row), "best" if name == answer["best"] else "")
    _stdout().print(table)
    for key in ("bundle", "run", "report"):
        if answer.get(key):
            print(printable(f"{key}: {answer[key]}"))


def show_warnings(warnings: Sequence[Mapping[str, str]]) -> None:
    """Say on stderr what makes the figures less than they seem, a line each."""
    for one in warnings:
        print(printable(f"medray: warning: {one['code']}: {one['message']}"), file=sys.stderr)


def finish(attention: int, reasons: dict[str, int], where: str = "") -> None:
    """Leave with code 3 and one line when inputs were quarantined or failed.

    Args:
        attention: number of inputs that need attention.
        reasons: numbers by code, including excluded inputs, which need no attention.
        where: what names them one by one.
    """
    if attention:
        codes = ", ".join(f"{code} {count}" for code, count in reasons.items())
        among = "" if sum(reasons.values()) == attention else "left out in all: "
        found = f"{attention} inputs need attention ({among}{codes}); the rest is done"
        print("medray: " + "; ".join(filter(None, (found, printable(where)))), file=sys.stderr)
        raise typer.Exit(NEEDS_ATTENTION)
