"""Gradient-boosted trees (Chen and Guestrin, KDD 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from pydantic import Field

from medray.data import temporary
from medray.errors import ModelError
from medray.models.checks import class_counts, require_all_classes, require_features, table_bytes, valid_scores
from medray.models.family import FitContext, FitData, InputKind, Parallelism, Samples, SearchSpace, size_bytes
from medray.models.foreign import foreign
from medray.models.xgb_file import PROBABILITIES, PROBABILITY, VALUE, require_sound
from medray.spec import Spec
from medray.tasks.head import Head, HeadKind, Output
from medray.tasks.task import Task
from medray.types import Float32, Float64, Int64

if TYPE_CHECKING:
    from xgboost import Booster, DMatrix

FILE = "model.ubj"


class XgbParams(Spec):
    """Parameters of a fit; the names are those of XGBoost where it has one."""

    rounds: int = Field(default=400, ge=1, le=100_000, description="most boosting rounds")
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    max_depth: int = Field(default=2, ge=1, le=16)
    min_child_weight: float = Field(default=2.0, ge=0)
    subsample: float = Field(default=0.5, gt=0, le=1, description="share of the samples that a tree sees")
    colsample_bytree: float = Field(default=0.2, gt=0, le=1, description="share of the features that a tree sees")
    reg_lambda: float = Field(default=3.0, ge=0)
    gamma: float = Field(default=0.0, ge=0)
    balance: bool = Field(default=False, description="weigh the classes inversely to their frequency")
    early_stopping_rounds: int = Field(default=0, ge=0, description="rounds without a better validation loss; 0 for never")
    report_every: int = Field(default=10, ge=1, description="rounds between two reports")
    max_table_gib: float = Field(
        default=2.0,
        gt=0,
        description="largest table of features, float32, that a worker holds; larger ones are read from its disk",
    )

    @property
    def watches(self) -> bool:
        """See :class:`medray.models.abilities.Watching`."""
        return self.early_stopping_rounds > 0


SEARCH_SPACE: SearchSpace = {
    "learning_rate": {"log": [0.01, 0.2]},
    "max_depth": {"int": [2, 8]},
    "min_child_weight": {"log": [0.5, 20]},
    "subsample": {"uniform": [0.5, 1.0]},
    "colsample_bytree": {"uniform": [0.1, 1.0]},
    "reg_lambda": {"log": [0.1, 30]},
    "gamma": {"uniform": [0, 3]},
}


@dataclass(frozen=True)
class XgbModel:
    """A fitted ensemble, cut at its best round."""

    booster: Booster

    @property
    def head(self) -> Head:
        """What it was fitted for, as the booster remembers."""
        kind, size = self.booster.attr("head"), self.booster.attr("head_size")
        return Head(cast(HeadKind, kind), int(size or 1))

    def predict(self, x: Float32) -> Output:
        """The arrays of its head; NaN features are missing. Raises ModelError MODEL_FEATURE_COUNT."""
        from xgboost import DMatrix

        require_features(x, self.booster.num_features())
        if len(x) == 0:
            return _output(np.empty(0), self.head)
        raw = self.booster.predict(DMatrix(x, nthread=1), validate_features=False)
        return _output(raw.astype(np.float64), self.head)

    def save(self, folder: Path) -> None:
        """Write ``model.ubj``."""
        self.booster.save_model(folder / FILE)


@dataclass(frozen=True)
class Best:
    """The best round of a fit so far; kept inside the booster, so that early stopping outlives an interruption."""

    round: int = 0
    loss: float = float("inf")

    @classmethod
    def of(cls, booster: Booster) -> Best:
        """The one that :meth:`keep` wrote, or a fresh one."""
        saved, loss = booster.attr("best_round"), booster.attr("best_loss")
        return cls() if saved is None or loss is None else cls(int(saved), float.fromhex(loss))

    def keep(self, booster: Booster) -> None:
        """Write it into the booster."""
        booster.set_attr(best_round=str(self.round), best_loss=self.loss.hex())


class Xgb:
    """Family ``xgb``: trees by histogram, on one process or on several whose XGBoost collective the caller has set up."""

    name = "xgb"
    inputs: frozenset[InputKind] = frozenset({"table"})
    heads: frozenset[HeadKind] = frozenset({"classes", "labels", "value"})
    parallelism: Parallelism = "xgboost"
    params: type[Spec] = XgbParams
    search_space: SearchSpace = SEARCH_SPACE

    def fit(self, data: FitData, task: Task, params: XgbParams, context: FitContext) -> XgbModel:
        """Boost until ``rounds``, or until the task's loss on the validation split has long ceased to improve.

        After each report the booster goes on from its own bytes, as a resumed fit does from a checkpoint: XGBoost keeps
        the state of its samplers to itself, and so a resumed fit still grows the very trees of an unbroken one.

        Raises:
            ModelError: MODEL_SINGLE_CLASS; MODEL_LABELS_UNKNOWN; MODEL_NO_BALANCE; MODEL_NO_VALIDATION when there is nothing to
                stop early by.
        """
        if len(data.valid) == 0 and params.early_stopping_rounds:
            raise ModelError("MODEL_NO_VALIDATION", "early stopping needs validation samples", "early_stopping_rounds=0")
        with temporary.folder("xgb") as folder:
            return self._boosted(data, task, params, context, folder)

    def _boosted(self, data: FitData, task: Task, params: XgbParams, context: FitContext, folder: Path) -> XgbModel:
        head, loss = task.head, f"valid_{task.monitor.loss}"
        settings, weights = _settings(data.train, head, params, context)
        train, valid = _matrices(data, weights, params, context, folder)
        begun = context.checkpoint()
        booster = _booster(settings, [train, valid], _sound_bytes(begun) if begun else None)
        booster.set_attr(head=head.kind, head_size=str(head.size))
        best = Best.of(booster)
        for done in range(booster.num_boosted_rounds() + 1, params.rounds + 1):
            if params.early_stopping_rounds and done - 1 >= best.round + params.early_stopping_rounds:
                break
            booster.update(train, done - 1)
            scores = valid_scores(task, [(data.valid.y, _output(booster.predict(valid).astype(np.float64), head))])
            if scores[loss] < best.loss or not params.early_stopping_rounds:
                best = Best(done, scores[loss])
            best.keep(booster)
            if done % params.report_every == 0 or done == params.rounds:
                context.report(done, scores, XgbModel(booster).save)
                booster = _booster(settings, [train, valid], booster.save_raw())
        return _finished(booster)

    def load(self, folder: Path) -> XgbModel:
        """Read a saved model or a checkpoint; raises BundleError BUNDLE_MODEL."""
        from xgboost import Booster

        with foreign(FILE):
            return _finished(Booster(model_file=_sound_bytes(folder)))


def _settings(train: Samples, head: Head, params: XgbParams, context: FitContext) -> tuple[dict[str, Any], Float64 | None]:
    """The booster's parameters, and a weight for each sample where classes are balanced by weights."""
    ours = {"rounds", "balance", "early_stopping_rounds", "report_every", "max_table_gib"}
    settings = {
        **params.model_dump(exclude=ours),
        **_OBJECTIVES[head.kind],
        "tree_method": "hist",
        "device": context.device,
        "nthread": context.threads,
        "seed": context.seed,
        "seed_per_iteration": True,
        "verbosity": 0,
    }
    if head.kind == "labels":
        _require_labels(train)
    if head.kind != "classes":
        if params.balance:
            raise ModelError("MODEL_NO_BALANCE", "balance weighs classes, of which exactly one is true", "set balance=false")
        return settings, None
    counts = _counts(train, head.size)
    if head.size == 2:
        return {**settings, "scale_pos_weight": counts[0] / counts[1] if params.balance else 1.0}, None
    weights = (counts.sum() / (head.size * counts))[train.y] if params.balance else None
    return {**settings, "objective": PROBABILITIES, "num_class": head.size}, weights


def _counts(train: Samples, classes: int) -> Int64:
    """Samples of each class over all workers; raises ModelError MODEL_SINGLE_CLASS."""
    from xgboost.collective import Op, allreduce

    counts: Int64 = allreduce(class_counts(train.y, classes), Op.SUM)
    require_all_classes(counts)
    return counts


def _require_labels(train: Samples) -> None:
    """Raise ModelError MODEL_LABELS_UNKNOWN unless every label of every sample is known."""
    if unknown := int(np.isnan(train.y).any(axis=1).sum()):
        message = f"{unknown} of {len(train)} training samples have labels that are not known"
        raise ModelError("MODEL_LABELS_UNKNOWN", message, "fill them in, or take a family that learns without (cnn)")


_OBJECTIVES: dict[HeadKind, dict[str, Any]] = {
    "classes": {"objective": PROBABILITY},
    "labels": {"objective": PROBABILITY},
    "value": {"objective": VALUE},
}
"""By the kind of head; more than two classes take ``multi:softprob``."""


def _output(raw: Float64, head: Head) -> Output:
    """What a booster predicts as the arrays of a head.

    Args:
        raw: (n,) probability of class 1 or value, or (n, classes) or (n, labels).
    """
    if head.kind == "value":
        return {"value": raw}
    if head.kind == "classes" and head.size == 2:
        return {"probability": np.column_stack([1 - raw, raw])}
    return {"probability": raw.reshape(len(raw), head.size)}


def _matrices(
    data: FitData, weights: Float64 | None, params: XgbParams, context: FitContext, folder: Path
) -> tuple[DMatrix, DMatrix]:
    """Training and validation split as XGBoost takes them: in memory where every worker's share of it fits, else on disk."""
    from xgboost.collective import Op, allreduce

    most = table_bytes(params.max_table_gib)
    largest = allreduce(np.array([size_bytes(data.train), size_bytes(data.valid)]), Op.MAX)
    if largest.max() <= most:
        return _fitted_to(data.train, context.threads, weights), _matrix(data.valid, context.threads)
    from medray.models.table_blocks import paged

    train = paged(data.train, weights, context.threads, folder / "train")
    if largest[1] <= most:
        return train, _matrix(data.valid, context.threads)
    return train, paged(data.valid, None, context.threads, folder / "valid", ref=train)


def _fitted_to(samples: Samples, threads: int, weights: Float64 | None) -> DMatrix:
    """Samples in memory, with targets and weights."""
    matrix = _matrix(samples, threads)
    matrix.set_info(label=samples.y, weight=weights)
    return matrix


def _matrix(samples: Samples, threads: int) -> DMatrix:
    """Samples in memory."""
    from xgboost import DMatrix

    x, _ = samples.table(size_bytes(samples), XGB.name)
    return DMatrix(x, feature_names=list(samples.columns) or None, nthread=threads)


def _booster(settings: dict[str, Any], matrices: list[DMatrix], start: bytearray | None) -> Booster:
    """A booster that caches predictions on the matrices, empty or as in a saved model."""
    from xgboost import Booster

    return Booster(settings, matrices, model_file=start)


def _sound_bytes(folder: Path) -> bytearray:
    """A saved model or checkpoint that XGBoost can be given; raises BundleError BUNDLE_MODEL."""
    with foreign(FILE):
        data = (folder / FILE).read_bytes()
        require_sound(data)
    return bytearray(data)


def _finished(booster: Booster) -> XgbModel:
    """The model cut at its best round, which predicts on one CPU thread wherever it was trained."""
    best = Best.of(booster).round
    if 0 < best < booster.num_boosted_rounds():
        booster = booster[:best]
    booster.set_param({"device": "cpu", "nthread": 1})
    return XgbModel(booster)


XGB = Xgb()
