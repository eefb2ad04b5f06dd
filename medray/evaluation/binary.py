"""Figures of merit of a two-class model at an operating point.

``y`` holds the labels (n,), 0 or 1, and ``p`` the probabilities of class 1 (n,), float in [0, 1]. A case counts as
positive where ``p >= threshold``. What is undefined on the given cases (an AUROC of one class) is None, never a guess.
Every function raises ModelError (``METRICS_INPUT``) on cases that are empty, contradictory or not finite.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from medray.evaluation.cases import binary_cases
from medray.evaluation.curves import auprc, brier_score, expected_calibration_error
from medray.evaluation.intervals import Interval, auroc_interval
from medray.evaluation.spread import ScoreSpread
from medray.spec import Spec
from medray.types import Int64


class Confusion(Spec):
    """Numbers of cases by truth and decision, and the rates that follow from them."""

    tn: int
    fp: int
    fn: int
    tp: int

    @classmethod
    def of(cls, counts: Int64) -> Confusion:
        """Of int64 (2, 2) counts: rows by truth, columns by decision, negative first."""
        (tn, fp), (fn, tp) = counts.tolist()
        return cls(tn=tn, fp=fp, fn=fn, tp=tp)

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
    def precision(self) -> float | None:
        """Share of the positive decisions that are right (positive predictive value)."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def youden_j(self) -> float | None:
        """Sensitivity + specificity − 1 (Youden 1950)."""
        found = (self.sensitivity, self.specificity)
        return None if found[0] is None or found[1] is None else found[0] + found[1] - 1

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
    scores: ScoreSpread


def confusion(y: ArrayLike, p: ArrayLike, threshold: float) -> Confusion:
    """The confusion matrix of the decision ``p >= threshold``."""
    from sklearn.metrics import confusion_matrix

    labels, scores = binary_cases(y, p)
    return Confusion.of(confusion_matrix(labels, scores >= threshold, labels=[0, 1]))


def evaluate(y: ArrayLike, p: ArrayLike, threshold: float, groups: ArrayLike | None = None, seed: int = 0) -> Metrics:
    """All figures of merit at an operating point; ``groups`` (patients) and ``seed`` serve the AUROC's interval."""
    labels, scores = binary_cases(y, p)
    counts = confusion(labels, scores, threshold)
    return Metrics(
        n=len(labels),
        positives=counts.tp + counts.fn,
        auroc=auroc_interval(labels, scores, groups, seed),
        auprc=auprc(labels, scores),
        accuracy=counts.accuracy,
        sensitivity=counts.sensitivity,
        specificity=counts.specificity,
        f1=counts.f1,
        brier=brier_score(labels, scores),
        ece=expected_calibration_error(labels, scores),
        threshold=threshold,
        confusion=counts,
        scores=ScoreSpread.of(scores),
    )


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
