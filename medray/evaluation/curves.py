"""Curves of a two-class model over all thresholds, and the figures that sum them up.

``y`` holds the labels (n,), 0 or 1, and ``p`` the probabilities of class 1 (n,), float in [0, 1]. A figure is None where
it is undefined. Every function raises ModelError (``METRICS_INPUT``) on cases that are empty, contradictory or not finite.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from medray.evaluation.cases import binary_cases
from medray.types import Float64, Int32, Int64


@dataclass(frozen=True)
class Roc:
    """A receiver operating characteristic, float64 (points,) each, from (0, 0) at an infinite threshold to (1, 1)."""

    fpr: Float64
    tpr: Float64
    thresholds: Float64


@dataclass(frozen=True)
class Calibration:
    """A reliability curve, one entry per non-empty bin: mean prediction, mean observation, number of cases."""

    predicted: Float64
    observed: Float64
    counts: Int64


def roc_curve(y: ArrayLike, p: ArrayLike) -> Roc:
    """The ROC with a point at every distinct probability (Fawcett 2006, algorithm 1); NaN rates of an absent class."""
    from sklearn import metrics
    from sklearn.exceptions import UndefinedMetricWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        return Roc(*metrics.roc_curve(*binary_cases(y, p), pos_label=1, drop_intermediate=False))


def auroc(y: ArrayLike, p: ArrayLike) -> float | None:
    """Area under the ROC: share of (positive, negative) pairs in the right order, ties half (Hanley & McNeil 1982)."""
    labels, scores = binary_cases(y, p)
    area = float(weighted_auroc(labels, scores, np.ones((1, len(labels)), np.int32))[0])
    return None if math.isnan(area) else area


def weighted_auroc(labels: Int64, scores: Float64, weights: Int32) -> Float64:
    """The AUROC with cases counted several times, float64 (m,), one for each row of weights; NaN where a class is absent.

    scikit-learn's takes one row of weights a call, of 2 ms each: 5 s for the resamples of an interval, and too long for a figure
    of every boosting round.

    Args:
        labels: int64 (n,), 0 or 1.
        scores: float64 (n,).
        weights: int32 (m, n), how often each case counts.
    """
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    negative = negative[np.argsort(scores[negative])]
    below = np.searchsorted(scores[negative], scores[positive], "left")
    up_to = np.searchsorted(scores[negative], scores[positive], "right")
    cumulated = np.zeros((len(weights), len(negative) + 1), np.int32)
    np.cumsum(weights[:, negative], axis=1, out=cumulated[:, 1:])
    won = (weights[:, positive] * (cumulated[:, below] + cumulated[:, up_to])).sum(axis=1)
    pairs = weights[:, positive].sum(axis=1) * cumulated[:, -1].astype(np.int64)
    with np.errstate(invalid="ignore"):
        area: Float64 = won / (2.0 * pairs)
    return area


def auprc(y: ArrayLike, p: ArrayLike) -> float | None:
    """Average precision, Σ (Rₙ − Rₙ₋₁) Pₙ over the distinct probabilities, uninterpolated (Davis & Goadrich 2006)."""
    from sklearn.metrics import average_precision_score

    labels, scores = binary_cases(y, p)
    return float(average_precision_score(labels, scores)) if labels.any() else None


def brier_score(y: ArrayLike, p: ArrayLike) -> float:
    """Mean squared difference of probability and label (Brier 1950, for two classes)."""
    from sklearn.metrics import brier_score_loss

    return float(brier_score_loss(*binary_cases(y, p), pos_label=1))


def calibration_curve(y: ArrayLike, p: ArrayLike, bins: int = 10) -> Calibration:
    """The reliability curve over bins of equal counts: edges at the quantiles of ``p``; ties share a bin."""
    return binned(*binary_cases(y, p), bins)


def binned(observed: Int64 | Float64, predicted: Float64, bins: int) -> Calibration:
    """What was observed against what was predicted, (n,) each, in bins of equal counts; scikit-learn's has no counts."""
    edges = np.percentile(predicted, np.linspace(0, 100, bins + 1))
    bin_of = np.searchsorted(edges[1:-1], predicted)
    counts = np.bincount(bin_of, minlength=bins)
    filled = counts > 0
    mean_predicted, mean_observed = (
        np.bincount(bin_of, values, bins)[filled] / counts[filled] for values in (predicted, observed)
    )
    return Calibration(mean_predicted, mean_observed, counts[filled])


def expected_calibration_error(y: ArrayLike, p: ArrayLike, bins: int = 10) -> float:
    """Mean distance of the reliability curve from the diagonal, weighted by cases (Naeini et al. 2015)."""
    curve = calibration_curve(y, p, bins)
    return float(np.sum(np.abs(curve.observed - curve.predicted) * curve.counts) / curve.counts.sum())
