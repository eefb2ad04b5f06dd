"""Figures of merit of a two-class model, in plain NumPy.

Throughout, ``y`` holds the labels (n,), 0 or 1, and ``p`` the probabilities of class 1 (n,), float in [0, 1]. A case
counts as positive where ``p >= threshold``. What is undefined on the given cases (an AUROC of one class) is None, never
a guess. Every function raises ModelError (``METRICS_INPUT``) on cases that are empty, contradictory or not finite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, model_validator

from medray.errors import ModelError
from medray.evaluation.bootstrap import resampled_auroc
from medray.spec import Spec
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


class Interval(Spec):
    """A value with its 95 % interval; None where undefined."""

    value: float | None
    low: float | None
    high: float | None


class Confusion(Spec):
    """Numbers of cases by truth and decision, and the rates that follow from them."""

    tn: int
    fp: int
    fn: int
    tp: int

    @property
    def accuracy(self) -> float:
        """Share of right decisions."""
        return (self.tp + self.tn) / (self.tn + self.fp + self.fn + self.tp)

    @property
    def sensitivity(self) -> float | None:
        """Share of the positives found (true positive rate, recall)."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float | None:
        """Share of the negatives cleared (true negative rate)."""
        return _ratio(self.tn, self.tn + self.fp)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and sensitivity (van Rijsbergen 1979)."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)


class Metrics(Spec):
    """How a model did on ``n`` cases; None where a figure is undefined."""

    n: int
    positives: int
    auroc: Interval
    auprc: float | None
    accuracy: float
    sensitivity: float | None
    specificity: float | None
    f1: float | None
    brier: float
    ece: float
    threshold: float
    confusion: Confusion


class ThresholdPolicy(Spec):
    """How the operating point is chosen.

    ``youden`` maximises sensitivity + specificity − 1 (Youden 1950); ``sensitivity_at_least`` takes the most specific
    point of that sensitivity or more, ``specificity_at_least`` the most sensitive one of that specificity or more;
    ``fixed`` takes ``value``.
    """

    kind: Literal["youden", "sensitivity_at_least", "specificity_at_least", "fixed"] = "youden"
    value: float | None = Field(default=None, ge=0, le=1, description="what is asked for; none for youden")

    @model_validator(mode="after")
    def _value_fits_kind(self) -> ThresholdPolicy:
        if (self.value is None) != (self.kind == "youden"):
            raise ValueError(f"threshold policy {self.kind!r} {'needs a' if self.value is None else 'takes no'} value")
        return self


class Threshold(Spec):
    """An operating point and why it was chosen."""

    value: float
    reason: str


def roc_curve(y: ArrayLike, p: ArrayLike) -> Roc:
    """The ROC with a point at every distinct probability (Fawcett 2006, algorithm 1); NaN rates of an absent class."""
    labels, scores = _cases(y, p)
    fp, tp, thresholds = _counts(labels, scores)
    positives = int(labels.sum())
    with np.errstate(invalid="ignore"):
        fpr, tpr = np.r_[0, fp] / np.float64(len(labels) - positives), np.r_[0, tp] / np.float64(positives)
    return Roc(fpr, tpr, np.r_[np.inf, thresholds])


def auroc(y: ArrayLike, p: ArrayLike) -> float | None:
    """Area under the ROC: share of (positive, negative) pairs in the right order, ties half (Hanley & McNeil 1982)."""
    labels, scores = _cases(y, p)
    positive, negative = scores[labels == 1], np.sort(scores[labels == 0])
    if not len(positive) or not len(negative):
        return None
    below, up_to = np.searchsorted(negative, positive, "left"), np.searchsorted(negative, positive, "right")
    return float((below + up_to).sum() / (2 * len(positive) * len(negative)))


def bootstrap_interval(
    y: ArrayLike, p: ArrayLike, groups: ArrayLike | None = None, seed: int = 0, resamples: int = 2000
) -> Interval:
    """The AUROC with its 95 % percentile bootstrap interval (Efron & Tibshirani 1993, §13.3).

    Args:
        groups: patient numbers (n,). Whole patients are drawn, since images of one patient are not independent
            (Obuchowski 1997). Without them, single cases are drawn.
        seed: of the draws; equal seeds give equal intervals.

    Draws are stratified: as many units with a positive case, and as many without, as there are.
    """
    labels, scores = _cases(y, p)
    units = np.arange(len(labels)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if units.shape != labels.shape:
        raise _invalid(f"groups of shape {units.shape} for {len(labels)} cases")
    value = auroc(labels, scores)
    if value is None:
        return Interval(value=None, low=None, high=None)
    areas = resampled_auroc(labels, scores, units, np.random.default_rng(seed), resamples)
    low, high = np.nanpercentile(areas, [2.5, 97.5])
    return Interval(value=value, low=float(low), high=float(high))


def auprc(y: ArrayLike, p: ArrayLike) -> float | None:
    """Average precision, Σ (Rₙ − Rₙ₋₁) Pₙ over the distinct probabilities, uninterpolated (Davis & Goadrich 2006)."""
    labels, scores = _cases(y, p)
    positives = int(labels.sum())
    if positives == 0:
        return None
    fp, tp, _ = _counts(labels, scores)
    return float(np.sum(np.diff(tp, prepend=0) / positives * (tp / (tp + fp))))


def confusion(y: ArrayLike, p: ArrayLike, threshold: float) -> Confusion:
    """The confusion matrix of the decision ``p >= threshold``."""
    labels, scores = _cases(y, p)
    tn, fp, fn, tp = np.bincount(2 * labels + (scores >= threshold), minlength=4)
    return Confusion(tn=int(tn), fp=int(fp), fn=int(fn), tp=int(tp))


def brier_score(y: ArrayLike, p: ArrayLike) -> float:
    """Mean squared difference of probability and label (Brier 1950, for two classes)."""
    labels, scores = _cases(y, p)
    return float(np.mean((scores - labels) ** 2))


def calibration_curve(y: ArrayLike, p: ArrayLike, bins: int = 10) -> Calibration:
    """The reliability curve over bins of equal counts: edges at the quantiles of ``p``; ties share a bin."""
    labels, scores = _cases(y, p)
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


def choose_threshold(y: ArrayLike, p: ArrayLike, policy: ThresholdPolicy | None = None) -> Threshold:
    """The operating point that the policy (Youden's J by default) takes on validation images.

    The threshold lies halfway between two neighbouring probabilities, so that rounding elsewhere cannot flip a case.

    Raises:
        ModelError: ``THRESHOLD_ONE_CLASS`` when only one class is present, ``THRESHOLD_UNREACHABLE`` when no point
            meets the policy.
    """
    policy = policy or ThresholdPolicy()
    labels, scores = _cases(y, p)
    if policy.kind == "fixed":
        return Threshold(value=float(policy.value or 0.0), reason=f"fixed at {policy.value:g} by the configuration")
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        raise ModelError("THRESHOLD_ONE_CLASS", f"all {len(labels)} validation images have one label")
    fp, tp, thresholds = _counts(labels, scores)
    point, reason = _operating_point(tp / positives, (negatives - fp) / negatives, policy)
    return Threshold(value=_halfway(thresholds, point), reason=f"{reason} on {len(labels)} validation images")


def evaluate(y: ArrayLike, p: ArrayLike, threshold: float, groups: ArrayLike | None = None, seed: int = 0) -> Metrics:
    """All figures of merit at an operating point; ``groups`` (patients) and ``seed`` serve the AUROC's interval."""
    labels, scores = _cases(y, p)
    counts = confusion(labels, scores, threshold)
    return Metrics(
        n=len(labels),
        positives=counts.tp + counts.fn,
        auroc=bootstrap_interval(labels, scores, groups, seed),
        auprc=auprc(labels, scores),
        accuracy=counts.accuracy,
        sensitivity=counts.sensitivity,
        specificity=counts.specificity,
        f1=counts.f1,
        brier=brier_score(labels, scores),
        ece=expected_calibration_error(labels, scores),
        threshold=threshold,
        confusion=counts,
    )


def _cases(y: ArrayLike, p: ArrayLike) -> tuple[Int64, Float64]:
    labels, scores = np.asarray(y), np.asarray(p, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != scores.shape or not len(labels):
        raise _invalid(f"labels {labels.shape} and probabilities {scores.shape} must have one equal shape (n,), n ≥ 1")
    if not np.isin(labels, (0, 1)).all():
        raise _invalid("labels must be 0 or 1")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise _invalid(f"{int((~((scores >= 0) & (scores <= 1))).sum())} probabilities are not in [0, 1]")
    return labels.astype(np.int64), scores


def _invalid(message: str) -> ModelError:
    return ModelError("METRICS_INPUT", message, "check the model's output and the labels")


def _counts(labels: Int64, scores: Float64) -> tuple[Int64, Int64, Float64]:
    """False and true positives at each distinct probability as the threshold, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last_of_tie = np.r_[np.flatnonzero(np.diff(ranked)), len(ranked) - 1]
    tp = np.cumsum(labels[order])[last_of_tie]
    return last_of_tie + 1 - tp, tp, ranked[last_of_tie]


def _operating_point(sens: Float64, spec: Float64, policy: ThresholdPolicy) -> tuple[int, str]:
    """Index of the chosen point, thresholds descending, and the reason."""
    if policy.kind == "youden":
        j = np.round(sens + spec - 1, 12)
        point = len(j) - 1 - int(np.argmax(j[::-1]))
        return point, f"maximises Youden's J ({j[point]:.2f})"
    kind, wanted = policy.kind.removesuffix("_at_least"), policy.value or 0.0
    allowed = np.flatnonzero((sens if kind == "sensitivity" else spec) >= wanted)
    if not len(allowed):
        raise ModelError(
            "THRESHOLD_UNREACHABLE",
            f"no threshold reaches a {kind} of {wanted:g} on the validation images",
            "lower the value, or take another policy",
        )
    point = int(allowed[0] if kind == "sensitivity" else allowed[-1])
    return point, f"keeps {kind} ≥ {wanted:g} (sensitivity {sens[point]:.2f}, specificity {spec[point]:.2f})"


def _halfway(thresholds: Float64, point: int) -> float:
    """A threshold between the point's probability and the next lower one (0 below the lowest)."""
    upper = float(thresholds[point])
    lower = float(thresholds[point + 1]) if point + 1 < len(thresholds) else 0.0
    middle = (upper + lower) / 2
    return middle if middle > lower else upper


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
