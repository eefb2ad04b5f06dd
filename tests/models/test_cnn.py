from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fits import Interrupted, Log

from medray.errors import BundleError, ModelError
from medray.imaging.augment import AugmentSpec
from medray.models.cnn.family import CNN
from medray.models.cnn.model import CnnModel
from medray.models.cnn.network import ARCHITECTURES, build_network
from medray.models.cnn.params import CnnParams
from medray.models.family import ArraySamples, FitData, LocalContext
from medray.tasks.binary import Binary
from medray.tasks.regression import Regression

TWO_CLASSES, NUMBER = Binary(target="malignant"), Regression(target="area_mm2")
GENTLE = AugmentSpec(rotate_degrees=5, scale=0.05, translate=0.02, gain=0.05, bias=0.02, erase=0)
TINY = CnnParams(width=4, members=2, epochs=3, batch_size=8, dropout=0.2, augment=GENTLE)


def discs(count: int, seed: int) -> ArraySamples:
    """Noise, with a bright disc in every second image."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 0.4, (count, 32, 32)).astype(np.float32)
    y = np.arange(count, dtype=np.int64) % 2
    rows, columns = np.mgrid[:32, :32]
    x[y == 1] += 0.5 * ((rows - 20) ** 2 + (columns - 10) ** 2 < 36).astype(np.float32)
    return ArraySamples(x, y, np.arange(count, dtype=np.int64))


@pytest.fixture(scope="module")
def data() -> FitData:
    return FitData(discs(48, 1), discs(20, 2))


@pytest.fixture(scope="module")
def model(data: FitData) -> CnnModel:
    return CNN.fit(data, TWO_CLASSES, TINY, LocalContext())


def weights(model: CnnModel, folder: Path) -> bytes:
    folder.mkdir()
    model.save(folder)
    return (folder / "cnn.safetensors").read_bytes()


def test_learns_an_easy_task_and_reports_every_epoch(data: FitData) -> None:
    log = Log()
    params = TINY.model_copy(update={"epochs": 6, "learning_rate": 5e-3})
    fitted = CNN.fit(data, TWO_CLASSES, params, LocalContext(on_report=log))
    assert [row["epoch"] for row in log.rows] == [1, 2, 3, 4, 5, 6]
    assert set(log.rows[0]) == {"epoch", "train_loss", "valid_logloss", "valid_auroc"}
    assert log.rows[-1]["valid_auroc"] == 1
    assert log.rows[-1]["train_loss"] < log.rows[0]["train_loss"]
    unseen = discs(30, 3)
    assert ((fitted.predict(unseen.x)["probability"][:, 1] > 0.5) == unseen.y).all()


def test_reported_validation_is_the_models_own(data: FitData) -> None:
    log = Log()
    fitted = CNN.fit(data, TWO_CLASSES, TINY, LocalContext(on_report=log))
    probability = fitted.predict(data.valid.x)["probability"][np.arange(len(data.valid)), data.valid.y]
    assert log.rows[-1]["valid_logloss"] == pytest.approx(-np.log(probability).mean(), rel=1e-12)


def test_same_seed_same_bytes_and_another_seed_others(data: FitData, model: CnnModel, tmp_path: Path) -> None:
    first = weights(model, tmp_path / "first")
    assert weights(CNN.fit(data, TWO_CLASSES, TINY, LocalContext()), tmp_path / "again") == first
    assert weights(CNN.fit(data, TWO_CLASSES, TINY, LocalContext(seed=1)), tmp_path / "other") != first


@pytest.mark.parametrize("changes", [{}, {"keep": "best", "patience": 2, "average_decay": 0.5}])
def test_interrupted_fit_goes_on_to_the_same_weights(data: FitData, tmp_path: Path, changes: dict[str, Any]) -> None:
    params = TINY.model_copy(update={"epochs": 4, **changes})
    whole = CNN.fit(data, TWO_CLASSES, params, LocalContext())
    with pytest.raises(Interrupted):
        CNN.fit(data, TWO_CLASSES, params, LocalContext(folder=tmp_path / "run", on_report=Log(stop_at=2)))
    torch.manual_seed(99)
    log = Log()
    resumed = CNN.fit(data, TWO_CLASSES, params, LocalContext(folder=tmp_path / "run", on_report=log))
    assert log.rows[0]["epoch"] == 3
    assert weights(resumed, tmp_path / "resumed") == weights(whole, tmp_path / "whole")
    finished = CNN.fit(data, TWO_CLASSES, params, LocalContext(folder=tmp_path / "run"))
    assert weights(finished, tmp_path / "finished") == weights(whole, tmp_path / "whole again")


def test_checkpoint_of_another_fit_is_refused(data: FitData, tmp_path: Path) -> None:
    CNN.fit(data, TWO_CLASSES, TINY.model_copy(update={"epochs": 1}), LocalContext(folder=tmp_path))
    with pytest.raises(ModelError, match="other parameters") as refused:
        CNN.fit(data, TWO_CLASSES, TINY, LocalContext(folder=tmp_path))
    assert refused.value.code == "MODEL_CHECKPOINT"


def test_patience_stops_the_fit_and_the_best_epoch_is_kept(data: FitData) -> None:
    rng = np.random.default_rng(0)
    shuffled = FitData(data.train, replace(data.valid, y=rng.permutation(data.valid.y)))
    log = Log()
    params = TINY.model_copy(update={"epochs": 30, "patience": 2, "keep": "best"})
    fitted = CNN.fit(shuffled, TWO_CLASSES, params, LocalContext(on_report=log))
    aurocs = [row["valid_auroc"] for row in log.rows]
    best = log.rows[int(np.argmax(aurocs))]
    assert len(log.rows) == best["epoch"] + 2 < 30
    probability = fitted.predict(shuffled.valid.x)["probability"][np.arange(len(shuffled.valid)), shuffled.valid.y]
    assert best["valid_logloss"] == pytest.approx(-np.log(probability).mean(), rel=1e-12)


def test_rows_do_not_depend_on_their_batch(data: FitData, model: CnnModel) -> None:
    whole = model.predict(data.valid.x)["probability"]
    alone = np.concatenate([model.predict(image[None])["probability"] for image in data.valid.x])
    np.testing.assert_array_equal(whole, alone)
    order = np.random.default_rng(0).permutation(20)
    np.testing.assert_array_equal(model.predict(data.valid.x[order])["probability"], whole[order])
    assert (whole.shape, whole.dtype) == ((20, 2), np.float64)
    np.testing.assert_allclose(whole.sum(axis=1), 1, rtol=1e-12)
    assert model.predict(data.valid.x[:0])["probability"].shape == (0, 2)


@pytest.mark.parametrize("network", sorted(ARCHITECTURES))
@pytest.mark.parametrize("width", [12, 16])
def test_a_row_is_the_same_at_any_place_of_a_batch(network: Any, width: int) -> None:
    params = CnnParams(network=network, width=width, members=2)
    torch.manual_seed(1)
    weights = build_network(params, 1, 2).state_dict()
    model = CnnModel(params, (40, 48), TWO_CLASSES.head, weights)
    x = np.random.default_rng(2).normal(size=(21, 40, 48)).astype(np.float32)
    alone = np.concatenate([model.predict(one[None])["probability"] for one in x])
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(x))
        np.testing.assert_array_equal(model.predict(x[order])["probability"], alone[order])


def test_saved_model_predicts_the_same(data: FitData, model: CnnModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"cnn.safetensors", "cnn.json"}
    loaded = CNN.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(data.valid.x)["probability"], model.predict(data.valid.x)["probability"])
    np.testing.assert_array_equal(loaded.saliency(data.valid.x[1]), model.saliency(data.valid.x[1]))


def other_width(folder: Path) -> None:
    config = json.loads((folder / "cnn.json").read_text())
    config["params"]["width"] = 8
    (folder / "cnn.json").write_text(json.dumps(config))


def truncated(folder: Path) -> None:
    (folder / "cnn.safetensors").write_bytes((folder / "cnn.safetensors").read_bytes()[:-100])


def not_json(folder: Path) -> None:
    (folder / "cnn.json").write_text("{")


def without_weights(folder: Path) -> None:
    (folder / "cnn.safetensors").unlink()


@pytest.mark.parametrize("damage", [other_width, truncated, not_json, without_weights])
def test_damaged_files_are_refused(model: CnnModel, tmp_path: Path, damage: Any) -> None:
    model.save(tmp_path)
    damage(tmp_path)
    with pytest.raises(BundleError):
        CNN.load(tmp_path)


def test_saliency_points_at_the_disc(data: FitData) -> None:
    params = TINY.model_copy(update={"epochs": 6, "learning_rate": 5e-3, "members": 1, "width": 8})
    fitted = CNN.fit(data, TWO_CLASSES, params, LocalContext())
    maps = np.stack([fitted.saliency(image) for image in data.valid.x[data.valid.y == 1]])
    assert (maps.shape[1:], maps.dtype) == ((32, 32), np.float32)
    assert maps.min() >= 0
    assert maps.max() == 1
    mean = maps.mean(axis=0)
    assert mean[16:, :16].mean() > mean.mean()


def test_image_of_another_size_is_refused(model: CnnModel) -> None:
    for call in (
        lambda: model.predict(np.zeros((1, 30, 32), np.float32))["probability"],
        lambda: model.saliency(np.zeros((30, 32), np.float32)),
    ):
        with pytest.raises(ModelError) as refused:
            call()
        assert refused.value.code == "MODEL_INPUT_SHAPE"


def test_single_class_is_refused(data: FitData) -> None:
    single = FitData(replace(data.train, y=np.zeros_like(data.train.y)), data.valid)
    with pytest.raises(ModelError) as refused:
        CNN.fit(single, TWO_CLASSES, TINY, LocalContext())
    assert refused.value.code == "MODEL_SINGLE_CLASS"
    no_choice = FitData(data.train, replace(data.valid, y=np.ones_like(data.valid.y)))
    with pytest.raises(ModelError, match="choose the epoch"):
        CNN.fit(no_choice, TWO_CLASSES, TINY.model_copy(update={"keep": "best"}), LocalContext())


def test_divergence_is_an_error(data: FitData) -> None:
    broken = FitData(replace(data.train, x=data.train.x * np.float32(np.nan)), data.valid)
    with pytest.raises(ModelError) as refused:
        CNN.fit(broken, TWO_CLASSES, TINY, LocalContext())
    assert refused.value.code == "MODEL_DIVERGED"


def test_fit_leaves_torch_as_it_was(data: FitData) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    torch.manual_seed(7)
    state = torch.get_rng_state()
    CNN.fit(data, TWO_CLASSES, TINY.model_copy(update={"epochs": 1}), LocalContext(threads=1))
    after = torch.get_num_threads()
    torch.set_num_threads(threads)
    assert after == threads + 1
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("network", sorted(set(ARCHITECTURES) - {"densenet121"}))
def test_every_network_runs_on_any_size(network: str) -> None:
    x = np.random.default_rng(0).random((4, 40, 50), dtype=np.float32)
    data = FitData(ArraySamples(x, np.array([0, 1, 0, 1]), np.arange(4)), ArraySamples(x, np.array([0, 1, 0, 1]), np.arange(4)))
    fitted = CNN.fit(data, TWO_CLASSES, TINY.model_copy(update={"network": network, "epochs": 1, "members": 1}), LocalContext())
    assert np.isfinite(fitted.predict(x)["probability"]).all()
    assert fitted.saliency(x[0]).shape == (40, 50)


def test_learns_a_number() -> None:
    def bright(count: int, seed: int) -> ArraySamples:
        """Noise brightened by a twentieth for each 10 of the target."""
        rng = np.random.default_rng(seed)
        y = rng.uniform(100, 200, count)
        x = rng.uniform(0, 0.4, (count, 32, 32)) + y[:, None, None] / 200
        return ArraySamples(x.astype(np.float32), y, np.arange(count, dtype=np.int64))

    log = Log()
    data = FitData(bright(48, 1), bright(24, 2))
    changes = {"epochs": 8, "learning_rate": 5e-3, "standardise": False, "keep": "best"}
    fitted = CNN.fit(data, NUMBER, TINY.model_copy(update=changes), LocalContext(on_report=log))
    value = fitted.predict(data.valid.x)["value"]
    assert (value.dtype, value.shape) == (np.float64, (24,))
    assert min(row["valid_mae"] for row in log.rows) == pytest.approx(np.abs(value - data.valid.y).mean())
    assert max(row["valid_r2"] for row in log.rows) > 0.5
    alone = np.concatenate([fitted.predict(image[None])["value"] for image in data.valid.x])
    np.testing.assert_array_equal(alone, value)
