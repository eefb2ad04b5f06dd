"""Forests: fit for classes and values, save, refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medray.errors import BundleError, ModelError
from medray.models.family import ArraySamples, FitData, LocalContext
from medray.models.forest import FOREST, ForestParams
from medray.tasks.binary import Binary
from medray.tasks.head import Head
from medray.tasks.regression import Regression
from medray.tasks.task import Task

TWO_CLASSES, NUMBER = Binary(target="malignant"), Regression(target="area_mm2")
KINDS = ("random", "extra")


def params(kind: str = "random") -> ForestParams:
    return ForestParams.model_validate({"kind": kind, "n_estimators": 60})


def data(task: Task) -> FitData:
    """Five features, of which two make the target; one value in twenty is missing, one feature always."""

    def samples(n: int, seed: int) -> ArraySamples:
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(n, 5)).astype(np.float32)
        value = np.asarray(3 * x[:, 0] - x[:, 1] ** 2, np.float64)
        x[rng.random(x.shape) < 0.05] = np.nan
        x[:, 4] = np.nan
        y = value if task is NUMBER else (value > 0).astype(np.int64)
        x.flags.writeable = y.flags.writeable = False  # as they are in Arrow's memory
        return ArraySamples(x, y, np.arange(n), tuple("abcde"))

    return FitData(samples(400, 0), samples(150, 1))


def array(task: Task) -> str:
    return "value" if task is NUMBER else "probability"


@pytest.mark.parametrize("kind", KINDS)
def test_learns_classes(kind: str) -> None:
    found = data(TWO_CLASSES)
    model = FOREST.fit(found, TWO_CLASSES, params(kind), LocalContext())
    p = model.predict(found.valid.x)["probability"]
    assert (p.dtype, p.shape, model.head) == (np.float64, (150, 2), Head("classes", 2))
    np.testing.assert_allclose(p.sum(1), 1)
    assert np.mean((p[:, 1] > 0.5) == found.valid.y) > 0.8
    np.testing.assert_allclose(p, model.forest.predict_proba(found.valid.x), atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_learns_values(kind: str) -> None:
    found = data(NUMBER)
    reported: dict[str, float] = {}
    model = FOREST.fit(found, NUMBER, params(kind), LocalContext(on_report=lambda _, scores: reported.update(scores)))
    value = model.predict(found.valid.x)["value"]
    assert (value.dtype, value.shape, model.head) == (np.float64, (150,), Head("value"))
    assert reported["valid_r2"] > 0.5
    assert reported["valid_mae"] == pytest.approx(np.abs(value - found.valid.y).mean())
    np.testing.assert_allclose(value, model.forest.predict(found.valid.x), atol=1e-12)


@pytest.mark.parametrize("task", [TWO_CLASSES, NUMBER])
@pytest.mark.parametrize("kind", KINDS)
def test_saved_model_predicts_the_same_row_by_row(kind: str, task: Task, tmp_path: Path) -> None:
    found, name = data(task), array(task)
    model = FOREST.fit(found, task, params(kind), LocalContext(seed=2))
    model.save(tmp_path)
    expected = model.predict(found.valid.x)[name]
    loaded = FOREST.load(tmp_path)
    assert loaded.head == model.head
    np.testing.assert_array_equal(np.concatenate([loaded.predict(row[None])[name] for row in found.valid.x]), expected)
    assert loaded.predict(found.valid.x[:0])[name].shape == (0, *expected.shape[1:])


def test_threads_do_not_change_the_trees_and_seeds_do() -> None:
    found = data(TWO_CLASSES)
    first, second, third = (
        FOREST.fit(found, TWO_CLASSES, params(), LocalContext(seed=seed, threads=threads)).predict(found.valid.x)["probability"]
        for seed, threads in ((0, 1), (0, 2), (1, 1))
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)


def test_a_feature_that_goes_missing_later_does_no_harm() -> None:
    found = data(TWO_CLASSES)
    whole = ArraySamples(np.nan_to_num(found.train.x), found.train.y, found.train.groups)
    model = FOREST.fit(FitData(whole, found.valid), TWO_CLASSES, params(), LocalContext())
    assert np.isfinite(model.predict(np.full((1, 5), np.nan, np.float32))["probability"]).all()


def test_balance_raises_the_probability_of_the_rare_class() -> None:
    found = data(TWO_CLASSES)
    keep = (found.train.y == 0) | (np.arange(400) % 8 == 0)
    rare = FitData(ArraySamples(found.train.x[keep], found.train.y[keep], found.train.groups[keep]), found.valid)
    plain, balanced = (
        FOREST.fit(rare, TWO_CLASSES, params().model_copy(update={"balance": on}), LocalContext()) for on in (False, True)
    )
    rise = balanced.predict(found.valid.x)["probability"] - plain.predict(found.valid.x)["probability"]
    assert rise[:, 1].mean() > 0.02


def test_refuses_one_class_and_another_number_of_features() -> None:
    found = data(TWO_CLASSES)
    one = FitData(ArraySamples(found.train.x, np.zeros(400, np.int64), found.train.groups), found.valid)
    with pytest.raises(ModelError, match="MODEL_SINGLE_CLASS"):
        FOREST.fit(one, TWO_CLASSES, params(), LocalContext())
    model = FOREST.fit(found, TWO_CLASSES, params(), LocalContext())
    with pytest.raises(ModelError, match="MODEL_FEATURE_COUNT"):
        model.predict(found.valid.x[:, :4])


def test_refuses_trees_that_lead_nowhere(tmp_path: Path) -> None:
    found = data(TWO_CLASSES)
    model = FOREST.fit(found, TWO_CLASSES, params(), LocalContext())
    model.forest.estimators_[3].tree_.children_left[0] = 10**6
    model.save(tmp_path)
    with pytest.raises(BundleError, match=r"BUNDLE_MODEL.*not there"):
        FOREST.load(tmp_path)


def test_refuses_trees_of_more_features_than_the_forest_is_given(tmp_path: Path) -> None:
    found = data(TWO_CLASSES)
    model = FOREST.fit(found, TWO_CLASSES, params(), LocalContext())
    model.forest.n_features_in_ = 1
    model.save(tmp_path)
    with pytest.raises(BundleError, match=r"BUNDLE_MODEL.*not there"):
        FOREST.load(tmp_path)


def test_refuses_what_was_never_grown(tmp_path: Path) -> None:
    import skops.io
    from sklearn.ensemble import RandomForestClassifier

    skops.io.dump(RandomForestClassifier(), tmp_path / "model.skops")
    with pytest.raises(BundleError, match="BUNDLE_MODEL"):
        FOREST.load(tmp_path)
