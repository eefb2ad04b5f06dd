"""Support vector machine with calibrated probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from pydantic import Field

from medray.errors import BundleError, ModelError
from medray.models.checks import class_counts, require_all_classes, require_features, table_bytes, table_scores
from medray.models.family import FitContext, FitData, InputKind, Parallelism, SearchSpace
from medray.models.scaled import TRUSTED as scaled_types
from medray.models.scaled import scaled
from medray.models.skops_file import load_estimator, save_estimator
from medray.spec import Spec
from medray.tasks.head import HeadKind, Output
from medray.tasks.task import Task
from medray.types import Float32, Int64

if TYPE_CHECKING:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.pipeline import Pipeline

Kernel = Literal["linear", "poly", "rbf"]

TRUSTED = (
    *scaled_types,
    "sklearn.calibration.CalibratedClassifierCV",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.feature_selection._univariate_selection.SelectKBest",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.svm._classes.SVC",
)
"""The types in a saved model."""


class SvmParams(Spec):
    """Parameters of a fit."""

    kernel: Kernel = "rbf"
    C: float = Field(default=2.0, gt=0, le=1e6, description="cost of a violated margin")
    gamma: float = Field(default=0.5, gt=0, le=1e3, description="kernel coefficient, in multiples of 1 / features")
    degree: int = Field(default=3, ge=1, le=6, description="degree of the polynomial kernel")
    select: int | None = Field(
        default=None, ge=1, description="features kept, those that tell the classes apart best by the F test; default: all"
    )
    balance: bool = Field(default=True, description="weigh the classes inversely to their frequency")
    folds: int = Field(
        default=5, ge=2, le=20, description="most folds of the calibration, each of whole patients; a column fold gives others"
    )
    max_table_gib: float = Field(
        default=0.125, gt=0, description="largest table of training features, float32, that is learnt from"
    )


SEARCH_SPACE: SearchSpace = {
    "kernel": {"choice": ["linear", "poly", "rbf"]},
    "C": {"log": [0.01, 100]},
    "gamma": {"log": [0.05, 10]},
    "select": {"choice": [None, 50, 100, 200]},
}


@dataclass(frozen=True)
class SvmModel:
    """A fitted machine."""

    calibrated: CalibratedClassifierCV

    def predict(self, x: Float32) -> Output:
        """``probability`` of each class; NaN features are imputed. Raises ModelError MODEL_FEATURE_COUNT."""
        require_features(x, self.calibrated.n_features_in_)
        if len(x) == 0:
            return {"probability": np.empty((0, len(self.calibrated.classes_)))}
        return {"probability": np.asarray(self.calibrated.predict_proba(x), dtype=np.float64)}

    def save(self, folder: Path) -> None:
        """Write ``model.skops``."""
        save_estimator(self.calibrated, folder)


class Svm:
    """Family ``svm``: medians for missing features, unit variance, an SVC, and Platt's sigmoid over patient-wise folds."""

    name = "svm"
    inputs: frozenset[InputKind] = frozenset({"table"})
    heads: frozenset[HeadKind] = frozenset({"classes"})
    parallelism: Parallelism = "single"
    params: type[Spec] = SvmParams
    search_space: SearchSpace = SEARCH_SPACE

    def fit(self, data: FitData, task: Task, params: SvmParams, context: FitContext) -> SvmModel:
        """The mean of one calibrated machine per fold.

        Raises:
            ModelError: MODEL_TABLE_TOO_LARGE; MODEL_SINGLE_CLASS; MODEL_TOO_FEW_PATIENTS when a class comes from one patient;
                MODEL_FOLDS when the folds that the labels give cannot be calibrated on.
        """
        from sklearn.calibration import CalibratedClassifierCV

        classes = task.head.size
        x, y = data.train.table(table_bytes(params.max_table_gib), self.name)
        require_all_classes(class_counts(y, classes))
        given = data.train.folds
        if given is None:
            folds = _folds(x, y, data.train.groups, classes, params.folds, context.seed)
        else:
            folds = _given_folds(given, y, classes)
        calibrated = CalibratedClassifierCV(_pipeline(params, x.shape[1]), method="sigmoid", cv=folds)
        calibrated.fit(x, y)
        model = SvmModel(calibrated.set_params(cv=len(folds)))
        context.report(1, table_scores(task, data.valid, model.predict), model.save)
        return model

    def load(self, folder: Path) -> SvmModel:
        """Read a saved model; raises BundleError BUNDLE_MODEL, also where it holds a type other than ours."""
        from sklearn.calibration import CalibratedClassifierCV

        return SvmModel(load_estimator(folder, CalibratedClassifierCV, TRUSTED, _require_sound))


def _require_sound(calibrated: CalibratedClassifierCV) -> None:
    """Check that the arrays of every machine are of its sizes: libsvm reads what lies behind shorter ones.

    Raises:
        BundleError: BUNDLE_MODEL; what is raised where parts of a machine are not there.
    """
    for one in calibrated.calibrated_classifiers_:
        machine = one.estimator[-1]
        classes, vectors = len(machine.classes_), len(machine.support_vectors_)
        expected = {
            "support_": (vectors,),
            "support_vectors_": (vectors, machine.n_features_in_),
            "_n_support": (classes,),
            "_dual_coef_": (classes - 1, vectors),
            "_intercept_": (classes * (classes - 1) // 2,),
        }
        sizes = {name: np.shape(getattr(machine, name)) for name in expected}
        if sizes != expected or machine.kernel not in get_args(Kernel) or sum(machine._n_support) != vectors:
            raise BundleError("BUNDLE_MODEL", "a machine of the model has arrays of other sizes than its own")


def _given_folds(numbers: Int64, y: Int64, classes: int) -> list[tuple[Int64, Int64]]:
    """(fit, calibrate) indices of each fold of the training images; each side has every class."""
    present = np.unique(numbers)
    if len(present) < 2:
        message = f"all training images are in fold {present[0]} of the labels"
        raise ModelError("MODEL_FOLDS", message, "spread the training images over two folds, or leave the column fold out")
    folds = [(np.flatnonzero(numbers != one), np.flatnonzero(numbers == one)) for one in present]
    for one, sides in zip(present, folds, strict=True):
        if any(len(np.unique(y[side])) < classes for side in sides):
            message = f"fold {one} of the labels, or the rest of the training images, lacks a class"
            raise ModelError("MODEL_FOLDS", message, "give each fold images of every class, or leave the column fold out")
    return folds


def _folds(x: Float32, y: Int64, groups: Int64, classes: int, most: int, seed: int) -> list[tuple[Int64, Int64]]:
    """(fit, calibrate) indices; no patient is on both sides, and each side has every class."""
    from sklearn.model_selection import StratifiedGroupKFold

    patients = min(len(np.unique(groups[y == label])) for label in range(classes))
    if patients < 2:
        raise ModelError("MODEL_TOO_FEW_PATIENTS", "a class has one patient only", "label more patients")
    splitter = StratifiedGroupKFold(min(most, patients), shuffle=True, random_state=seed)
    folds = list(splitter.split(x, y, groups))
    whole = [fold for fold in folds if all(len(np.unique(y[side])) == classes for side in fold)]
    if not whole:
        raise ModelError(
            "MODEL_TOO_FEW_PATIENTS", "no division of the patients has every class on both sides", "label more patients"
        )
    return whole


def _pipeline(params: SvmParams, features: int) -> Pipeline:
    from sklearn.feature_selection import SelectKBest, f_classif
    from sklearn.svm import SVC

    kept = min(params.select or features, features)
    machine = SVC(
        C=params.C,
        kernel=params.kernel,
        gamma=params.gamma / kept,
        degree=params.degree,
        class_weight="balanced" if params.balance else None,
    )
    return scaled(machine) if kept == features else scaled(SelectKBest(f_classif, k=kept), machine)


SVM = Svm()
