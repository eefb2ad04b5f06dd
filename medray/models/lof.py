"""Local outlier factor: how much sparser an image lies than its neighbours (Breunig et al., SIGMOD 2000)."""

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

TRUSTED = (*scaled_types, "sklearn.neighbors._lof.LocalOutlierFactor")
"""The types in a saved model."""


class LofParams(Spec):
    """Parameters of a fit; the names are those of scikit-learn."""

    n_neighbors: int = Field(default=20, ge=1, le=10_000, description="neighbours that an image is compared with")
    max_table_gib: float = Field(
        default=0.125, gt=0, description="largest table of training features, float32, that is learnt from"
    )


SEARCH_SPACE: SearchSpace = {"n_neighbors": {"int": [5, 50]}}


@dataclass(frozen=True)
class LofModel:
    """The training images behind medians and unit variance."""

    pipeline: Pipeline

    def predict(self, x: Float32) -> Output:
        """``score``: 1 − 1 / factor, in [0, 1); about 0 for what lies as close to its neighbours as they to theirs.

        Row by row: distances to a batch round by its size.

        Raises:
            ModelError: MODEL_FEATURE_COUNT.
        """
        require_features(x, self.pipeline.n_features_in_)
        factors = [-self.pipeline.score_samples(row[None]) for row in x]
        return {"score": 1 - 1 / np.maximum(np.concatenate([np.empty(0), *factors]), 1)}

    def save(self, folder: Path) -> None:
        """Write ``model.skops``."""
        save_estimator(self.pipeline, folder)


class Lof:
    """Family ``lof``: medians for missing features, unit variance, and the density around the nearest training images."""

    name = "lof"
    inputs: frozenset[InputKind] = frozenset({"table"})
    heads: frozenset[HeadKind] = frozenset({"novelty"})
    parallelism: Parallelism = "single"
    params: type[Spec] = LofParams
    search_space: SearchSpace = SEARCH_SPACE

    def fit(self, data: FitData, task: Task, params: LofParams, context: FitContext) -> LofModel:
        """Keep the training images, without labels. Raises ModelError MODEL_TOO_FEW_SAMPLES, MODEL_TABLE_TOO_LARGE."""
        from sklearn.neighbors import LocalOutlierFactor

        require_several(data.train)
        x, _ = data.train.table(table_bytes(params.max_table_gib), self.name)
        neighbours = min(params.n_neighbors, len(x) - 1)
        model = LofModel(scaled(LocalOutlierFactor(n_neighbors=neighbours, novelty=True, algorithm="brute")).fit(x))
        context.report(1, table_scores(task, data.valid, model.predict), model.save)
        return model

    def load(self, folder: Path) -> LofModel:
        """Read a saved model; raises BundleError BUNDLE_MODEL, also where it holds a type other than ours."""
        from sklearn.pipeline import Pipeline

        return LofModel(load_estimator(folder, Pipeline, TRUSTED, _require_sound))


def _require_sound(pipeline: Pipeline) -> None:
    """Check that the arrays are of the model's sizes; raises BUNDLE_MODEL."""
    factor = pipeline[-1]
    images, near = len(factor._fit_X), (len(factor._fit_X), factor.n_neighbors_)
    expected = {"_fit_X": (images, factor.n_features_in_), "_distances_fit_X_": near, "_lrd": (images,)}
    if {name: np.shape(getattr(factor, name)) for name in expected} != expected or factor._tree is not None:
        raise BundleError("BUNDLE_MODEL", "the neighbours of the model have arrays of other sizes than their own")


LOF = Lof()
