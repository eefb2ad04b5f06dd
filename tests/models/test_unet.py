from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fits import Interrupted, Log
from pydantic import ValidationError

from medray.errors import BundleError, ModelError
from medray.imaging.augment import AugmentSpec
from medray.models.family import ArraySamples, FitData, LocalContext
from medray.models.unet.family import UNET
from medray.models.unet.model import UnetModel
from medray.models.unet.params import UnetParams
from medray.tasks.segmentation import Segmentation

TASK = Segmentation()
GENTLE = AugmentSpec(rotate_degrees=10, scale=0.1, translate=0.05, erase=0)
TINY = UnetParams(channels=(4, 8, 16), epochs=4, batch_size=8, learning_rate=0.02, augment=GENTLE)


def discs(count: int, seed: int, channels: int = 0) -> ArraySamples:
    """Noise with a bright disc somewhere, and where it is."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:32, :32]
    centres, radii = rng.uniform(8, 24, (count, 2)), rng.uniform(4, 7, count)
    pairs = zip(centres, radii, strict=True)
    y = np.stack([np.hypot(rows - row, columns - column) < radius for (row, column), radius in pairs])
    x = (rng.uniform(0, 0.4, y.shape) + 0.5 * y).astype(np.float32)
    if channels:
        x = np.stack([x] * channels, axis=1)
    return ArraySamples(x, y[:, None], np.arange(count, dtype=np.int64))


@pytest.fixture(scope="module")
def data() -> FitData:
    return FitData(discs(40, 1), discs(12, 2))


@pytest.fixture(scope="module")
def model(data: FitData) -> UnetModel:
    return UNET.fit(data, TASK, TINY, LocalContext())


def weights(model: UnetModel, folder: Path) -> bytes:
    folder.mkdir()
    model.save(folder)
    return (folder / "unet.safetensors").read_bytes()


def test_outlines_what_it_has_not_seen(data: FitData) -> None:
    log = Log()
    params = TINY.model_copy(update={"epochs": 20})
    fitted = UNET.fit(data, TASK, params, LocalContext(on_report=log))
    assert set(log.rows[0]) == {"epoch", "train_loss", "valid_logloss", "valid_dice", "valid_iou"}
    unseen = discs(20, 3)
    scores = TASK.scores(unseen.y, fitted.predict(unseen.x))
    assert scores["dice"] > 0.9
    assert log.rows[-1]["train_loss"] < log.rows[0]["train_loss"]
    own = TASK.scores(data.valid.y, fitted.predict(data.valid.x))
    assert {f"valid_{name}": value for name, value in own.items()}.items() <= log.rows[-1].items()


def test_same_seed_same_bytes_and_another_seed_others(data: FitData, model: UnetModel, tmp_path: Path) -> None:
    first = weights(model, tmp_path / "first")
    assert weights(UNET.fit(data, TASK, TINY, LocalContext()), tmp_path / "again") == first
    assert weights(UNET.fit(data, TASK, TINY, LocalContext(seed=1)), tmp_path / "other") != first


@pytest.mark.parametrize("changes", [{}, {"keep": "best", "patience": 2, "average_decay": 0.5}])
def test_interrupted_fit_goes_on_to_the_same_weights(data: FitData, tmp_path: Path, changes: dict[str, Any]) -> None:
    params = TINY.model_copy(update=changes)
    whole = UNET.fit(data, TASK, params, LocalContext())
    with pytest.raises(Interrupted):
        UNET.fit(data, TASK, params, LocalContext(folder=tmp_path / "run", on_report=Log(stop_at=2)))
    torch.manual_seed(99)
    resumed = UNET.fit(data, TASK, params, LocalContext(folder=tmp_path / "run"))
    assert weights(resumed, tmp_path / "resumed") == weights(whole, tmp_path / "whole")


def test_rows_do_not_depend_on_their_batch(data: FitData, model: UnetModel) -> None:
    whole = model.predict(data.valid.x)["probability"]
    alone = np.concatenate([model.predict(image[None])["probability"] for image in data.valid.x])
    np.testing.assert_array_equal(whole, alone)
    order = np.random.default_rng(0).permutation(12)
    np.testing.assert_array_equal(model.predict(data.valid.x[order])["probability"], whole[order])
    assert (whole.shape, whole.dtype) == ((12, 1, 32, 32), np.float32)
    assert model.predict(data.valid.x[:0])["probability"].shape == (0, 1, 32, 32)


def test_images_of_several_channels(tmp_path: Path) -> None:
    data = FitData(discs(16, 1, channels=3), discs(8, 2, channels=3))
    model = UNET.fit(data, TASK, TINY.model_copy(update={"epochs": 1}), LocalContext())
    model.save(tmp_path)
    assert model.shape == (3, 32, 32)
    np.testing.assert_array_equal(
        UNET.load(tmp_path).predict(data.valid.x)["probability"], model.predict(data.valid.x)["probability"]
    )


def other_width(folder: Path) -> None:
    config = json.loads((folder / "unet.json").read_text())
    config["params"]["channels"] = [8, 16, 32]
    (folder / "unet.json").write_text(json.dumps(config))


def truncated(folder: Path) -> None:
    (folder / "unet.safetensors").write_bytes((folder / "unet.safetensors").read_bytes()[:-100])


def without_weights(folder: Path) -> None:
    (folder / "unet.safetensors").unlink()


@pytest.mark.parametrize("damage", [other_width, truncated, without_weights])
def test_damaged_files_are_refused(model: UnetModel, tmp_path: Path, damage: Any) -> None:
    model.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"unet.safetensors", "unet.json"}
    damage(tmp_path)
    with pytest.raises(BundleError):
        UNET.load(tmp_path)


def test_image_of_another_size_is_refused(model: UnetModel) -> None:
    with pytest.raises(ModelError) as refused:
        model.predict(np.zeros((1, 30, 32), np.float32))
    assert refused.value.code == "MODEL_INPUT_SHAPE"


def test_fit_leaves_torch_as_it_was(data: FitData) -> None:
    state = torch.get_rng_state()
    UNET.fit(data, TASK, TINY.model_copy(update={"epochs": 1}), LocalContext())
    assert torch.equal(torch.get_rng_state(), state)


def test_masks_without_a_marked_pixel_are_refused(data: FitData) -> None:
    empty = FitData(replace(data.train, y=np.zeros_like(data.train.y)), data.valid)
    with pytest.raises(ModelError) as refused:
        UNET.fit(empty, TASK, TINY, LocalContext())
    assert refused.value.code == "MODEL_NO_MASK"


def test_images_that_misfit_the_levels_are_refused(data: FitData) -> None:
    with pytest.raises(ModelError, match="32 x 32 pixels do not fit the 6 levels") as refused:
        UNET.fit(data, TASK, TINY.model_copy(update={"channels": (4,) * 6}), LocalContext())
    assert refused.value.code == "MODEL_INPUT_SHAPE"


def test_sides_are_multiples_of_what_the_levels_halve() -> None:
    assert UnetParams(channels=(4, 8)).side_multiple == 2
    assert [UnetParams(channels=(4, 8, 16)).takes(shape) for shape in ((8, 12), (3, 8, 8), (4, 8), (10, 8))] == [
        True,
        True,
        False,
        False,
    ]
    assert UnetParams(channels=(16, 32, 64, 128, 256)).side_multiple == 16
    with pytest.raises(ValidationError, match="at least 2 items"):
        UnetParams(channels=(4,))
