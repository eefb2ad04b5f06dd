"""The operating point of a two-class model."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, model_validator

from medray.errors import ModelError
from medray.evaluation.cases import binary_cases
from medray.spec import Spec
from medray.types import Float64


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


def choose_threshold(y: ArrayLike, p: ArrayLike, policy: ThresholdPolicy | None = None, where: str = "validation") -> Threshold:
    """The operating point that the policy (Youden's J by default) takes on images that the model has not seen.

    The threshold lies halfway between two neighbouring probabilities, so that rounding elsewhere cannot flip a case.

    Raises:
        ModelError: ``THRESHOLD_ONE_CLASS`` when only one class is present, ``THRESHOLD_UNREACHABLE`` when no point
            meets the policy.
    """
    from sklearn.metrics import confusion_matrix_at_thresholds

    policy = policy or ThresholdPolicy()
    labels, scores = binary_cases(y, p)
    if policy.kind == "fixed":
        return Threshold(value=float(policy.value or 0.0), reason=f"fixed at {policy.value:g} by the configuration")
    if len(np.unique(labels)) == 1:
        raise ModelError("THRESHOLD_ONE_CLASS", f"all {len(labels)} {where} images have one label")
    tn, fp, fn, tp, thresholds = confusion_matrix_at_thresholds(labels, scores)
    point, reason = _operating_point(tp / (tp + fn), tn / (tn + fp), policy, where)
    return Threshold(value=_halfway(thresholds, point), reason=f"{reason} on {len(labels)} {where} images")


def _operating_point(sens: Float64, spec: Float64, policy: ThresholdPolicy, where: str) -> tuple[int, str]:
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
            f"no threshold reaches a {kind} of {wanted:g} on the {where} images",
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
