"""Logistic regression with the elastic net (Zou and Hastie, Journal of the Royal Statistical Society B 67, 2005)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from medray.errors import BundleError
from medray.evaluation.recalibration import softmax
from medray.models.checks import class_counts, require_all_classes, require_features, table_bytes, table_scores
from medray.models.family import FitContext, FitData, InputKind, Parallelism, SearchSpace
from medray.models.foreign import foreign
from medray.models.scaled import scaled
from medray.spec import Spec
from medray.tasks.head import HeadKind, Output
from medray.tasks.task import Task
from medray.types import Float32, Float64

FILE = "model.safetensors"
_ROWS = 256
"""Rows that are multiplied at once, to bound the memory."""


class LogisticParams(Spec):
    """Parameters of a fit; the names are those of scikit-learn where it has one."""

    C: float = Field(default=0.02, gt=0, le=1e6, description="inverse of the penalty: less keeps the coefficients smaller")
    l1_ratio: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of the penalty on absolute values, which makes some coefficients 0",
    )
    balance: bool = Field(default=False, description="weigh the classes inversely to their frequency")
    max_iter: int = Field(default=2000, ge=1, le=100_000, description="most passes over the table")
    max_table_gib: float = Field(
        default=0.5, gt=0, description="largest table of training features, float32, that is learnt from"
    )


SEARCH_SPACE: SearchSpace = {"C": {"log": [1e-3, 10]}, "l1_ratio": {"uniform": [0.0, 1.0]}}


@dataclass(frozen=True)
class LogisticModel:
    """A fitted regression.

    Attributes:
        median: float64 (features,), in the place of what is missing.
        coefficients: float64 (outputs, features) of features as they are; one output for two classes, else one a class.
        intercept: float64 (outputs,).
    """

    median: Float64
    coefficients: Float64
    intercept: Float64

    def predict(self, x: Float32) -> Output:
        """``probability`` of each class; NaN features take the median. Raises ModelError MODEL_FEATURE_COUNT.

        Products are summed row by row: a matrix product would round by the number of rows.
        """
        require_features(x, len(self.median))
        parts = [self._linear(x[start : start + _ROWS]) for start in range(0, len(x), _ROWS)]
        linear = np.concatenate([np.empty((0, len(self.intercept))), *parts])
        if len(self.intercept) == 1:
            linear = np.column_stack([np.zeros(len(linear)), linear])
        return {"probability": softmax(linear)}

    def _linear(self, x: Float32) -> Float64:
        filled = np.where(np.isnan(x), self.median, x)
        products = [(filled * row).sum(axis=1) for row in self.coefficients]
        return np.stack(products, axis=1) + self.intercept

    def save(self, folder: Path) -> None:
        """Write ``model.safetensors``."""
        from safetensors.numpy import save_file

        arrays = {"median": self.median, "coefficients": self.coefficients, "intercept": self.intercept}
        save_file(arrays, folder / FILE)


class Logistic:
    """Family ``logistic``: medians for missing features, unit variance, and a line (of several classes, a softmax of lines)."""

    name = "logistic"
    inputs: frozenset[InputKind] = frozenset({"table"})
    heads: frozenset[HeadKind] = frozenset({"classes"})
    parallelism: Parallelism = "single"
    params: type[Spec] = LogisticParams
    search_space: SearchSpace = SEARCH_SPACE

    def fit(self, data: FitData, task: Task, params: LogisticParams, context: FitContext) -> LogisticModel:
        """Fit by SAGA (Defazio, Bach and Lacoste-Julien, NeurIPS 2014).

        Raises:
            ModelError: MODEL_TABLE_TOO_LARGE; MODEL_SINGLE_CLASS.
        """
        from sklearn.linear_model import LogisticRegression

        x, y = data.train.table(table_bytes(params.max_table_gib), self.name)
        require_all_classes(class_counts(y, task.head.size))
        regression = LogisticRegression(
            C=params.C,
            l1_ratio=params.l1_ratio,
            solver="saga",
            class_weight="balanced" if params.balance else None,
            max_iter=params.max_iter,
            random_state=context.seed,
        )
        model = _unscaled(scaled(regression).fit(x, y).named_steps)
        context.report(1, table_scores(task, data.valid, model.predict), model.save)
        return model

    def load(self, folder: Path) -> LogisticModel:
        """Read a saved model; raises BundleError BUNDLE_MODEL."""
        with foreign(FILE):
            arrays = _arrays(folder / FILE)
            model = LogisticModel(arrays["median"], arrays["coefficients"], arrays["intercept"])
            shapes = [(model.coefficients.shape[1],), model.coefficients.shape, (len(model.coefficients),)]
            sound = all(array.dtype == np.float64 and np.isfinite(array).all() for array in arrays.values())
        if not sound or [array.shape for array in (model.median, model.coefficients, model.intercept)] != shapes:
            raise BundleError("BUNDLE_MODEL", f"{FILE} holds arrays that do not fit each other", "publish the bundle again")
        return model


def _arrays(file: Path) -> dict[str, Any]:
    """The arrays of a file; raises ValueError, OSError."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(file)
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _unscaled(steps: Mapping[str, Any]) -> LogisticModel:
    """The regression on features as they are, of one behind medians and unit variance."""
    median, scaler, regression = steps["simpleimputer"], steps["standardscaler"], steps["logisticregression"]
    coefficients = regression.coef_ / scaler.scale_
    return LogisticModel(
        np.ascontiguousarray(median.statistics_, dtype=np.float64),
        np.ascontiguousarray(coefficients, dtype=np.float64),
        np.ascontiguousarray(regression.intercept_ - coefficients @ scaler.mean_, dtype=np.float64),
    )


LOGISTIC = Logistic()
