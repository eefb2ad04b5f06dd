"""Figures of merit of scores that say how unusual a case is; some, all or none of the cases have a label, anomalous or normal.

A score is no probability, so there is no Brier score and no calibration. What is undefined on the given cases is None. Functions
raise ModelError (``METRICS_INPUT``) on contradictory cases.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from medray.evaluation.binary import Confusion, confusion
from medray.evaluation.cases import invalid_input
from medray.evaluation.curves import auprc
from medray.evaluation.intervals import Interval, auroc_interval
from medray.evaluation.spread import ScoreSpread
from medray.spec import Spec
from medray.types import Bool

_NONE = Interval(value=None, low=None, high=None)


class NoveltyMetrics(Spec):
    """How a model did on ``n`` labelled cases, of which ``positives`` are anomalous; None where a figure is undefined.

    Attributes:
        n_unlabelled: cases without a label; they count in ``flagged`` and ``scores`` only.
        flagged: share of all cases at or above the threshold.
        scores: of all cases.
    """

    n: int
    n_unlabelled: int
    positives: int
    auroc: Interval
    auprc: float | None
    accuracy: float | None
    sensitivity: float | None
    specificity: float | None
    f1: float | None
    threshold: float
    confusion: Confusion | None
    flagged: float | None
    scores: ScoreSpread


def evaluate(
    truth: ArrayLike, score: ArrayLike, threshold: float, groups: ArrayLike | None = None, seed: int = 0
) -> NoveltyMetrics:
    """All figures of merit at an operating point.

    Args:
        truth: float (n,): 1 anomalous, 0 normal, NaN unknown.
        score: float (n,) in [0, 1], higher is more unusual.
        groups: patients, (n,); they and ``seed`` serve the AUROC's interval.
    """
    labels, scores = np.asarray(truth, dtype=np.float64), np.asarray(score, dtype=np.float64)
    if not np.isfinite(scores).all():
        raise invalid_input("scores must be finite")
    known: Bool = ~np.isnan(labels)
    y, p = labels[known], scores[known]
    counts = confusion(y, p, threshold) if len(y) else None
    patients = None if groups is None else np.asarray(groups)[known]
    return NoveltyMetrics(
        n=len(y),
        n_unlabelled=int((~known).sum()),
        positives=int(y.sum()),
        auroc=auroc_interval(y, p, patients, seed) if len(y) else _NONE,
        auprc=auprc(y, p) if len(y) else None,
        accuracy=counts and counts.accuracy,
        sensitivity=counts and counts.sensitivity,
        specificity=counts and counts.specificity,
        f1=counts and counts.f1,
        threshold=threshold,
        confusion=counts,
        flagged=float((scores >= threshold).mean()) if len(scores) else None,
        scores=ScoreSpread.of(scores),
    )
