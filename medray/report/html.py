"""The report as one self-contained HTML page: no scripts, no requests, light and dark."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from medray.report import figures
from medray.report.data import ReportData, ReportPart, SampleImage
from medray.tasks.page import Cell, Table


@dataclass(frozen=True)
class _Cell:
    text: str
    best: bool


@dataclass(frozen=True)
class _Row:
    name: str
    chosen: bool
    cells: tuple[_Cell, ...]


@dataclass(frozen=True)
class _PartTable:
    title: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class _Figure:
    title: str
    alt: str
    svg: Markup


@dataclass(frozen=True)
class _Sample:
    image: str
    overlay: str
    sample: SampleImage


@dataclass(frozen=True)
class _Part:
    part: ReportPart
    id: str
    tiles: list[tuple[str, str, str]]
    columns: tuple[str, ...]
    rows: list[_Row]
    tables: list[_PartTable]
    figures: list[_Figure]
    samples: list[_Sample]


def render_report(report: ReportData) -> str:
    """The page, UTF-8 text. Every string of the report is escaped; parts that are missing are left out."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("medray.report").joinpath("template.html").read_text("utf-8"))
    return template.render(
        report=report,
        parts=[_part(part, number) for number, part in enumerate(report.parts)],
        provenance={name: json.dumps(value, indent=2, ensure_ascii=False) for name, value in report.provenance.items()},
    )


def _part_table(table: Table) -> _PartTable:
    cells = next(iter(table.rows.values()), ())
    rows = {name: tuple(cell.text for cell in row) for name, row in table.rows.items()}
    return _PartTable(table.title, (table.part, *(cell.heading for cell in cells)), rows)


def _part(part: ReportPart, number: int) -> _Part:
    return _Part(
        part=part,
        id=str(number or ""),
        tiles=[(tile.heading, tile.value, tile.note) for tile in part.page.tiles],
        columns=("Model", *(cell.heading for cell in part.models[0].cells)) if part.models else (),
        rows=_rows(part),
        tables=[_part_table(table) for table in part.page.tables],
        figures=[_Figure(plot.title, plot.alt, Markup(figures.draw(plot))) for plot in part.page.plots],
        samples=[_sample(sample) for sample in part.samples],
    )


def _rows(part: ReportPart) -> list[_Row]:
    """The table of models; with several models, the best figure of each column is marked."""
    best = [_best(column) for column in zip(*(model.cells for model in part.models), strict=True)]
    return [
        _Row(
            model.name,
            len(part.models) > 1 and model.name == part.selected,
            tuple(_Cell(cell.text, index in winners) for cell, winners in zip(model.cells, best, strict=True)),
        )
        for index, model in enumerate(part.models)
    ]


def _best(cells: Sequence[Cell]) -> set[int]:
    """Where the best values of a column are; nowhere for a single model."""
    known = [cell.sign * cell.value for cell in cells if cell.value is not None and cell.sign]
    if len(cells) < 2 or not known:
        return set()
    return {index for index, cell in enumerate(cells) if cell.value is not None and cell.sign * cell.value == max(known)}


def _sample(sample: SampleImage) -> _Sample:
    overlay = "" if sample.overlay is None else figures.overlay_uri(sample.pixels, sample.overlay)
    if sample.outlines:
        overlay = figures.outlined_uri(sample.pixels, sample.outlines)
    return _Sample(figures.image_uri(sample.pixels), overlay, sample)
