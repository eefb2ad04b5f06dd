"""Support vector machine: fit, save, refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV

from medray.errors import BundleError, ModelError
from medray.models.family import ArraySamples, FitData, LocalContext
from medray.models.svm import SVM, SvmParams
from medray.tasks.binary import Binary

TWO_CLASSES = Binary(target="malignant")
PARAMS = SvmParams()


def samples(n: int, seed: int) -> ArraySamples:
    """A ring around a disc in two of five features, one in twenty values missing, three samples a patient."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)).astype(np.float32)
    y = (np.hypot(x[:, 0], x[:, 1]) > 1.2).astype(np.int64)
    x[rng.random(x.shape) < 0.05] = np.nan
    return ArraySamples(x, y, np.arange(n) // 3, tuple("abcde"))


DATA = FitData(samples(300, 0), samples(120, 1))


def test_rbf_learns_what_a_line_cannot() -> None:
    shares = {}
    for kernel in ("rbf", "linear"):
        p = SVM.fit(DATA, TWO_CLASSES, SvmParams(kernel=kernel), LocalContext()).predict(DATA.valid.x)["probability"]
        assert p.dtype == np.float64
        assert p.shape == (120, 2)
        np.testing.assert_allclose(p.sum(1), 1)
        shares[kernel] = np.mean((p[:, 1] > 0.5) == DATA.valid.y)
    assert shares["rbf"] > 0.75
    assert shares["rbf"] > shares["linear"] + 0.1


def test_rows_do_not_depend_on_their_batch() -> None:
    model = SVM.fit(DATA, TWO_CLASSES, PARAMS, LocalContext())
    single = np.concatenate([model.predict(row[None])["probability"] for row in DATA.valid.x[:10]])
    np.testing.assert_array_equal(single, model.predict(DATA.valid.x)["probability"][:10])
    assert model.predict(DATA.valid.x[:0])["probability"].shape == (0, 2)


def test_round_trips_exactly_and_again(tmp_path: Path) -> None:
    model = SVM.fit(DATA, TWO_CLASSES, PARAMS, LocalContext(seed=1))
    again = SVM.fit(DATA, TWO_CLASSES, PARAMS, LocalContext(seed=1))
    model.save(tmp_path)
    expected = model.predict(DATA.valid.x)["probability"]
    np.testing.assert_array_equal(SVM.load(tmp_path).predict(DATA.valid.x)["probability"], expected)
    np.testing.assert_array_equal(again.predict(DATA.valid.x)["probability"], expected)


def test_a_feature_that_is_never_there_does_no_harm() -> None:
    x = DATA.train.x.copy()
    x[:, 4] = np.nan
    model = SVM.fit(FitData(ArraySamples(x, DATA.train.y, DATA.train.groups), DATA.valid), TWO_CLASSES, PARAMS, LocalContext())
    assert np.isfinite(model.predict(DATA.valid.x)["probability"]).all()


def test_reports_once_with_the_scores_of_the_model() -> None:
    from sklearn.metrics import log_loss, roc_auc_score

    reports: list[dict[str, float]] = []
    model = SVM.fit(DATA, TWO_CLASSES, PARAMS, LocalContext(on_report=lambda _, metrics: reports.append(dict(metrics))))
    p = model.predict(DATA.valid.x)["probability"][:, 1]
    expected = {"valid_auroc": roc_auc_score(DATA.valid.y, p), "valid_logloss": log_loss(DATA.valid.y, p)}
    assert reports == [pytest.approx(expected)]


def test_calibration_keeps_patients_together() -> None:
    """Copies of one sample carry its noise label: folds by sample would see through it and grow sure, by patient not."""
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(60, 5)).astype(np.float32), 6, axis=0)
    y, groups = np.repeat(rng.permutation(60) % 2, 6), np.repeat(np.arange(60), 6)
    by_patient, by_sample = (
        SVM.fit(FitData(ArraySamples(x, y, numbers), DATA.valid), TWO_CLASSES, SvmParams(C=100), LocalContext()).predict(x)[
            "probability"
        ]
        for numbers in (groups, np.arange(360))
    )
    assert np.ptp(by_patient[:, 1]) < np.ptp(by_sample[:, 1])


@pytest.mark.parametrize(
    ("y", "groups", "code"),
    [
        (np.zeros(300), np.arange(300), "MODEL_SINGLE_CLASS"),
        (np.arange(300) < 3, np.arange(300) // 3, "MODEL_TOO_FEW_PATIENTS"),
    ],
)
def test_refuses_what_cannot_be_trained_on(y: np.ndarray, groups: np.ndarray, code: str) -> None:
    data = FitData(ArraySamples(DATA.train.x, y.astype(np.int64), groups), DATA.valid)
    with pytest.raises(ModelError, match=code):
        SVM.fit(data, TWO_CLASSES, PARAMS, LocalContext())


def test_refuses_another_number_of_features() -> None:
    model = SVM.fit(DATA, TWO_CLASSES, PARAMS, LocalContext())
    with pytest.raises(ModelError, match="MODEL_FEATURE_COUNT"):
        model.predict(DATA.valid.x[:, :4])["probability"]


def test_refuses_other_types_in_the_file(tmp_path: Path) -> None:
    import skops.io
    from sklearn.dummy import DummyClassifier

    skops.io.dump(Path("other"), tmp_path / "model.skops")
    with pytest.raises(BundleError, match="BUNDLE_MODEL"):
        SVM.load(tmp_path)
    skops.io.dump(DummyClassifier(), tmp_path / "model.skops")
    with pytest.raises(BundleError, match="DummyClassifier"):
        SVM.load(tmp_path)
    (tmp_path / "model.skops").write_bytes(b"no model")
    with pytest.raises(BundleError, match="BUNDLE_MODEL"):
        SVM.load(tmp_path)


@pytest.mark.parametrize("part", ["_dual_coef_", "support_", "support_vectors_", "_intercept_", "_n_support"])
def test_refuses_arrays_of_other_sizes(part: str, tmp_path: Path) -> None:
    """libsvm reads what lies behind them, and answers by it."""
    model = SVM.fit(DATA, TWO_CLASSES, PARAMS, LocalContext())
    machine = model.calibrated.calibrated_classifiers_[1].estimator[-1]
    setattr(machine, part, getattr(machine, part)[..., :-1].copy())
    model.save(tmp_path)
    with pytest.raises(BundleError, match=r"BUNDLE_MODEL.*other sizes"):
        SVM.load(tmp_path)


def test_refuses_what_was_never_fitted(tmp_path: Path) -> None:
    import skops.io

    skops.io.dump(CalibratedClassifierCV(), tmp_path / "model.skops")
    with pytest.raises(BundleError, match="BUNDLE_MODEL"):
        SVM.load(tmp_path)


def test_given_folds_are_those_of_the_calibration() -> None:
    numbers = (DATA.train.groups % 3).astype(np.int64)
    train = ArraySamples(DATA.train.x, DATA.train.y, DATA.train.groups, DATA.train.columns, numbers)
    model = SVM.fit(FitData(train, DATA.valid), TWO_CLASSES, PARAMS, LocalContext())
    sides = [(np.flatnonzero(numbers != fold), np.flatnonzero(numbers == fold)) for fold in range(3)]
    machine = clone(model.calibrated.calibrated_classifiers_[0].estimator)
    expected = CalibratedClassifierCV(machine, method="sigmoid", cv=sides).fit(train.x, train.y).predict_proba(DATA.valid.x)
    np.testing.assert_array_equal(model.predict(DATA.valid.x)["probability"], expected)
    drawn = SVM.fit(DATA, TWO_CLASSES, PARAMS, LocalContext())
    assert len(drawn.calibrated.calibrated_classifiers_) == 5
    assert not np.array_equal(drawn.predict(DATA.valid.x)["probability"], expected)


@pytest.mark.parametrize(
    ("folds", "says"), [(np.zeros(300), "all training images are in fold 0"), (DATA.train.y, "fold 0 of the labels, or the rest")]
)
def test_folds_that_cannot_be_calibrated_on_are_refused(folds: np.ndarray, says: str) -> None:
    train = ArraySamples(DATA.train.x, DATA.train.y, DATA.train.groups, DATA.train.columns, folds.astype(np.int64))
    with pytest.raises(ModelError, match=f"MODEL_FOLDS: {says}"):
        SVM.fit(FitData(train, DATA.valid), TWO_CLASSES, PARAMS, LocalContext())
