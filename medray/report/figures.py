"""The figures of a report, each as text for a page: inline SVG whose colours follow the page, images as data URIs."""

from __future__ import annotations

import base64
import io
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medray.tasks.page import Curves, Histogram, Matrix, Plot, Scatter
from medray.types import Bool, Float32, Float64

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
_OUTLINES = ((0, 159, 230), (233, 180, 86))
"""Orange and sky blue of Okabe & Ito (2008), blue first."""


def draw(plot: Plot) -> str:
    """A plot of a task as an SVG element."""
    return _DRAWN[type(plot)](plot)


def _curves(plot: Curves) -> str:
    """Curves over the diagonal, and histograms in axes below them."""
    with _figure(5.2, 4.6, rows=(3.4, 1) if plot.below else (1,)) as (figure, found):
        axes, below = found if plot.below else (found, None)
        low, high = _limits(plot.limits, [(line.x, line.y) for line in plot.lines])
        axes.plot([low, high], [low, high], color=RULE, linewidth=1, linestyle=(0, (4, 3)))
        for line, colour in zip(plot.lines, _colours(len(plot.lines)), strict=True):
            axes.plot(line.x, line.y, "o-" if line.points else "-", color=colour, linewidth=1.8, markersize=4, label=line.label)
            if line.mark is not None:
                axes.plot(*line.mark, "o", color=colour, markersize=6)
        margin = 0.02 * (high - low)
        bounds = (low - margin, high + margin)
        axes.set(xlabel=plot.x_label, ylabel=plot.y_label, xlim=bounds, ylim=bounds, aspect="equal" if plot.square else "auto")
        axes.legend(loc=plot.legend_at, fontsize=8.5, title=plot.legend or None, title_fontsize=8.5)
        if below is not None:
            axes.set_xlabel("")
            axes.tick_params(labelbottom=False)
            for sample, colour in zip(plot.below, _colours(len(plot.below)), strict=True):
                below.hist(sample.values, bins=np.linspace(low, high, 21).tolist(), histtype="step", color=colour, linewidth=1.3)
            below.set(xlabel=plot.below_x_label, ylabel="images", xlim=bounds)
        return _svg(figure)


def _matrix(plot: Matrix) -> str:
    """A confusion matrix, shaded by the share of each row."""
    size, names = len(plot.names), plot.names
    totals = np.maximum(plot.counts.sum(axis=1, keepdims=True), 1)
    with _figure(1.6 + 1.4 * size, 1.2 + 1.3 * size) as (figure, axes):
        for (row, column), count in np.ndenumerate(plot.counts):
            share = count / totals[row, 0]
            colour = ACCENT if row == column else ALARM
            axes.fill_between([column - 0.48, column + 0.48], row - 0.48, row + 0.48, color=colour, alpha=0.08 + 0.5 * share)
            axes.text(column, row - 0.04, f"{count}", ha="center", va="center", fontsize=17)
            axes.text(column, row + 0.22, f"{share:.0%} of {names[row]}", ha="center", va="center", fontsize=8)
        axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), xlabel="decision", ylabel="truth")
        axes.set_xticks(range(size), names)
        axes.set_yticks(range(size), names, rotation=90, va="center")
        axes.tick_params(length=0)
        axes.grid(False)
        axes.spines[:].set_visible(False)
        return _svg(figure)


def _histogram(plot: Histogram) -> str:
    """Histograms of groups, with named positions."""
    low, high = _limits(plot.limits, [(sample.values, sample.values) for sample in plot.samples])
    edges = np.linspace(low, high, 26).tolist()
    calm = iter(_colours(len(plot.samples)))
    with _figure(5.2, 3.8) as (figure, axes):
        for sample in plot.samples:
            colour = ALARM if sample.alarm else next(calm)
            axes.hist(sample.values, bins=edges, color=colour, alpha=0.55, label=f"{sample.label} ({len(sample.values)})")
        for name, at in plot.marks.items():
            axes.axvline(at, color=INK, linewidth=1.2, label=name)
        margin = 0.02 * (high - low)
        axes.set(xlabel=plot.x_label, ylabel="images", xlim=(low - margin, high + margin))
        axes.locator_params(axis="x", nbins=7)
        axes.legend(fontsize=8.5)
        return _svg(figure)


def _scatter(plot: Scatter) -> str:
    """Points over the diagonal, or over levels."""
    with _figure(5.2, 4.6) as (figure, axes):
        axes.plot(plot.x, plot.y, "o", color=ACCENT, markersize=4, alpha=0.6)
        axes.set(xlabel=plot.x_label, ylabel=plot.y_label)
        axes.locator_params(nbins=7)
        if plot.levels:
            for (name, at), style in zip(plot.levels.items(), itertools.chain(["-"], itertools.repeat("--")), strict=False):
                axes.axhline(at, color=INK, linewidth=1.2, linestyle=style, label=name)
            axes.margins(y=0.2)  # the legend has room above the points
            axes.legend(fontsize=8.5, loc="upper right")
            return _svg(figure)
        low, high = _limits(None, [(plot.x, plot.y)])
        axes.plot([low, high], [low, high], color=RULE, linewidth=1, linestyle=(0, (4, 3)))
        margin = 0.04 * (high - low)
        bounds = (low - margin, high + margin)
        axes.set(xlim=bounds, ylim=bounds, aspect="equal")
        return _svg(figure)


_DRAWN: Mapping[type[Plot], Callable[[Any], str]] = {
    Curves: _curves,
    Matrix: _matrix,
    Histogram: _histogram,
    Scatter: _scatter,
}


def _limits(given: tuple[float, float] | None, data: Sequence[tuple[Float64, Float64]]) -> tuple[float, float]:
    """The given limits, or those of the finite data; never of no width."""
    if given is not None:
        return given
    found = np.concatenate([np.empty(0), *(part for pair in data for part in pair)])
    found = found[np.isfinite(found)]
    low, high = (float(found.min()), float(found.max())) if len(found) else (0.0, 1.0)
    return (low, high) if high > low else (low, low + 1)


def image_uri(pixels: Float32) -> str:
    """An image as a JPEG data URI. ``pixels``: float32 (rows, columns), or (3, rows, columns) in colour, in [0, 1]."""
    return _data_uri(_bgr(pixels))


def overlay_uri(pixels: Float32, overlay: Float32) -> str:
    """The image under an overlay (turbo colours, opacity by its value) as a JPEG data URI.

    Args:
        pixels: as :func:`image_uri` takes them.
        overlay: float32 (rows, columns) in [0, 1].
    """
    base = _bgr(pixels)
    heat = cv2.resize(_to_uint8(overlay), base.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    opacity = 0.6 * heat[..., None].astype(np.float32) / 255
    return _data_uri((base * (1 - opacity) + cv2.applyColorMap(heat, cv2.COLORMAP_TURBO) * opacity).astype(np.uint8))


def outlined_uri(pixels: Float32, outlines: Sequence[Bool]) -> str:
    """The image with the outlines of masks, the first in orange, the second in blue, as a JPEG data URI.

    Args:
        pixels: as :func:`image_uri` takes them.
        outlines: bool (rows, columns) each.
    """
    small = _bgr(pixels)
    factor = max(1, round(_LONGEST_SIDE / max(small.shape)))
    base = cv2.resize(small, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    for mask, colour in reversed(list(zip(outlines, _OUTLINES, strict=False))):
        shown = cv2.resize(mask.astype(np.uint8), base.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        edges, _ = cv2.findContours(shown, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(base, edges, -1, colour, max(1, max(base.shape) // 110), cv2.LINE_AA)
    return _data_uri(np.asarray(base, np.uint8))


def _bgr(pixels: Float32) -> NDArray[np.uint8]:
    """uint8 (rows, columns, 3), blue first."""
    if pixels.ndim == 2:
        return np.asarray(cv2.cvtColor(_to_uint8(pixels), cv2.COLOR_GRAY2BGR), np.uint8)
    return np.ascontiguousarray(np.stack([_to_uint8(channel) for channel in pixels[::-1]], axis=-1))


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
