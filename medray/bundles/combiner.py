"""How the answers of several models become one: their mean, a weighted one, or a regression on them (stacking, Wolpert 1992)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from medray.errors import BundleError, ConfigError, ModelError
from medray.explain import explain
from medray.spec import Spec
from medray.tasks.head import Head, HeadKind, Output
from medray.types import Float64

_SLACK = 1e-6
_SMALLEST = 1e-6
"""Probabilities are kept this far from 0 before their logarithm is taken."""


Combine = Literal["mean", "weighted", "stacked"]


class Combiner(Spec):
    """What is done with the arrays of the members.

    ``mean`` takes their mean, ``weighted`` one with ``weights`` (1, members) of sum 1. ``stacked`` is a linear map, ``weights``
    (outputs, inputs) and ``intercept`` (outputs), of what the members say side by side: of classes the logarithms of their
    probabilities, whose softmax is taken after it; of a value the values.
    """

    combine: Combine = "mean"
    weights: tuple[tuple[float, ...], ...] = ()
    intercept: tuple[float, ...] = ()


def opened_combiner(params: Mapping[str, Any], head: Head, members: int, uri: str) -> Combiner:
    """The combiner that the manifest of an ensemble holds, which fits the head and the number of its members.

    Raises:
        BundleError: BUNDLE_FORMAT.
    """
    try:
        combiner = Combiner.model_validate(params)
        check_combiner(head, combiner.combine)
    except ValidationError as error:
        raise BundleError("BUNDLE_FORMAT", f"{uri}: {explain(error, Combiner, 'params.')}", "publish the bundle again") from error
    except ConfigError as error:
        raise BundleError("BUNDLE_FORMAT", f"{uri}: {error.message}", error.hint) from error
    if not _fits(combiner, head, members):
        message = f"{uri}: params.weights do not fit {members} members of the task"
        raise BundleError("BUNDLE_FORMAT", message, "publish the bundle again")
    return combiner


def _fits(combiner: Combiner, head: Head, members: int) -> bool:
    weights, rows = combiner.weights, {len(row) for row in combiner.weights}
    if combiner.combine == "weighted":
        shares = [share for row in weights for share in row]
        return (len(weights), rows) == (1, {members}) and min(shares) >= 0 and abs(sum(shares) - 1) < _SLACK
    if combiner.combine == "stacked":
        return rows == {head.size * members} and len(weights) == len(combiner.intercept) == head.size
    return True


def combine(head: Head, outputs: Sequence[Output], combiner: Combiner) -> Output:
    """The combined arrays of several models for the same images."""
    if combiner.combine == "mean":
        return {name: np.mean([output[name] for output in outputs], axis=0) for name in outputs[0]}
    if combiner.combine == "weighted":
        shares = combiner.weights[0]
        return {
            name: np.sum([share * output[name] for share, output in zip(shares, outputs, strict=True)], axis=0)
            for name in outputs[0]
        }
    linear = _inputs(head, outputs) @ np.asarray(combiner.weights).T + np.asarray(combiner.intercept)
    return _STACKED[head.kind](linear)


def check_combiner(head: Head, how: str) -> None:
    """Raise ConfigError ENSEMBLE_HEAD where answers of this kind cannot be combined in this way."""
    if head.kind == "map" or (how == "weighted" and head.kind not in _LOSSES) or (how == "stacked" and head.kind not in _STACKED):
        message = f"answers of the kind {head.kind!r} cannot be combined as {how!r}"
        raise ConfigError(
            "ENSEMBLE_HEAD", message, "use mean" if head.kind != "map" else "outlines of different inputs do not add"
        )


def fit_combiner(how: Combine, head: Head, outputs: Sequence[Output], truth: NDArray[Any]) -> Combiner:
    """A combiner fitted to the answers of several models for images that they have not seen, with a known truth.

    ``weighted``: the shares, none below 0, that make what came true likeliest; of a value those of the least squared error.
    ``stacked``: of classes a logistic regression, of a value a ridge regression, both with scikit-learn's default penalty.

    Raises:
        ModelError: ENSEMBLE_SINGLE_CLASS.
    """
    if how == "mean":
        return Combiner()
    if how == "weighted":
        return _weighted(head, outputs, truth)
    from sklearn.linear_model import LogisticRegression, Ridge

    inputs = _inputs(head, outputs)
    if head.kind == "value":
        ridge = Ridge().fit(inputs, truth)
        return _stacked(ridge.coef_[None], np.array([ridge.intercept_]))
    if len(np.unique(truth)) < head.size:
        raise ModelError("ENSEMBLE_SINGLE_CLASS", "the images to fit to lack a class", "label more of each, or combine by mean")
    logistic = LogisticRegression(max_iter=1000).fit(inputs, truth)
    weights, intercept = logistic.coef_, logistic.intercept_
    if head.size == 2:  # scikit-learn keeps the log-odds of the second class alone
        weights, intercept = np.vstack([np.zeros_like(weights), weights]), np.r_[0.0, intercept]
    return _stacked(weights, intercept)


def _weighted(head: Head, outputs: Sequence[Output], truth: NDArray[Any]) -> Combiner:
    """The best shares of the members; of members that are equally good the mean."""
    from scipy.optimize import minimize

    name = "value" if head.kind == "value" else "probability"
    said = np.stack([output[name] for output in outputs])
    members = len(said)
    bounds, total = [(0.0, 1.0)] * members, {"type": "eq", "fun": lambda shares: shares.sum() - 1}

    def loss(shares: Float64) -> float:
        return _LOSSES[head.kind](np.tensordot(shares, said, axes=1), truth)

    found = np.clip(minimize(loss, np.full(members, 1 / members), method="SLSQP", bounds=bounds, constraints=total).x, 0, 1)
    shares = found / found.sum()
    return Combiner(combine="weighted", weights=(tuple(float(share) for share in shares),))


def _class_loss(probability: Float64, truth: NDArray[Any]) -> float:
    return -float(np.log(np.clip(probability[np.arange(len(truth)), truth], _SMALLEST, 1)).mean())


def _label_loss(probability: Float64, truth: NDArray[Any]) -> float:
    right = np.where(truth == 1, probability, 1 - probability)[~np.isnan(truth)]
    return -float(np.log(np.clip(right, _SMALLEST, 1)).mean())


def _value_loss(value: Float64, truth: NDArray[Any]) -> float:
    return float(np.mean(((value - truth) / max(float(np.std(truth)), 1e-12)) ** 2))


_LOSSES: Mapping[HeadKind, Callable[[Float64, NDArray[Any]], float]] = {
    "classes": _class_loss,
    "labels": _label_loss,
    "value": _value_loss,
}
"""By the kind of head: what a weighted mean is fitted by; less is better."""


def _stacked(weights: Float64, intercept: Float64) -> Combiner:
    rows = tuple(tuple(float(value) for value in row) for row in weights)
    return Combiner(combine="stacked", weights=rows, intercept=tuple(float(value) for value in intercept))


def _inputs(head: Head, outputs: Sequence[Output]) -> Float64:
    """What the members say side by side, float64 (n, inputs)."""
    if head.kind == "value":
        return np.column_stack([output["value"] for output in outputs])
    found: Float64 = np.log(np.clip(np.hstack([output["probability"] for output in outputs]), _SMALLEST, 1))
    return found


def _softmax(linear: Float64) -> Output:
    raised = np.exp(linear - linear.max(axis=1, keepdims=True))
    return {"probability": raised / raised.sum(axis=1, keepdims=True)}


_STACKED: Mapping[HeadKind, Callable[[Float64], Output]] = {"classes": _softmax, "value": lambda linear: {"value": linear[:, 0]}}
"""By the kind of head: the arrays of the linear map's result."""
