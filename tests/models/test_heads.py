"""Families on heads of more than two classes and of labels: fit, resume, save, weigh, refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import Breaking, Interrupted
from safetensors.torch import load_file, save_file

from medray.errors import ModelError
from medray.imaging.augment import AugmentSpec
from medray.models.cnn.family import CNN
from medray.models.cnn.params import CnnParams
from medray.models.family import ArraySamples, FitData, LocalContext
from medray.models.forest import FOREST, ForestParams
from medray.models.svm import SVM, SvmParams
from medray.models.xgb import XGB, XgbParams
from medray.tasks.multiclass import Multiclass
from medray.tasks.multilabel import Multilabel

CLASSES = Multiclass(target="finding", classes=("normal", "benign", "malignant"))
LABELS = Multilabel(labels=("left", "right"))
TREES = XgbParams(rounds=40, learning_rate=0.2, min_child_weight=1, colsample_bytree=0.8, report_every=5)
NETWORK = CnnParams(
    width=4,
    members=2,
    epochs=5,
    batch_size=8,
    learning_rate=5e-3,
    augment=AugmentSpec(flip_horizontal=0, rotate_degrees=0, scale=0, stretch=0, translate=0, gain=0.05, bias=0.02, erase=0),
)


def table(n: int, seed: int, labels: bool = False) -> ArraySamples:
    """Three bands, or two half-planes, of two of five features, one in twenty values missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)).astype(np.float32)
    scores = x[:, :2] + 0.3 * rng.normal(size=(n, 2))
    y = (scores > 0.3).astype(np.float64) if labels else np.digitize(scores.sum(axis=1), (-0.6, 0.8)).astype(np.int64)
    x[rng.random(x.shape) < 0.05] = np.nan
    return ArraySamples(x, y, np.arange(n), tuple("abcde"))


def discs(n: int, seed: int, labels: bool = False) -> ArraySamples:
    """Noise, with no disc, a dark one on the left, or a bright one on the right; for labels with any of the two."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.3, 0.7, (n, 32, 32)).astype(np.float32)
    rows, columns = np.mgrid[:32, :32]
    dark, bright = (((rows - 16) ** 2 + (columns - at) ** 2 < 36).astype(np.float32) for at in (8, 24))
    present = np.stack([np.arange(n) % 2, np.arange(n) // 2 % 2], axis=1) if labels else np.eye(3)[np.arange(n) % 3][:, 1:]
    x += 0.3 * (present[:, 1:, None] * bright - present[:, :1, None] * dark).astype(np.float32)
    y = present.astype(np.float64) if labels else np.arange(n) % 3
    return ArraySamples(x, y, np.arange(n))


CASES = {
    "xgb, classes": (XGB, CLASSES, TREES, FitData(table(300, 0), table(90, 1))),
    "xgb, labels": (XGB, LABELS, TREES, FitData(table(300, 0, True), table(90, 1, True))),
    "forest, classes": (FOREST, CLASSES, ForestParams(n_estimators=60), FitData(table(300, 0), table(90, 1))),
    "svm, classes": (SVM, CLASSES, SvmParams(), FitData(table(300, 0), table(90, 1))),
    "cnn, classes": (CNN, CLASSES, NETWORK, FitData(discs(48, 0), discs(24, 1))),
    "cnn, labels": (CNN, LABELS, NETWORK, FitData(discs(48, 0, True), discs(24, 1, True))),
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[Any, ...]:
    """(family, task, parameters, data, fitted model, what it reported last)."""
    family, task, params, data = CASES[request.param]
    last: dict[str, float] = {}
    model = family.fit(data, task, params, LocalContext(on_report=lambda _, metrics: last.update(metrics)))
    return family, task, params, data, model, last


def test_learns_what_its_head_asks_for(case: tuple[Any, ...]) -> None:
    _, task, _, data, model, last = case
    p = model.predict(data.valid.x)["probability"]
    assert p.dtype == np.float64
    assert p.shape == (len(data.valid), task.head.size)
    if task.head.kind == "classes":
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    scores = task.scores(data.valid.y, {"probability": p})
    assert scores["macro_auroc"] > 0.85
    assert {name: last[f"valid_{name}"] for name in scores} == pytest.approx(scores, rel=1e-5)


def test_rows_do_not_depend_on_their_batch(case: tuple[Any, ...]) -> None:
    _, task, _, data, model, _ = case
    alone = np.concatenate([model.predict(row[None])["probability"] for row in data.valid.x[:5]])
    np.testing.assert_array_equal(alone, model.predict(data.valid.x)["probability"][:5])
    assert model.predict(data.valid.x[:0])["probability"].shape == (0, task.head.size)


def test_saved_model_predicts_the_same(case: tuple[Any, ...], tmp_path: Path) -> None:
    family, _, _, data, model, _ = case
    model.save(tmp_path)
    loaded = family.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(data.valid.x)["probability"], model.predict(data.valid.x)["probability"])


@pytest.mark.parametrize(("name", "at"), [("xgb, classes", 10), ("xgb, labels", 10), ("cnn, classes", 2)])
def test_an_interrupted_fit_goes_on_to_the_same_model(name: str, at: int, tmp_path: Path) -> None:
    family, task, params, data = CASES[name]
    changes = {"early_stopping_rounds": 7} if family is XGB else {"keep": "best", "epochs": 3}
    params = params.model_copy(update=changes)
    whole = family.fit(data, task, params, LocalContext())
    with pytest.raises(Interrupted):
        family.fit(data, task, params, Breaking(folder=tmp_path, at=at))
    resumed = family.fit(data, task, params, LocalContext(folder=tmp_path))
    np.testing.assert_array_equal(resumed.predict(data.valid.x)["probability"], whole.predict(data.valid.x)["probability"])


@pytest.mark.parametrize("name", ["xgb, classes", "xgb, labels"])
def test_trees_stop_early_and_remember_round_and_head(name: str, tmp_path: Path) -> None:
    family, task, params, data = CASES[name]
    losses: list[float] = []
    params = params.model_copy(update={"rounds": 400, "learning_rate": 0.5, "early_stopping_rounds": 10, "report_every": 1})
    context = LocalContext(on_report=lambda _, metrics: losses.append(metrics["valid_logloss"]))
    model = family.fit(data, task, params, context)
    best = int(np.argmin(losses)) + 1
    assert len(losses) == best + 10 < 400
    model.save(tmp_path)
    loaded = family.load(tmp_path)
    assert loaded.booster.num_boosted_rounds() == best
    assert loaded.head == task.head
    assert float.fromhex(loaded.booster.attr("best_loss")) == min(losses)


@pytest.mark.parametrize(
    ("family", "params", "balance", "samples"),
    [
        (XGB, TREES, ({"balance": False}, {"balance": True}), table),
        (FOREST, ForestParams(n_estimators=60, min_samples_leaf=10), ({"balance": False}, {"balance": True}), table),
        (CNN, NETWORK.model_copy(update={"members": 1}), ({"class_balance": 0.0}, {"class_balance": 1.0}), discs),
    ],
)
def test_balance_raises_the_probability_of_a_rare_class(family: Any, params: Any, balance: Any, samples: Any) -> None:
    """Where nothing tells the classes apart, an answer is their frequency, or with balance what they weigh."""
    whole, valid = samples(150, 0), samples(60, 1)
    y = np.random.default_rng(2).permutation(np.repeat([0, 1, 2], [70, 65, 15]))
    rare = FitData(ArraySamples(whole.x, y, whole.groups, whole.columns), valid)
    plain, balanced = (
        family.fit(rare, CLASSES, params.model_copy(update=change), LocalContext()).predict(valid.x)["probability"][:, 2].mean()
        for change in balance
    )
    assert balanced > plain + 0.02


@pytest.mark.parametrize("name", ["xgb, classes", "forest, classes", "svm, classes", "cnn, classes"])
def test_a_class_without_samples_is_refused(name: str) -> None:
    family, task, params, data = CASES[name]
    keep = data.train.y != 1
    lacking = ArraySamples(data.train.x[keep], data.train.y[keep], data.train.groups[keep], data.train.columns)
    with pytest.raises(ModelError, match="MODEL_SINGLE_CLASS"):
        family.fit(FitData(lacking, data.valid), task, params, LocalContext())


def unknown(samples: ArraySamples) -> ArraySamples:
    """One in four labels is not known."""
    y = samples.y.copy()
    y[np.random.default_rng(0).random(y.shape) < 0.25] = np.nan
    return ArraySamples(samples.x, y, samples.groups, samples.columns)


def test_trees_refuse_unknown_labels_to_learn_from_and_take_them_to_validate() -> None:
    family, task, params, data = CASES["xgb, labels"]
    with pytest.raises(ModelError, match="MODEL_LABELS_UNKNOWN"):
        family.fit(FitData(unknown(data.train), data.valid), task, params, LocalContext())
    model = family.fit(FitData(data.train, unknown(data.valid)), task, params, LocalContext())
    expected = family.fit(data, task, params, LocalContext())
    np.testing.assert_array_equal(model.predict(data.valid.x)["probability"], expected.predict(data.valid.x)["probability"])


def test_trees_refuse_to_balance_labels() -> None:
    family, task, params, data = CASES["xgb, labels"]
    with pytest.raises(ModelError, match="MODEL_NO_BALANCE"):
        family.fit(data, task, params.model_copy(update={"balance": True}), LocalContext())


def test_a_network_learns_from_the_labels_that_are_known() -> None:
    family, task, params, data = CASES["cnn, labels"]
    model = family.fit(FitData(unknown(data.train), unknown(data.valid)), task, params, LocalContext())
    assert task.scores(data.valid.y, model.predict(data.valid.x))["macro_auroc"] > 0.85


@pytest.mark.parametrize("name", ["cnn, classes", "cnn, labels"])
def test_saliency_is_of_the_likeliest_answer(name: str, tmp_path: Path) -> None:
    family, task, params, data = CASES[name]
    model = family.fit(data, task, params, LocalContext())
    for likeliest in range(task.head.size):
        shown = only_one_speaks(model, tmp_path / f"{likeliest}", likeliest, speaks=likeliest)
        assert max(shown.saliency(image).max() for image in data.valid.x) == pytest.approx(1)
        silent = only_one_speaks(model, tmp_path / f"{likeliest}-silent", likeliest, speaks=(likeliest + 1) % task.head.size)
        assert all(not silent.saliency(image).any() for image in data.valid.x)


def only_one_speaks(model: Any, folder: Path, likeliest: int, speaks: int) -> Any:
    """The model, with one answer the likeliest for every image, and the weights of another alone in its last layers."""
    folder.mkdir()
    model.save(folder)
    weights = load_file(folder / "cnn.safetensors")
    for name, tensor in weights.items():
        if ".fc." in name and name.endswith("weight"):
            tensor[[row for row in range(len(tensor)) if row != speaks]] = 0
        if ".fc." in name and name.endswith("bias"):
            tensor[:] = 0
            tensor[likeliest] = 1000
    save_file(weights, folder / "cnn.safetensors")
    return CNN.load(folder)
