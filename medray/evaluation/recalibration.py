"""Probabilities that come true as often as they say: a map fitted to answers for images that the model has not seen.

Of two classes it is Platt's sigmoid on the log odds (Platt 1999), of several one temperature with an offset for each class (Guo
et al., ICML 2017; Alexandari et al., ICML 2020), of labels Platt's sigmoid for each. Targets are drawn a little towards the other
classes, as Platt does, so that few images do not make answers sure.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from medray.spec import Spec
from medray.types import Float64, Int64

_SMALLEST = 1e-15
"""Probabilities are kept this far from 0 before their logarithm is taken."""

_SLOPES, _OFFSET = (1e-2, 1e2), 1e3
"""Bounds of the numbers of a map: a map that turned the order of answers round, or that overflowed, would be no calibration."""


class Calibration(Spec):
    """A map of probabilities.

    ``classes``: softmax of slope · log p + intercept, with one slope and an intercept for each class.
    ``labels``: sigmoid of slope · logit p + intercept, with one of each for each label.
    """

    kind: Literal["classes", "labels"]
    slope: tuple[Annotated[float, Field(ge=_SLOPES[0], le=_SLOPES[1])], ...]
    intercept: tuple[Annotated[float, Field(ge=-_OFFSET, le=_OFFSET)], ...]

    def apply(self, probability: Float64) -> Float64:
        """The probabilities after the map.

        Args:
            probability: float64 (…, classes) or (…, labels).
        """
        p = np.clip(probability, _SMALLEST, 1 - _SMALLEST)
        slope, intercept = np.asarray(self.slope), np.asarray(self.intercept)
        if self.kind == "labels":
            return np.asarray(1 / (1 + np.exp(-(slope * np.log(p / (1 - p)) + intercept))), dtype=np.float64)
        return softmax(slope * np.log(p) + intercept)

    def fits(self, kind: str, size: int) -> bool:
        """Whether it is one of a head of this kind and size."""
        slopes = 1 if self.kind == "classes" else size
        return (self.kind, len(self.slope), len(self.intercept)) == (kind, slopes, size)


def softmax(linear: Float64) -> Float64:
    """Along the last axis."""
    odds = np.exp(linear - linear.max(axis=-1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True), dtype=np.float64)


def calibrate_classes(y: Int64, probability: Float64) -> Calibration:
    """The map of classes that makes what came true likeliest.

    Args:
        y: int64 (n,), numbers of classes.
        probability: float64 (n, classes).
    """
    n, classes = probability.shape
    counts = np.bincount(y, minlength=classes)
    own = (counts + 1) / (counts + classes)
    wanted = np.repeat(((1 - own) / (classes - 1))[y][:, None], classes, axis=1)
    wanted[np.arange(n), y] = own[y]
    logarithm = np.log(np.clip(probability, _SMALLEST, 1))

    def loss(parameters: Float64) -> tuple[float, Float64]:
        p = softmax(parameters[0] * logarithm + np.append(0, parameters[1:]))
        gradient = (p - wanted) / n
        value = -float((wanted * np.log(np.maximum(p, 1e-300))).sum()) / n
        return value, np.append((gradient * logarithm).sum(), gradient.sum(axis=0)[1:])

    found = _least(loss, classes)
    return Calibration(kind="classes", slope=(float(found[0]),), intercept=(0.0, *map(float, found[1:])))


def calibrate_labels(y: Float64, probability: Float64) -> Calibration:
    """The map of labels, each on the images where it is known.

    Args:
        y: float64 (n, labels), 0 or 1; NaN where a label is not known.
        probability: float64 (n, labels).
    """
    pairs = []
    for truth, p in zip(y.T, probability.T, strict=True):
        known = ~np.isnan(truth)
        both = np.column_stack([1 - p[known], p[known]])
        found = calibrate_classes(truth[known].astype(np.int64), both)
        pairs.append((found.slope[0], found.intercept[1]))
    slope, intercept = zip(*pairs, strict=True)
    return Calibration(kind="labels", slope=slope, intercept=intercept)


def _least(loss: object, classes: int) -> NDArray[np.float64]:
    from scipy.optimize import minimize

    start = np.append(1.0, np.zeros(classes - 1))
    bounds = [_SLOPES, *[(-_OFFSET, _OFFSET)] * (classes - 1)]
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x, dtype=np.float64)
