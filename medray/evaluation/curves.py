"""Curves of a two-class model over all thresholds, and the figures that sum them up.

``y`` holds the labels (n,), 0 or 1, and ``p`` the probabilities of class 1 (n,), float in [0, 1]. A figure is None where
it is undefined. Every function raises ModelError (``METRICS_INPUT``) on cases that are empty, contradictory or not finite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from medray.evaluation.cases import binary_cases
from medray.types import Float64, Int64


@dataclass(frozen=True)
class Roc:
    """A receiver operating characteristic, float64 (points,) each, from (0, 0) at an infinite threshold to (1, 1)."""

    fpr: Float64
    tpr: Float64
    thresholds: Float64


@dataclass(frozen=True)
class Calibration:
    """A reliability curve, one entry per non-empty bin: mean probability, share of positives, number of cases."""

    predicted: Float64
    observed: Float64
    counts: Int64


def roc_curve(y: ArrayLike, p: ArrayLike) -> Roc:
    """The ROC with a point at every distinct probability (Fawcett 2006, algorithm 1); NaN rates of an absent class."""
    labels, scores = binary_cases(y, p)
    fp, tp, thresholds = counts_above(labels, scores)
    positives = int(labels.sum())
    with np.errstate(invalid="ignore"):
        fpr, tpr = np.r_[0, fp] / np.float64(len(labels) - positives), np.r_[0, tp] / np.float64(positives)
    return Roc(fpr, tpr, np.r_[np.inf, thresholds])


def auroc(y: ArrayLike, p: ArrayLike) -> float | None:
    """Area under the ROC: share of (positive, negative) pairs in the right order, ties half (Hanley & McNeil 1982)."""
    labels, scores = binary_cases(y, p)
    positive, negative = scores[labels == 1], np.sort(scores[labels == 0])
    if not len(positive) or not len(negative):
        return None
    below, up_to = np.searchsorted(negative, positive, "left"), np.searchsorted(negative, positive, "right")
    return float((below + up_to).sum() / (2 * len(positive) * len(negative)))


def auprc(y: ArrayLike, p: ArrayLike) -> float | None:
    """Average precision, Σ (Rₙ − Rₙ₋₁) Pₙ over the distinct probabilities, uninterpolated (Davis & Goadrich 2006)."""
    labels, scores = binary_cases(y, p)
    positives = int(labels.sum())
    if positives == 0:
        return None
    fp, tp, _ = counts_above(labels, scores)
    return float(np.sum(np.diff(tp, prepend=0) / positives * (tp / (tp + fp))))


def brier_score(y: ArrayLike, p: ArrayLike) -> float:
    """Mean squared difference of probability and label (Brier 1950, for two classes)."""
    labels, scores = binary_cases(y, p)
    return float(np.mean((scores - labels) ** 2))


def calibration_curve(y: ArrayLike, p: ArrayLike, bins: int = 10) -> Calibration:
    """The reliability curve over bins of equal counts: edges at the quantiles of ``p``; ties share a bin."""
    labels, scores = binary_cases(y, p)
    edges = np.percentile(scores, np.linspace(0, 100, bins + 1))
    bin_of = np.searchsorted(edges[1:-1], scores)
    counts = np.bincount(bin_of, minlength=bins)
    filled = counts > 0
    predicted = np.bincount(bin_of, scores, bins)[filled] / counts[filled]
    observed = np.bincount(bin_of, labels, bins)[filled] / counts[filled]
    return Calibration(predicted, observed, counts[filled])


def expected_calibration_error(y: ArrayLike, p: ArrayLike, bins: int = 10) -> float:
    """Mean distance of the reliability curve from the diagonal, weighted by cases (Naeini et al. 2015)."""
    curve = calibration_curve(y, p, bins)
    return float(np.sum(np.abs(curve.observed - curve.predicted) * curve.counts) / curve.counts.sum())


def counts_above(labels: Int64, scores: Float64) -> tuple[Int64, Int64, Float64]:
    """False and true positives, int64 each, at each distinct score as the threshold, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last_of_tie = np.r_[np.flatnonzero(np.diff(ranked)), len(ranked) - 1]
    tp = np.cumsum(labels[order])[last_of_tie]
    return last_of_tie + 1 - tp, tp, ranked[last_of_tie]
