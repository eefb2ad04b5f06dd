"""The report as one self-contained HTML page: no scripts, no requests, light and dark."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from medray.evaluation.binary import Metrics
from medray.report import figures
from medray.report.data import ModelResult, ReportData, SampleImage

_COLUMNS: Mapping[str, tuple[str, int]] = {
    "AUPRC": ("auprc", 1),
    "Sensitivity": ("sensitivity", 1),
    "Specificity": ("specificity", 1),
    "Accuracy": ("accuracy", 1),
    "F1": ("f1", 1),
    "Brier": ("brier", -1),
}
"""Heading → field of Metrics, and 1 where more is better, −1 where less is."""


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
class _Figure:
    title: str
    alt: str
    svg: Markup


@dataclass(frozen=True)
class _Sample:
    image: str
    overlay: str
    sample: SampleImage


def render_report(report: ReportData) -> str:
    """The page, UTF-8 text. Every string of the report is escaped; parts that are missing are left out."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("medray.report").joinpath("template.html").read_text("utf-8"))
    return template.render(
        report=report,
        summary=summary(report),
        tiles=_tiles(report.chosen),
        columns=("Model", "AUROC [95 %]", *_COLUMNS),
        rows=_rows(report),
        figures=_figures(report),
        samples=[_sample(sample) for sample in report.samples],
        provenance={name: json.dumps(value, indent=2, ensure_ascii=False) for name, value in report.provenance.items()},
    )


def summary(report: ReportData) -> str:
    """What came out, in one or two sentences."""
    model = report.chosen
    if model is None:
        return f"{len(report.models)} models were compared; none is chosen." if report.models else ""
    found = model.metrics
    counts = found.confusion
    negatives = found.n - found.positives
    head = f"{model.name} reaches an AUROC of {figures.interval_text(found)} on {found.n} {report.split} images"
    if found.auroc.value is None:
        head = f"The AUROC of {model.name} is undefined on {found.n} {report.split} images of one class"
    reason = f", which {report.threshold_reason}" if report.threshold_reason else ""
    return (
        f"{head}. At the threshold of {found.threshold:.3f}{reason}, it finds {counts.tp} of {found.positives} "
        f"{report.positive} images and clears {counts.tn} of {negatives} others."
    )


def number(value: float | None, digits: int = 3) -> str:
    """A figure for a table, a dash where undefined."""
    return "–" if value is None else f"{value:.{digits}f}"


def _tiles(model: ModelResult | None) -> list[tuple[str, str, str]]:
    """Heading, value and note of the key figures."""
    if model is None:
        return []
    found = model.metrics
    area, counts = found.auroc, found.confusion
    interval = "undefined" if area.value is None else f"95 % interval {number(area.low)}–{number(area.high)}"
    return [
        ("AUROC", number(area.value), interval),
        ("Sensitivity", number(found.sensitivity), f"{counts.tp} of {found.positives} found"),
        ("Specificity", number(found.specificity), f"{counts.tn} of {found.n - found.positives} cleared"),
        ("Calibration error", number(found.ece), f"Brier score {number(found.brier)}"),
    ]


def _rows(report: ReportData) -> list[_Row]:
    """The table of models; with several models, the best figure of each column is marked."""
    found = [model.metrics for model in report.models]
    best = [_best([metrics.auroc.value for metrics in found], 1)]
    best += [_best([getattr(metrics, field) for metrics in found], sign) for field, sign in _COLUMNS.values()]
    return [
        _Row(
            model.name,
            len(found) > 1 and model is report.chosen,
            tuple(_Cell(text, index in winners) for text, winners in zip(_cell_texts(model.metrics), best, strict=True)),
        )
        for index, model in enumerate(report.models)
    ]


def _cell_texts(metrics: Metrics) -> list[str]:
    return [figures.interval_text(metrics), *(number(getattr(metrics, field)) for field, _ in _COLUMNS.values())]


def _best(values: Sequence[float | None], sign: int) -> set[int]:
    """Where the best values are; nowhere for a single model."""
    known = [sign * value for value in values if value is not None]
    if len(values) < 2 or not known:
        return set()
    return {index for index, value in enumerate(values) if value is not None and sign * value == max(known)}


def _figures(report: ReportData) -> list[_Figure]:
    chosen = report.chosen
    names = ", ".join(f"{model.name} {figures.interval_text(model.metrics)}" for model in report.models)
    drawn = [
        ("Receiver operating characteristic", f"ROC curves; AUROC: {names}", figures.roc_figure(report.models)),
        ("Calibration", f"Reliability curves of {names}", figures.calibration_figure(report.models)),
    ]
    if chosen is not None:
        counts = chosen.metrics.confusion
        truly = f"{counts.tn} true and {counts.fn} false negatives, {counts.tp} true and {counts.fp} false positives"
        spread = f"Histograms of the probabilities of {report.positive} and other images by {chosen.name}"
        drawn += [
            (f"Decisions of {chosen.name}", truly, figures.confusion_figure(counts, report.positive)),
            (f"Probabilities of {chosen.name}", spread, figures.score_figure(chosen, report.positive)),
        ]
    return [_Figure(title, alt, Markup(svg)) for title, alt, svg in drawn if svg]


def _sample(sample: SampleImage) -> _Sample:
    overlay = "" if sample.saliency is None else figures.overlay_uri(sample.pixels, sample.saliency)
    return _Sample(figures.image_uri(sample.pixels), overlay, sample)
