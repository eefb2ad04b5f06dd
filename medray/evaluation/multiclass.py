"""Figures of merit of a model of several classes, exactly one of them true.

``truth`` holds the classes (n,), whole numbers from 0 to C − 1, and ``probability`` those of each class (n, C). The decision is
the class of the largest probability, the first of equal ones. A figure is None where it is undefined. Every function raises
ModelError (``METRICS_INPUT``) on cases that are empty, contradictory or not finite.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from statistics import fmean

import numpy as np
from numpy.typing import ArrayLike

from medray.evaluation.binary import Confusion
from medray.evaluation.cases import class_cases
from medray.evaluation.curves import auroc
from medray.evaluation.intervals import Interval, macro_interval, percentile_interval, resampled_aurocs, units_of
from medray.spec import Spec
from medray.types import Int64


class ClassMetrics(Spec):
    """One class against the rest; ``cases`` is how many have it in truth."""

    cases: int
    auroc: Interval
    sensitivity: float | None
    specificity: float | None
    precision: float | None
    f1: float | None


class MulticlassMetrics(Spec):
    """How a model did on ``n`` cases; None where a figure is undefined.

    Macro figures are the mean over the classes that occur in truth, and None where one of these has none. ``confusion`` has a row
    for each class in truth, a column for each decision.
    """

    n: int
    classes: tuple[ClassMetrics, ...]
    macro_auroc: Interval
    macro_specificity: float | None
    macro_precision: float | None
    macro_f1: float | None
    accuracy: float
    balanced_accuracy: float
    kappa: float | None
    quadratic_kappa: float | None
    log_loss: float
    brier: float
    confusion: tuple[tuple[int, ...], ...]


def evaluate(truth: ArrayLike, probability: ArrayLike, groups: ArrayLike | None = None, seed: int = 0) -> MulticlassMetrics:
    """All figures of merit; ``groups`` (patients) and ``seed`` serve the intervals of the AUROCs.

    Balanced accuracy is the macro sensitivity. Kappa is Cohen's, 1960 unweighted and 1968 with quadratic
    weights (of ordered classes). The Brier score is the sum of squares over the classes, from 0 to 2 (Brier 1950).
    """
    from sklearn import metrics

    labels, table = class_cases(truth, probability)
    every = range(table.shape[1])
    shares = table / table.sum(axis=1, keepdims=True)
    decided = table.argmax(axis=1)
    confusion = metrics.confusion_matrix(labels, decided, labels=every)
    areas, macro_auroc = auroc_intervals(labels, table, groups, seed)
    classes = [_class(confusion, index, area) for index, area in enumerate(areas)]
    return MulticlassMetrics(
        n=len(labels),
        classes=tuple(classes),
        macro_auroc=macro_auroc,
        macro_specificity=_macro(classes, "specificity"),
        macro_precision=_macro(classes, "precision"),
        macro_f1=_macro(classes, "f1"),
        accuracy=float(metrics.accuracy_score(labels, decided)),
        balanced_accuracy=float(metrics.recall_score(labels, decided, labels=np.unique(labels), average="macro")),
        kappa=_kappa(labels, decided, every),
        quadratic_kappa=_kappa(labels, decided, every, "quadratic"),
        log_loss=float(metrics.log_loss(labels, shares, labels=every)),
        brier=float(metrics.brier_score_loss(labels, shares, labels=every, scale_by_half=False)),
        confusion=tuple(map(tuple, confusion.tolist())),
    )


def auroc_intervals(
    truth: ArrayLike, probability: ArrayLike, groups: ArrayLike | None = None, seed: int = 0
) -> tuple[tuple[Interval, ...], Interval]:
    """The AUROC of each class against the rest, and their mean over the classes in truth, with intervals from the same resamples.

    Draws are stratified by the rarest class of a patient. A resample that lacks a class has no mean, and does not count for it.
    """
    labels, table = class_cases(truth, probability)
    one_hot = (labels[:, None] == np.arange(table.shape[1])).astype(np.int64)
    unit = units_of(groups, len(labels))
    resampled = resampled_aurocs(one_hot, table, unit, _rarest(labels, unit), seed)
    areas = [auroc(one, scores) for one, scores in zip(one_hot.T, table.T, strict=True)]
    each = tuple(percentile_interval(area, values) for area, values in zip(areas, resampled.T, strict=True))
    return each, macro_interval(areas, resampled)


def _rarest(labels: Int64, unit: Int64) -> Int64:
    """Of the classes that each unit has, the one of the fewest cases, int64 (units,); the larger number of equal ones."""
    cases = np.bincount(labels)
    rarity = np.lexsort((np.arange(len(cases)), -cases))
    place = np.argsort(rarity)
    found = np.zeros(unit.max() + 1, np.int64)
    np.maximum.at(found, unit, place[labels])
    return rarity[found]


def _class(confusion: Int64, index: int, area: Interval) -> ClassMetrics:
    """The figures of one class from int64 (C, C) counts, rows by truth."""
    tp, truth, decided = (int(count) for count in (confusion[index, index], confusion[index].sum(), confusion[:, index].sum()))
    rest = Confusion(tn=int(confusion.sum()) - truth - decided + tp, fp=decided - tp, fn=truth - tp, tp=tp)
    return ClassMetrics(
        cases=truth,
        auroc=area,
        sensitivity=rest.sensitivity,
        specificity=rest.specificity,
        precision=rest.precision,
        f1=rest.f1,
    )


def _macro(classes: Sequence[ClassMetrics], figure: str) -> float | None:
    values = [getattr(one, figure) for one in classes if one.cases]
    return None if None in values else fmean(values)


def _kappa(labels: Int64, decided: Int64, every: Sequence[int], weights: str | None = None) -> float | None:
    """Cohen's kappa; None where truth and decisions are all of one class."""
    from sklearn.exceptions import UndefinedMetricWarning
    from sklearn.metrics import cohen_kappa_score

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        kappa = float(cohen_kappa_score(labels, decided, labels=every, weights=weights))
    return None if math.isnan(kappa) else kappa
