"""Figures of merit of a model of several labels, any number of which may hold for one case.

``truth`` holds the labels (n, L), 0 or 1, ``probability`` that of each (n, L), and ``known`` which labels are known, bool (n, L),
all of them by default. A figure is None where it is undefined. Every function raises ModelError (``METRICS_INPUT``) on cases that
are empty, contradictory or not finite.
"""

from __future__ import annotations

from statistics import fmean

import numpy as np
from numpy.typing import ArrayLike

from medray.evaluation import binary
from medray.evaluation.cases import invalid_input, label_cases
from medray.evaluation.intervals import Interval, macro_interval, resampled_aurocs, units_of
from medray.spec import Spec


class MultilabelMetrics(Spec):
    """How a model did on ``n`` cases.

    Attributes:
        labels: figures of each label over the cases where it is known; None where it is never known.
        macro_auroc, macro_auprc: mean over the labels that both values occur of, those in ``averaged``.
        averaged: numbers of these labels.
    """

    n: int
    labels: tuple[binary.Metrics | None, ...]
    macro_auroc: Interval
    macro_auprc: float | None
    averaged: tuple[int, ...]


def evaluate(
    truth: ArrayLike,
    probability: ArrayLike,
    thresholds: ArrayLike,
    known: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> MultilabelMetrics:
    """All figures of merit at the operating point of each label, ``thresholds`` (L,).

    ``groups`` (patients, (n,)) and ``seed`` serve the intervals. For that of the macro AUROC, patients are drawn without strata,
    all labels of a patient together; a resample that leaves a label with one value does not count.
    """
    labels, table, use = label_cases(truth, probability, known)
    cut = np.asarray(thresholds, dtype=np.float64)
    if cut.shape != labels.shape[1:]:
        raise invalid_input(f"thresholds {cut.shape} for {labels.shape[1]} labels")
    unit = units_of(groups, len(labels))
    each = [
        binary.evaluate(labels[rows, one], table[rows, one], float(cut[one]), unit[rows], seed) if rows.any() else None
        for one, rows in enumerate(use.T)
    ]
    areas = [None if found is None else found.auroc.value for found in each]
    averaged = tuple(one for one, area in enumerate(areas) if area is not None)
    precisions = [found.auprc for found in each if found and found.auroc.value is not None and found.auprc is not None]
    resampled = resampled_aurocs(labels, table, unit, np.zeros(unit.max() + 1, np.int64), seed, known=use)
    return MultilabelMetrics(
        n=len(labels),
        labels=tuple(each),
        macro_auroc=macro_interval(areas, resampled),
        macro_auprc=fmean(precisions) if precisions else None,
        averaged=averaged,
    )
