"""One-class support vector machine: how far an image is from what is usual (Schölkopf et al., Neural Computation 13, 2001)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from medray.errors import BundleError
from medray.models.checks import require_features, require_several, table_bytes, table_scores
from medray.models.family import FitContext, FitData, InputKind, Parallelism, SearchSpace
from medray.models.scaled import TRUSTED as scaled_types
from medray.models.scaled import scaled
from medray.models.skops_file import load_estimator, save_estimator
from medray.spec import Spec
from medray.tasks.head import HeadKind, Output
from medray.tasks.task import Task
from medray.types import Float32

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

TRUSTED = (*scaled_types, "sklearn.svm._classes.OneClassSVM")
"""The types in a saved model."""


class OcsvmParams(Spec):
    """Parameters of a fit."""

    nu: float = Field(default=0.1, gt=0, le=1, description="contamination: largest share of the training images outside")
    gamma: float = Field(default=0.5, gt=0, le=1e3, description="kernel coefficient, in multiples of 1 / features")
    max_table_gib: float = Field(
        default=0.125, gt=0, description="largest table of training features, float32, that is learnt from"
    )


SEARCH_SPACE: SearchSpace = {"nu": {"log": [0.01, 0.5]}, "gamma": {"log": [0.02, 10]}}


@dataclass(frozen=True)
class OcsvmModel:
    """A fitted machine behind medians and unit variance."""

    pipeline: Pipeline

    def predict(self, x: Float32) -> Output:
        """``score``: 1 − the weighted mean of the kernel to the support vectors, in [0, 1]; 1 for what is like none of them.

        Raises:
            ModelError: MODEL_FEATURE_COUNT.
        """
        require_features(x, self.pipeline.n_features_in_)
        if len(x) == 0:
            return {"score": np.empty(0)}
        similarity = self.pipeline.score_samples(x) / self.pipeline[-1].dual_coef_.sum()
        return {"score": 1 - np.clip(np.asarray(similarity, dtype=np.float64), 0, 1)}

    def save(self, folder: Path) -> None:
        """Write ``model.skops``."""
        save_estimator(self.pipeline, folder)


class Ocsvm:
    """Family ``ocsvm``: medians for missing features, unit variance, and a one-class machine with a Gaussian kernel."""

    name = "ocsvm"
    inputs: frozenset[InputKind] = frozenset({"table"})
    heads: frozenset[HeadKind] = frozenset({"novelty"})
    parallelism: Parallelism = "single"
    params: type[Spec] = OcsvmParams
    search_space: SearchSpace = SEARCH_SPACE

    def fit(self, data: FitData, task: Task, params: OcsvmParams, context: FitContext) -> OcsvmModel:
        """Fit without labels. Raises ModelError MODEL_TOO_FEW_SAMPLES, MODEL_TABLE_TOO_LARGE."""
        from sklearn.svm import OneClassSVM

        require_several(data.train)
        x, _ = data.train.table(table_bytes(params.max_table_gib), self.name)
        machine = OneClassSVM(nu=params.nu, gamma=params.gamma / x.shape[1])
        model = OcsvmModel(scaled(machine).fit(x))
        context.report(1, table_scores(task, data.valid, model.predict), model.save)
        return model

    def load(self, folder: Path) -> OcsvmModel:
        """Read a saved model; raises BundleError BUNDLE_MODEL, also where it holds a type other than ours."""
        from sklearn.pipeline import Pipeline

        return OcsvmModel(load_estimator(folder, Pipeline, TRUSTED, _require_sound))


def _require_sound(pipeline: Pipeline) -> None:
    """Check that the arrays are of the machine's sizes: libsvm reads what lies behind shorter ones; raises BUNDLE_MODEL."""
    machine = pipeline[-1]
    vectors = len(machine.support_vectors_)
    expected = {
        "support_": (vectors,),
        "support_vectors_": (vectors, machine.n_features_in_),
        "_n_support": (2,),
        "_dual_coef_": (1, vectors),
        "dual_coef_": (1, vectors),
        "_intercept_": (1,),
    }
    sizes = {name: np.shape(getattr(machine, name)) for name in expected}
    if sizes != expected or machine.kernel != "rbf" or machine._n_support[0] != vectors or not machine.dual_coef_.sum() > 0:
        raise BundleError("BUNDLE_MODEL", "the machine of the model has arrays of other sizes than its own")


OCSVM = Ocsvm()
