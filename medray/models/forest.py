"""Forests of randomised trees (Breiman 2001; Geurts, Ernst and Wehenkel 2006)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from pydantic import Field

from medray.models.checks import class_counts, require_all_classes, require_features, table_bytes, table_scores
from medray.models.family import FitContext, FitData, InputKind, Parallelism, SearchSpace
from medray.models.skops_file import load_estimator, save_estimator
from medray.models.trees import TREE, require_sound
from medray.spec import Spec
from medray.tasks.head import Head, HeadKind, Output
from medray.tasks.task import Task
from medray.types import Float32, Float64

if TYPE_CHECKING:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor

    AnyForest: TypeAlias = RandomForestClassifier | RandomForestRegressor | ExtraTreesClassifier | ExtraTreesRegressor

TRUSTED = (
    TREE,
    "sklearn.ensemble._forest.ExtraTreesClassifier",
    "sklearn.ensemble._forest.ExtraTreesRegressor",
    "sklearn.ensemble._forest.RandomForestClassifier",
    "sklearn.ensemble._forest.RandomForestRegressor",
    "sklearn.tree._classes.DecisionTreeClassifier",
    "sklearn.tree._classes.DecisionTreeRegressor",
    "sklearn.tree._classes.ExtraTreeClassifier",
    "sklearn.tree._classes.ExtraTreeRegressor",
)
"""The types in a saved model."""


class ForestParams(Spec):
    """Parameters of a fit; the names are those of scikit-learn where it has one."""

    kind: Literal["random", "extra"] = Field(
        default="random", description="random: the best thresholds on bootstrap samples; extra: thresholds drawn, on all samples"
    )
    n_estimators: int = Field(default=300, ge=1, le=10_000, description="trees")
    max_depth: int | None = Field(default=None, ge=1, le=100)
    min_samples_leaf: int = Field(default=2, ge=1)
    max_features: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="share of the features tried at a split; default: their square root for classes, a third for values",
    )
    balance: bool = Field(default=False, description="weigh the classes inversely to their frequency")
    max_table_gib: float = Field(
        default=4.0, gt=0, description="largest table of training features, float32, that is learnt from"
    )


SEARCH_SPACE: SearchSpace = {
    "kind": {"choice": ["random", "extra"]},
    "min_samples_leaf": {"int": [1, 10]},
    "max_features": {"log": [0.02, 1.0]},
}


@dataclass(frozen=True)
class ForestModel:
    """A fitted forest."""

    forest: AnyForest

    @property
    def head(self) -> Head:
        """What it was fitted for."""
        classes = getattr(self.forest, "n_classes_", None)
        return Head("value") if classes is None else Head("classes", int(classes))

    def predict(self, x: Float32) -> Output:
        """The mean over the trees; a NaN feature goes down the branch that its split has for it.

        The trees are asked themselves: scikit-learn's forest takes 0.1 s for an image, of checks of its input by every tree.

        Raises:
            ModelError: MODEL_FEATURE_COUNT.
        """
        require_features(x, self.forest.n_features_in_)
        x = np.ascontiguousarray(x, dtype=np.float32)
        trees = self.forest.estimators_
        mean: Float64 = sum(tree.tree_.predict(x) for tree in trees) / len(trees)
        return {"value": mean[:, 0]} if self.head.kind == "value" else {"probability": mean}

    def save(self, folder: Path) -> None:
        """Write ``model.skops``."""
        save_estimator(self.forest, folder)


class Forest:
    """Family ``forest``: random forests and extremely randomised trees, on tables with missing values as they are."""

    name = "forest"
    inputs: frozenset[InputKind] = frozenset({"table"})
    heads: frozenset[HeadKind] = frozenset({"classes", "value"})
    parallelism: Parallelism = "single"
    params: type[Spec] = ForestParams
    search_space: SearchSpace = SEARCH_SPACE

    def fit(self, data: FitData, task: Task, params: ForestParams, context: FitContext) -> ForestModel:
        """Grow the trees; the number of threads does not change them.

        Raises:
            ModelError: MODEL_TABLE_TOO_LARGE; MODEL_SINGLE_CLASS.
        """
        table = data.train.table(table_bytes(params.max_table_gib), self.name)
        x, y = (np.require(array, requirements="W") for array in table)  # scikit-learn's trees need that
        if task.head.kind == "classes":
            require_all_classes(class_counts(y, task.head.size))
        forest = _forest(task.head, params, context).fit(x, y)
        model = ForestModel(forest.set_params(n_jobs=1))
        context.report(1, table_scores(task, data.valid, model.predict), model.save)
        return model

    def load(self, folder: Path) -> ForestModel:
        """Read a saved model; raises BundleError BUNDLE_MODEL, also where it holds a type other than ours."""
        return ForestModel(load_estimator(folder, tuple(_estimators().values()), TRUSTED, _require_sound))


def _require_sound(forest: AnyForest) -> None:
    require_sound(forest.estimators_, [forest.n_features_in_] * len(forest.estimators_))


def _estimators() -> Mapping[tuple[str, str], Any]:
    """The estimator of a kind of forest and a kind of head."""
    from sklearn import ensemble

    return {
        ("random", "classes"): ensemble.RandomForestClassifier,
        ("random", "value"): ensemble.RandomForestRegressor,
        ("extra", "classes"): ensemble.ExtraTreesClassifier,
        ("extra", "value"): ensemble.ExtraTreesRegressor,
    }


def _forest(head: Head, params: ForestParams, context: FitContext) -> Any:
    settings = params.model_dump(include={"n_estimators", "max_depth", "min_samples_leaf"})
    if head.kind == "classes":
        settings["class_weight"] = "balanced" if params.balance else None
    share = params.max_features or ("sqrt" if head.kind == "classes" else 1 / 3)
    return _estimators()[params.kind, head.kind](
        **settings, max_features=share, random_state=context.seed, n_jobs=context.threads
    )


FOREST = Forest()
