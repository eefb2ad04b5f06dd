"""The figures of a report, each as text for a page: inline SVG whose colours follow the page, images as data URIs."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medray.evaluation.binary import Confusion, Metrics
from medray.evaluation.curves import calibration_curve, roc_curve
from medray.report.data import ModelResult
from medray.types import Float32

INK, RULE, ACCENT, ALARM = "#010101", "#020202", "#030303", "#040404"
SERIES = (ACCENT, "#050505", "#060606", "#070707", "#080808", "#090909")
_VARIABLES = {
    INK: "--ink",
    RULE: "--rule",
    ALARM: "--alarm",
    **{colour: f"--series-{number}" for number, colour in enumerate(SERIES)},
}
"""Placeholder colours and the CSS variables that replace them, so that figures follow the light or dark page."""

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "medray",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": RULE,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "figure.facecolor": "none",
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}
_LONGEST_SIDE = 320


def roc_figure(models: Sequence[ModelResult]) -> str:
    """ROC curves of all models with their operating points; the legend gives each AUROC with its 95 % interval."""
    drawn = [model for model in models if model.metrics.auroc.value is not None]
    if not drawn:
        return ""
    with _figure(5.2, 4.6) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=RULE, linewidth=1, linestyle=(0, (4, 3)))
        for model, colour in zip(drawn, _colours(len(drawn)), strict=True):
            roc = roc_curve(model.y, model.p)
            axes.plot(roc.fpr, roc.tpr, color=colour, linewidth=1.8, label=f"{model.name}: {interval_text(model.metrics)}")
            at = model.metrics
            if at.sensitivity is not None and at.specificity is not None:
                axes.plot(1 - at.specificity, at.sensitivity, "o", color=colour, markersize=6)
        axes.set(xlabel="1 − specificity", ylabel="sensitivity", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        axes.legend(loc="lower right", fontsize=8.5, title="AUROC [95 % interval]", title_fontsize=8.5)
        return _svg(figure)


def confusion_figure(counts: Confusion, positive: str) -> str:
    """The confusion matrix, shaded by the share of each row."""
    table = np.array([[counts.tn, counts.fp], [counts.fn, counts.tp]])
    totals = np.maximum(table.sum(axis=1, keepdims=True), 1)
    names = (f"not {positive}", positive)
    with _figure(4.4, 3.8) as (figure, axes):
        for (row, column), count in np.ndenumerate(table):
            share = count / totals[row, 0]
            colour = ACCENT if row == column else ALARM
            axes.fill_between([column - 0.48, column + 0.48], row - 0.48, row + 0.48, color=colour, alpha=0.08 + 0.5 * share)
            axes.text(column, row - 0.04, f"{count}", ha="center", va="center", fontsize=17)
            axes.text(column, row + 0.22, f"{share:.0%} of {names[row]}", ha="center", va="center", fontsize=8)
        axes.set(xlim=(-0.5, 1.5), ylim=(1.5, -0.5), xlabel="decision", ylabel="truth")
        axes.set_xticks([0, 1], names)
        axes.set_yticks([0, 1], names, rotation=90, va="center")
        axes.tick_params(length=0)
        axes.grid(False)
        axes.spines[:].set_visible(False)
        return _svg(figure)


def calibration_figure(models: Sequence[ModelResult]) -> str:
    """Reliability curves (10 bins of equal counts) above the histograms of the probabilities."""
    if not models:
        return ""
    with _figure(5.2, 4.6, rows=(3.4, 1)) as (figure, (axes, below)):
        axes.plot([0, 1], [0, 1], color=RULE, linewidth=1, linestyle=(0, (4, 3)))
        for model, colour in zip(models, _colours(len(models)), strict=True):
            curve = calibration_curve(model.y, model.p)
            label = f"{model.name}: ECE {model.metrics.ece:.3f}"
            axes.plot(curve.predicted, curve.observed, "o-", color=colour, linewidth=1.6, markersize=4, label=label)
            below.hist(model.p, bins=np.linspace(0, 1, 21).tolist(), histtype="step", color=colour, linewidth=1.3)
        axes.set(ylabel="observed share", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.tick_params(labelbottom=False)
        axes.legend(loc="upper left", fontsize=8.5)
        below.set(xlabel="predicted probability", ylabel="images", xlim=(-0.02, 1.02))
        return _svg(figure)


def score_figure(model: ModelResult, positive: str) -> str:
    """Histograms of the probabilities of both classes, with the threshold."""
    edges = np.linspace(0, 1, 26).tolist()
    with _figure(5.2, 3.8) as (figure, axes):
        for value, colour, name in ((0, ACCENT, f"not {positive}"), (1, ALARM, positive)):
            chosen = model.p[model.y == value]
            axes.hist(chosen, bins=edges, color=colour, alpha=0.55, label=f"{name} ({len(chosen)})")
        axes.axvline(model.metrics.threshold, color=INK, linewidth=1.2, label=f"threshold {model.metrics.threshold:.3f}")
        axes.set(xlabel="probability", ylabel="images", xlim=(-0.02, 1.02))
        axes.legend(fontsize=8.5)
        return _svg(figure)


def interval_text(metrics: Metrics) -> str:
    """``0.912 [0.871–0.948]``, or a dash where undefined."""
    area = metrics.auroc
    if area.value is None or area.low is None or area.high is None:
        return "–"
    return f"{area.value:.3f} [{area.low:.3f}–{area.high:.3f}]"


def image_uri(pixels: Float32) -> str:
    """A greyscale image as a JPEG data URI. ``pixels``: float32 (rows, columns) in [0, 1]."""
    return _data_uri(_to_uint8(pixels))


def overlay_uri(pixels: Float32, saliency: Float32) -> str:
    """The image under its saliency (turbo colours, opacity by saliency) as a JPEG data URI; both float32, [0, 1]."""
    grey = cv2.cvtColor(_to_uint8(pixels), cv2.COLOR_GRAY2BGR)
    heat = cv2.resize(_to_uint8(saliency), grey.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    opacity = 0.6 * heat[..., None].astype(np.float32) / 255
    return _data_uri((grey * (1 - opacity) + cv2.applyColorMap(heat, cv2.COLORMAP_TURBO) * opacity).astype(np.uint8))


@contextmanager
def _figure(width: float, height: float, rows: Sequence[float] = (1,)) -> Iterator[tuple[Figure, Any]]:
    """A figure of so many inches in the style of the report, and its axes one below the other."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes: Axes | NDArray[Any] = figure.subplots(len(rows), sharex=True, height_ratios=rows)
        yield figure, axes


def _svg(figure: Figure) -> str:
    """The figure as an SVG element without fixed size."""
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    element = text.getvalue()
    element = element[element.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r' (width|height)="[\d.]+pt"', "", element, count=2)
    element = re.sub(r"(?<=: )#0[1-9]0[1-9]0[1-9]\b", lambda match: f"var({_VARIABLES[match[0]]})", element)
    return element.strip()


def _colours(count: int) -> list[str]:
    return [SERIES[number % len(SERIES)] for number in range(count)]


def _to_uint8(values: Float32) -> NDArray[np.uint8]:
    """[0, 1] to 0–255, the longer side at most 320 pixels."""
    scale = min(1.0, _LONGEST_SIDE / max(values.shape))
    small = cv2.resize(np.asarray(values, np.float32), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(np.nan_to_num(small) * 255 + 0.5, 0, 255), np.uint8)


def _data_uri(image: NDArray[np.uint8]) -> str:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 88])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"
