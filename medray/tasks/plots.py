"""Plots that several tasks show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from medray.evaluation.curves import calibration_curve, expected_calibration_error, roc_curve
from medray.tasks.page import Curves, Line, Sample
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


def calibration_plot(title: str, cases: Sequence[tuple[str, Int64, Float64]]) -> Curves | None:
    """Reliability curves (10 bins of equal counts) above the histograms of the probabilities; None where there is none.

    Args:
        cases: name, labels (n,), 0 or 1, and probabilities (n,) of each curve.
    """
    if not cases:
        return None
    curves = [(f"{name}: ECE {expected_calibration_error(y, p):.3f}", calibration_curve(y, p)) for name, y, p in cases]
    return Curves(
        title,
        "Reliability curves of " + ", ".join(label for label, _ in curves),
        "predicted probability",
        "observed share",
        tuple(Line(label, curve.predicted, curve.observed, points=True) for label, curve in curves),
        legend_at="upper left",
        below=tuple(Sample(name, p) for name, _, p in cases),
        below_x_label="predicted probability",
    )
