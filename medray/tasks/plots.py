"""Plots that several tasks show."""

from __future__ import annotations

from collections.abc import Iterable

from medray.evaluation.curves import roc_curve
from medray.tasks.page import Curves, Line
from medray.tasks.text import Bounded, interval_text
from medray.types import Float64, Int64


def roc_line(
    name: str, y: Int64, p: Float64, area: Bounded, sensitivity: float | None = None, specificity: float | None = None
) -> Line | None:
    """The ROC of labels (n,) and probabilities (n,), with its operating point where the rates are given; None where undefined."""
    if area.value is None:
        return None
    curve = roc_curve(y, p)
    at = None if sensitivity is None or specificity is None else (1 - specificity, sensitivity)
    return Line(f"{name}: {interval_text(area)}", curve.fpr, curve.tpr, at)


def roc_plot(title: str, lines: Iterable[Line | None]) -> Curves | None:
    """ROC curves in one pair of axes; None where there is none."""
    shown = tuple(line for line in lines if line is not None)
    if not shown:
        return None
    return Curves(
        title,
        "ROC curves; AUROC: " + ", ".join(line.label for line in shown),
        "1 − specificity",
        "sensitivity",
        shown,
        legend="AUROC [95 % interval]",
        legend_at="lower right",
        square=True,
    )
