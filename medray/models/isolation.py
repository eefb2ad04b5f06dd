"""Isolation forest: how few random cuts set an image apart (Liu, Ting and Zhou, ICDM 2008)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from medray.models.checks import require_features, require_several, table_bytes, table_scores
from medray.models.family import FitContext, FitData, InputKind, Parallelism, SearchSpace
from medray.models.skops_file import load_estimator, save_estimator
from medray.models.trees import TREE, require_sound
from medray.spec import Spec
from medray.tasks.head import HeadKind, Output
from medray.tasks.task import Task
from medray.types import Float32

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

TRUSTED = (
    TREE,
    "numpy.dtype",
    "sklearn.ensemble._iforest.IsolationForest",
    "sklearn.impute._base.SimpleImputer",
    "sklearn.pipeline.Pipeline",
    "sklearn.tree._classes.ExtraTreeRegressor",
)
"""The types in a saved model."""


class IsolationParams(Spec):
    """Parameters of a fit; the names are those of scikit-learn."""

    n_estimators: int = Field(default=200, ge=1, le=10_000, description="trees")
    max_samples: int = Field(default=256, ge=2, description="samples that each tree sees, of as many as there are")
    max_features: float = Field(default=1.0, gt=0, le=1, description="share of the features that each tree sees")
    max_table_gib: float = Field(
        default=4.0, gt=0, description="largest table of training features, float32, that is learnt from"
    )


SEARCH_SPACE: SearchSpace = {
    "n_estimators": {"choice": [100, 200, 400]},
    "max_samples": {"choice": [64, 128, 256, 512]},
    "max_features": {"log": [0.05, 1.0]},
}


@dataclass(frozen=True)
class IsolationModel:
    """A fitted forest behind the medians that stand for missing features."""

    pipeline: Pipeline

    def predict(self, x: Float32) -> Output:
        """``score``: 2^(−mean depth / expected depth), in (0, 1]; about 0.5 for what is like the rest.

        Raises:
            ModelError: MODEL_FEATURE_COUNT.
        """
        require_features(x, self.pipeline.n_features_in_)
        if len(x) == 0:
            return {"score": np.empty(0)}
        return {"score": -np.asarray(self.pipeline.score_samples(x), dtype=np.float64)}

    def save(self, folder: Path) -> None:
        """Write ``model.skops``."""
        save_estimator(self.pipeline, folder)


class Isolation:
    """Family ``isolation``: medians for missing features and an isolation forest, which no scaling of a feature changes."""

    name = "isolation"
    inputs: frozenset[InputKind] = frozenset({"table"})
    heads: frozenset[HeadKind] = frozenset({"novelty"})
    parallelism: Parallelism = "single"
    params: type[Spec] = IsolationParams
    search_space: SearchSpace = SEARCH_SPACE

    def fit(self, data: FitData, task: Task, params: IsolationParams, context: FitContext) -> IsolationModel:
        """Grow the trees, without labels. Raises ModelError MODEL_TOO_FEW_SAMPLES, MODEL_TABLE_TOO_LARGE."""
        require_several(data.train)
        x, _ = data.train.table(table_bytes(params.max_table_gib), self.name)
        model = IsolationModel(_pipeline(params, len(x), context).fit(x))
        context.report(1, table_scores(task, data.valid, model.predict), model.save)
        return model

    def load(self, folder: Path) -> IsolationModel:
        """Read a saved model; raises BundleError BUNDLE_MODEL, also where it holds a type other than ours."""
        from sklearn.pipeline import Pipeline

        return IsolationModel(load_estimator(folder, Pipeline, TRUSTED, _require_sound))


def _require_sound(pipeline: Pipeline) -> None:
    forest = pipeline[-1]
    require_sound(forest.estimators_, [min(len(one), forest.n_features_in_) for one in forest.estimators_features_])


def _pipeline(params: IsolationParams, samples: int, context: FitContext) -> Pipeline:
    from sklearn.ensemble import IsolationForest
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    forest = IsolationForest(
        n_estimators=params.n_estimators,
        max_samples=min(params.max_samples, samples),
        max_features=params.max_features,
        random_state=context.seed,
    )
    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), forest)


ISOLATION = Isolation()
