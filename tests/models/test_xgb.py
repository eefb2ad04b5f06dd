"""Gradient-boosted trees: fit, resume, save, refuse."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from fits import Breaking, Interrupted

from medray.errors import BundleError, ModelError
from medray.models.family import ArraySamples, FitData, LocalContext
from medray.models.xgb import XGB, XgbParams
from medray.tasks.binary import Binary
from medray.tasks.head import Head
from medray.tasks.regression import Regression

TWO_CLASSES = Binary(target="malignant")
PARAMS = XgbParams(rounds=40, learning_rate=0.2, early_stopping_rounds=0, min_child_weight=1, colsample_bytree=1)
COLUMNS = tuple(f"feature_{n}" for n in range(6))


def samples(n: int, seed: int) -> ArraySamples:
    """Labels from two of six features, with one in ten values missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    y = (x[:, 0] - x[:, 1] + 0.3 * rng.normal(size=n) > 0).astype(np.int64)
    x[rng.random(x.shape) < 0.1] = np.nan
    return ArraySamples(x, y, np.arange(n), COLUMNS)


DATA = FitData(samples(200, 0), samples(100, 1))


def test_learns_and_gives_probabilities() -> None:
    model = XGB.fit(DATA, TWO_CLASSES, PARAMS, LocalContext())
    p = model.predict(DATA.valid.x)["probability"]
    assert p.dtype == np.float64
    assert p.shape == (100, 2)
    np.testing.assert_allclose(p.sum(1), 1)
    assert np.mean((p[:, 1] > 0.5) == DATA.valid.y) > 0.8


def test_rows_do_not_depend_on_their_batch() -> None:
    model = XGB.fit(DATA, TWO_CLASSES, PARAMS, LocalContext())
    single = np.concatenate([model.predict(row[None])["probability"] for row in DATA.valid.x[:10]])
    np.testing.assert_array_equal(single, model.predict(DATA.valid.x)["probability"][:10])
    assert model.predict(DATA.valid.x[:0])["probability"].shape == (0, 2)


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        (tmp_path / name).mkdir()
        XGB.fit(DATA, TWO_CLASSES, PARAMS, LocalContext(seed=seed)).save(tmp_path / name)
    a, b, c = ((tmp_path / name / "model.ubj").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_saved_model_predicts_the_same(tmp_path: Path) -> None:
    model = XGB.fit(DATA, TWO_CLASSES, PARAMS, LocalContext())
    model.save(tmp_path)
    np.testing.assert_array_equal(
        XGB.load(tmp_path).predict(DATA.valid.x)["probability"], model.predict(DATA.valid.x)["probability"]
    )


@pytest.mark.parametrize("stopping", [0, 7])
def test_interrupted_fit_resumes_to_the_same_trees(tmp_path: Path, stopping: int) -> None:
    changes = {"early_stopping_rounds": stopping, "learning_rate": 0.1, "report_every": 5, "colsample_bytree": 0.5}
    params = PARAMS.model_copy(update=changes)
    whole = XGB.fit(DATA, TWO_CLASSES, params, LocalContext(folder=tmp_path / "whole"))
    with pytest.raises(Interrupted):
        XGB.fit(DATA, TWO_CLASSES, params, Breaking(folder=tmp_path / "broken", at=10))
    seen: list[int] = []
    context = LocalContext(folder=tmp_path / "broken", on_report=lambda step, _: seen.append(step))
    resumed = XGB.fit(DATA, TWO_CLASSES, params, context)
    assert seen[0] == 15
    assert resumed.booster.num_boosted_rounds() == whole.booster.num_boosted_rounds()
    np.testing.assert_array_equal(resumed.predict(DATA.valid.x)["probability"], whole.predict(DATA.valid.x)["probability"])


def test_early_stopping_keeps_the_best_round(tmp_path: Path) -> None:
    params = XgbParams(rounds=400, learning_rate=0.5, early_stopping_rounds=10, report_every=1)
    losses: list[float] = []
    context = LocalContext(on_report=lambda _, metrics: losses.append(metrics["valid_logloss"]))
    model = XGB.fit(DATA, TWO_CLASSES, params, context)
    best = int(np.argmin(losses)) + 1
    assert len(losses) == best + 10 < 400
    assert model.booster.num_boosted_rounds() == best
    p = model.predict(DATA.valid.x)["probability"][np.arange(100), DATA.valid.y]
    assert -np.log(p).mean() == pytest.approx(min(losses), rel=1e-5)


def test_reported_auroc_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    reported: dict[str, float] = {}
    context = LocalContext(on_report=lambda _, metrics: reported.update(metrics))
    model = XGB.fit(DATA, TWO_CLASSES, PARAMS, context)
    expected = roc_auc_score(DATA.valid.y, model.predict(DATA.valid.x)["probability"][:, 1])
    assert reported["valid_auroc"] == pytest.approx(expected)


def test_balance_raises_the_probability_of_the_rare_class() -> None:
    keep = (DATA.train.y == 0) | (np.arange(200) % 5 == 0)
    rare = ArraySamples(DATA.train.x[keep], DATA.train.y[keep], DATA.train.groups[keep], COLUMNS)
    plain, balanced = (
        XGB.fit(FitData(rare, DATA.valid), TWO_CLASSES, PARAMS.model_copy(update={"balance": on}), LocalContext())
        for on in (False, True)
    )
    x = DATA.valid.x
    assert balanced.predict(x)["probability"][:, 1].mean() > plain.predict(x)["probability"][:, 1].mean() + 0.02


def test_refuses_one_class_and_no_validation() -> None:
    one = ArraySamples(DATA.train.x, np.ones(200, np.int64), DATA.train.groups, COLUMNS)
    with pytest.raises(ModelError, match="MODEL_SINGLE_CLASS"):
        XGB.fit(FitData(one, DATA.valid), TWO_CLASSES, PARAMS, LocalContext())
    with pytest.raises(ModelError, match="MODEL_NO_VALIDATION"):
        XGB.fit(FitData(DATA.train, samples(0, 0)), TWO_CLASSES, XgbParams(early_stopping_rounds=5), LocalContext())


def test_refuses_another_number_of_features() -> None:
    model = XGB.fit(DATA, TWO_CLASSES, PARAMS, LocalContext())
    with pytest.raises(ModelError, match="MODEL_FEATURE_COUNT"):
        model.predict(DATA.valid.x[:, :5])["probability"]


def test_refuses_a_broken_file(tmp_path: Path) -> None:
    (tmp_path / "model.ubj").write_bytes(b"no model")
    with pytest.raises(BundleError, match="BUNDLE_MODEL"):
        XGB.load(tmp_path)


def number(name: str, place: int, value: int) -> tuple[str, int, bytes]:
    """A number in the first list of 32-bit integers of this name: its bytes follow name, type and length."""
    return name, len("[$l#L") + 8 + 4 * place, struct.pack(">i", value)


def digit(name: str, value: int) -> tuple[str, int, bytes]:
    """The first parameter of this name, a text of one digit."""
    return name, len("SL") + 8, str(value).encode()


@pytest.mark.parametrize(
    ("name", "behind", "forged"),
    [
        number("left_children", 0, 10**6),
        number("left_children", 0, 0),
        number("left_children", 0, -1),
        number("right_children", 0, 10**6),
        number("right_children", 0, 1),
        number("parents", 1, 10**6),
        number("split_indices", 0, 10**6),
        number("split_indices", 0, -1),
        number("tree_info", 0, 10**6),
        number("iteration_indptr", 1, -5),
        digit("num_class", 7),
        digit("num_target", 7),
        digit("num_feature", 3),
        digit("num_nodes", 9),
        digit("size_leaf_vector", 7),
        digit("num_parallel_tree", 2),
    ],
)
def test_refuses_numbers_that_lead_nowhere(tmp_path: Path, name: str, behind: int, forged: bytes) -> None:
    """XGBoost follows them: it ends the process, or never ends."""
    XGB.fit(DATA, TWO_CLASSES, XgbParams(rounds=1, min_child_weight=1, max_depth=1), LocalContext()).save(tmp_path)
    assert XGB.load(tmp_path).predict(DATA.valid.x[:1])["probability"].shape == (1, 2)
    data = bytearray((tmp_path / "model.ubj").read_bytes())
    at = data.index(name.encode()) + len(name) + behind
    assert data[at : at + len(forged)] != forged
    data[at : at + len(forged)] = forged
    (tmp_path / "model.ubj").write_bytes(data)
    with pytest.raises(BundleError, match="BUNDLE_MODEL"):
        XGB.load(tmp_path)


def test_learns_a_number() -> None:
    task, rng = Regression(target="area_mm2"), np.random.default_rng(3)

    def numbers(n: int) -> ArraySamples:
        x = rng.normal(size=(n, 6)).astype(np.float32)
        return ArraySamples(x, np.asarray(500 + 80 * x[:, 0] - 30 * x[:, 1], np.float64), np.arange(n), COLUMNS)

    data = FitData(numbers(300), numbers(100))
    reported: dict[str, float] = {}
    context = LocalContext(on_report=lambda _, scores: reported.update(scores))
    params = XgbParams(rounds=200, learning_rate=0.2, max_depth=3, early_stopping_rounds=20, colsample_bytree=1)
    model = XGB.fit(data, task, params, context)
    value = model.predict(data.valid.x)["value"]
    assert (value.dtype, value.shape, model.head) == (np.float64, (100,), Head("value"))
    assert reported["valid_r2"] > 0.9
    assert model.predict(data.valid.x[:0])["value"].shape == (0,)
    np.testing.assert_array_equal(np.concatenate([model.predict(row[None])["value"] for row in data.valid.x]), value)
