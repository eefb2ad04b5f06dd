"""Overlap of an outline with its truth, of one image and over many.

Counts of pixels (or voxels) of an image are three numbers: in truth, in the answer, in both. Figures that are None or NaN are
undefined. Every function raises ModelError (``METRICS_INPUT``) on counts or masks that contradict each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from medray.evaluation.cases import invalid_input
from medray.evaluation.intervals import Interval, cluster_interval, units_of
from medray.spec import Spec
from medray.types import Bool, Float64, Int64


class Overlap(NamedTuple):
    """Numbers of pixels of one image: its area in truth, in the answer, and of what they share."""

    truth: int
    answer: int
    both: int


class OverlapMetrics(Spec):
    """How a model's outlines did on ``n`` images; None where a figure is undefined. Means are over images, not over pixels.

    Attributes:
        lesions: images with a lesion in truth.
        dice, iou: mean over all images, where an empty answer to an empty truth counts 1.
        lesion_dice, lesion_iou: mean over the images with a lesion in truth.
        sensitivity: mean share of a lesion that is outlined.
        precision: mean share of an outline that is lesion, over images with an outline.
        found, missed: images with a lesion whose outline shares a pixel with it, or none.
        false_alarms, clear: images without a lesion, with and without an outline.
    """

    n: int
    lesions: int
    dice: Interval
    iou: Interval
    lesion_dice: Interval
    lesion_iou: Interval
    sensitivity: Interval
    precision: Interval
    found: int
    missed: int
    false_alarms: int
    clear: int


def overlap(truth: Bool, answer: Bool) -> Overlap:
    """Counts of pixels of two bool masks of one shape."""
    if truth.dtype != np.bool_ or answer.dtype != np.bool_ or truth.shape != answer.shape:
        raise invalid_input(f"masks must be bool of one shape, got {truth.dtype} {truth.shape} and {answer.dtype} {answer.shape}")
    return Overlap(*(int(np.count_nonzero(mask)) for mask in (truth, answer, truth & answer)))


def dice(counts: ArrayLike) -> Float64:
    """2 |A ∩ B| / (|A| + |B|) of counts, int (n, 3), float64 (n,) (Dice 1945); 1 where both are empty."""
    truth, answer, both = _counts(counts).T
    return _share(2 * both, truth + answer, of_nothing=1)


def iou(counts: ArrayLike) -> Float64:
    """|A ∩ B| / |A ∪ B| of counts, int (n, 3), float64 (n,) (Jaccard 1901); 1 where both are empty."""
    truth, answer, both = _counts(counts).T
    return _share(both, truth + answer - both, of_nothing=1)


def sensitivity(counts: ArrayLike) -> Float64:
    """Share of the truth that is in the answer, float64 (n,), of counts, int (n, 3); NaN of an empty truth."""
    truth, _, both = _counts(counts).T
    return _share(both, truth, of_nothing=np.nan)


def precision(counts: ArrayLike) -> Float64:
    """Share of the answer that is in the truth, float64 (n,), of counts, int (n, 3); NaN of an empty answer."""
    _, answer, both = _counts(counts).T
    return _share(both, answer, of_nothing=np.nan)


def evaluate(counts: ArrayLike, groups: ArrayLike | None = None, seed: int = 0, least_px: int = 1) -> OverlapMetrics:
    """All figures of merit of one or more images.

    Args:
        counts: int (n, 3), or a list of :class:`Overlap`.
        groups: patient of each image (n,); with ``seed``, of the intervals.
        least_px: marked pixels from which an answer counts as found or as a false alarm.
    """
    table = _counts(counts)
    if not len(table):
        raise invalid_input("there are no images")
    unit = units_of(groups, len(table))
    lesion, outlined, hit = (table > 0).T
    enough = table[:, 1] >= least_px

    def mean(values: Float64, of: Bool) -> Interval:
        return cluster_interval(values[of], unit[of], seed=seed)

    every = np.ones(len(table), np.bool_)
    return OverlapMetrics(
        n=len(table),
        lesions=int(lesion.sum()),
        dice=mean(dice(table), every),
        iou=mean(iou(table), every),
        lesion_dice=mean(dice(table), lesion),
        lesion_iou=mean(iou(table), lesion),
        sensitivity=mean(sensitivity(table), lesion),
        precision=mean(precision(table), outlined),
        found=int((lesion & hit & enough).sum()),
        missed=int((lesion & ~(hit & enough)).sum()),
        false_alarms=int((~lesion & enough).sum()),
        clear=int((~lesion & ~enough).sum()),
    )


def _counts(counts: ArrayLike) -> Int64:
    table = np.asarray(counts)
    if table.ndim != 2 or table.shape[1] != 3 or table.dtype.kind not in "iu":
        raise invalid_input(f"counts must be whole numbers (n, 3), got {table.dtype} {table.shape}")
    if not ((table[:, 2] >= 0) & (table[:, 2] <= table[:, :2].min(axis=1))).all():
        raise invalid_input("masks share fewer pixels than none, or more than one of them has")
    return table.astype(np.int64)


def _share(part: Int64, whole: Int64, of_nothing: float) -> Float64:
    share = np.full(len(part), of_nothing, np.float64)
    np.divide(part, whole, out=share, where=whole > 0)
    return share
