"""Checks and scores that the model families share."""

from __future__ import annotations

import numpy as np

from medray.errors import ModelError
from medray.evaluation.curves import auroc
from medray.models.family import Samples
from medray.types import Float32, Float64, Int64


def require_two_classes(samples: Samples) -> None:
    """Raise ModelError MODEL_SINGLE_CLASS unless the labels hold both classes."""
    require_both(np.bincount(samples.y, minlength=2))


def require_both(counts: Int64) -> None:
    """Raise ModelError MODEL_SINGLE_CLASS unless int64 (2,) counts of negative and positive labels are both above 0."""
    if not counts.all():
        raise ModelError(
            "MODEL_SINGLE_CLASS",
            f"the training labels are {counts[0]} negative and {counts[1]} positive",
            "training needs both",
        )


def require_features(x: Float32, expected: int) -> None:
    """Raise ModelError MODEL_FEATURE_COUNT unless x is (n, expected)."""
    if x.ndim != 2 or x.shape[1] != expected:
        raise ModelError("MODEL_FEATURE_COUNT", f"the model takes (n, {expected}) features, got {x.shape}")


def valid_scores(probability: Float64, y: Int64) -> dict[str, float]:
    """``valid_logloss`` and ``valid_auroc`` of float64 (n,) probabilities of class 1; NaN where undefined."""
    if len(y) == 0:
        return {"valid_logloss": float("nan"), "valid_auroc": float("nan")}
    likelihood = np.clip(np.where(y == 1, probability, 1 - probability), 1e-15, 1)
    area = auroc(y, probability)
    return {"valid_logloss": float(-np.log(likelihood).mean()), "valid_auroc": float("nan") if area is None else area}
