"""Figures of merit of predicted numbers.

``truth`` and ``value`` hold what was measured and what was predicted, float (n,), in one unit. A figure is None where it is
undefined. Every function raises ModelError (``METRICS_INPUT``) on cases that are empty, contradictory or not finite.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from medray.evaluation.cases import number_cases
from medray.evaluation.curves import Calibration, binned
from medray.evaluation.intervals import Interval, cluster_interval
from medray.spec import Spec
from medray.types import Float64


class Agreement(Spec):
    """Mean of value − truth, and mean ± 1.96 standard deviations, between which 95 % of normally distributed errors lie."""

    bias: float
    low: float | None
    high: float | None


class RegressionMetrics(Spec):
    """How a model did on ``n`` cases, in the unit of the numbers; None where a figure is undefined.

    Attributes:
        mae: mean absolute error.
        rmse: root mean squared error.
        median_absolute_error: median of the absolute errors.
        r2: coefficient of determination: 1 − squared errors / squared distances of the truth from its mean.
        pearson, spearman: correlation of truth and value, of their ranks.
        agreement: mean error (bias) and its limits of agreement (Bland & Altman 1986).
    """

    n: int
    mae: Interval
    rmse: float
    median_absolute_error: float
    r2: Interval
    pearson: float | None
    spearman: float | None
    agreement: Agreement


def evaluate(truth: ArrayLike, value: ArrayLike, groups: ArrayLike | None = None, seed: int = 0) -> RegressionMetrics:
    """All figures of merit; ``groups`` (patients) and ``seed`` serve the intervals."""
    from sklearn import metrics

    measured, predicted = number_cases(truth, value)
    pearson, spearman = correlations(measured, predicted)
    return RegressionMetrics(
        n=len(measured),
        mae=cluster_interval(np.abs(predicted - measured), groups, seed=seed),
        rmse=float(metrics.root_mean_squared_error(measured, predicted)),
        median_absolute_error=float(metrics.median_absolute_error(measured, predicted)),
        r2=r2_interval(measured, predicted, groups, seed),
        pearson=pearson,
        spearman=spearman,
        agreement=agreement(measured, predicted),
    )


def r2_interval(truth: ArrayLike, value: ArrayLike, groups: ArrayLike | None = None, seed: int = 0) -> Interval:
    """R² with its interval; None where the truth is constant. Resamples of constant truth do not count."""
    measured, predicted = number_cases(truth, value)
    centred = measured - measured.mean()
    spread = centred.std()
    if not spread > 1e-12 * np.abs(measured).max():
        return Interval(value=None, low=None, high=None)
    error, distance = (predicted - measured) / spread, centred / spread
    return cluster_interval(np.column_stack([error**2, distance**2, distance]), groups, _r2, seed)


def correlations(truth: ArrayLike, value: ArrayLike) -> tuple[float | None, float | None]:
    """Pearson's and Spearman's correlation; None each where truth or value is constant."""
    from scipy import stats

    measured, predicted = number_cases(truth, value)
    if not np.ptp(measured) or not np.ptp(predicted):
        return None, None
    return float(stats.pearsonr(measured, predicted)[0]), float(stats.spearmanr(measured, predicted)[0])


def agreement(truth: ArrayLike, value: ArrayLike) -> Agreement:
    """Bias and 95 % limits of agreement; no limits of a single case."""
    measured, predicted = number_cases(truth, value)
    error = predicted - measured
    bias = float(error.mean())
    if len(error) < 2:
        return Agreement(bias=bias, low=None, high=None)
    reach = 1.96 * float(error.std(ddof=1))
    return Agreement(bias=bias, low=bias - reach, high=bias + reach)


def calibration_curve(truth: ArrayLike, value: ArrayLike, bins: int = 10) -> Calibration:
    """Mean value and mean truth over bins of equal counts: edges at the quantiles of ``value``; ties share a bin."""
    return binned(*number_cases(truth, value), bins)


def _r2(means: Float64) -> Float64:
    """R² from means of squared error, squared truth and truth, float64 (m, 3); NaN where the truth hardly varies."""
    error, square, mean = means.T
    variance = square - mean**2
    share: Float64 = 1 - error / np.where(variance > 1e-12, variance, np.nan)
    return share
