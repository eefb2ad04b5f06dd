"""Weights from elsewhere: what is taken, adapted, learnt anew and refused; frozen stages and their rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from medray.errors import BundleError
from medray.models.cnn.family import CNN
from medray.models.cnn.network import ARCHITECTURES, build_network
from medray.models.cnn.params import CnnParams
from medray.models.cnn.start import put_weights, read_weights
from medray.models.family import ArraySamples, FitData, LocalContext
from medray.tasks.binary import Binary

TASK = Binary(target="malignant")
PARAMS = CnnParams(width=4, members=1, epochs=2, batch_size=8)


def samples(count: int, seed: int) -> ArraySamples:
    rng = np.random.default_rng(seed)
    return ArraySamples(rng.random((count, 32, 32), dtype=np.float32), np.arange(count) % 2, np.arange(count))


DATA = FitData(samples(16, 0), samples(8, 1))


def member(params: CnnParams = PARAMS, channels: int = 1, outputs: int = 2, seed: int = 7) -> dict[str, torch.Tensor]:
    """The weights of a network with other numbers."""
    torch.manual_seed(seed)
    return build_network(params, channels, outputs).members[0].state_dict()


def started(file: Path, **settings: Any) -> CnnParams:
    return CnnParams.model_validate({**PARAMS.model_dump(), "start": {"weights": str(file), **settings}})


@pytest.mark.parametrize("kind", ["safetensors", "pt", "wrapped"])
def test_all_but_the_last_layer_is_taken(kind: str, tmp_path: Path) -> None:
    given = {f"module.{name}": tensor for name, tensor in member(outputs=5).items()}
    file = tmp_path / ("w.safetensors" if kind == "safetensors" else "w.pt")
    if kind == "safetensors":
        save_file(given, file)
    else:
        torch.save({"epoch": 3, "state_dict": given} if kind == "wrapped" else given, file)
    network = build_network(PARAMS, 1, 2)
    before = network.members[0].state_dict()["fc.1.weight"].clone()
    found = put_weights(network, read_weights(str(file)))
    state = network.members[0].state_dict()
    for name, tensor in member(outputs=5).items():
        assert name.startswith("fc.") or torch.equal(state[name], tensor), name
    assert torch.equal(state["fc.1.weight"], before)
    assert found.fresh == ["fc.1.weight", "fc.1.bias"]
    assert found.unused == ["fc.1.bias", "fc.1.weight"]
    assert "learnt anew: fc.1.weight, fc.1.bias; not used: fc.1.bias, fc.1.weight" in found.text
    assert "tensors taken" in CNN.start(started(file).model_dump(), (32, 32), TASK)


def test_a_grey_image_answers_as_one_with_its_grey_in_three_channels(tmp_path: Path) -> None:
    colour = build_network(PARAMS, 3, 2)
    grey = build_network(PARAMS, 1, 2)
    found = put_weights(grey, dict(colour.members[0].state_dict()))
    assert found.adapted == ["conv1.weight"]
    x = torch.from_numpy(DATA.train.x[:4])[:, None]
    with torch.inference_mode():
        expected = colour.eval().members[0].conv1(x.expand(-1, 3, -1, -1))
        torch.testing.assert_close(grey.eval().members[0].conv1(x), expected)


def test_weights_of_torchvisions_resnets_are_taken() -> None:
    """They have no bias beside a block, and another name for the last layer."""
    params = CnnParams(network="resnet50", width=4, members=1)
    given = {name: tensor for name, tensor in member(params).items() if not name.endswith("downsample.0.bias")}
    given = {name.replace("fc.1.", "fc."): tensor for name, tensor in given.items()}
    network = build_network(params, 1, 2)
    found = put_weights(network, given)
    assert found.unused == ["fc.bias", "fc.weight"]
    assert not network.members[0].state_dict()["layer2.0.downsample.0.bias"].any()


def test_members_of_an_own_model_go_to_members(tmp_path: Path) -> None:
    two = PARAMS.model_copy(update={"members": 2})
    CNN.fit(DATA, TASK, two, LocalContext()).save(tmp_path)
    given = read_weights(str(tmp_path / "cnn.safetensors"))
    network = build_network(PARAMS.model_copy(update={"members": 3}), 1, 2)
    put_weights(network, given)
    for number, own in enumerate(network.members):
        assert torch.equal(own.state_dict()["conv1.weight"], given[f"members.{number % 2}.conv1.weight"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda given: given.pop("layer1.0.conv1.weight"), "layer1.0.conv1.weight is missing"),
        (lambda given: given.update({"bn1.weight": torch.ones(5)}), "bn1.weight is 5, not 4"),
        (lambda given: given.clear() or given.update({"a": torch.ones(1)}), "conv1.weight is missing"),
    ],
)
def test_weights_of_another_network_are_refused(change: Any, says: str, tmp_path: Path) -> None:
    given = dict(member())
    change(given)
    save_file(given, tmp_path / "w.safetensors")
    params = started(tmp_path / "w.safetensors")
    for asked in (lambda: CNN.start(params.model_dump(), (32, 32), TASK), lambda: CNN.fit(DATA, TASK, params, LocalContext())):
        with pytest.raises(BundleError, match=f"WEIGHTS_MISFIT.*{says}"):
            asked()


class Evil:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("ran"),)


@pytest.mark.parametrize("content", ["evil", "text", "list"])
def test_files_that_are_no_weights_are_refused_and_run_no_code(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if content == "text":
        Path("w.pt").write_text("weights")
    else:
        torch.save(Evil() if content == "evil" else [1, 2], "w.pt")
    with pytest.raises(BundleError, match="WEIGHTS_FORMAT"):
        read_weights(str(tmp_path / "w.pt"))
    assert not Path("ran").exists()


def test_frozen_stages_stay_as_they_are_with_their_statistics_until_they_thaw(tmp_path: Path) -> None:
    save_file(member(), tmp_path / "w.safetensors")

    def moved(**settings: Any) -> set[str]:
        params = started(tmp_path / "w.safetensors", **settings)
        CNN.fit(DATA, TASK, params, LocalContext()).save(tmp_path)
        found = read_weights(str(tmp_path / "cnn.safetensors"))
        return {name for name, tensor in member().items() if not torch.equal(found[f"members.0.{name}"], tensor)}

    frozen = moved(freeze=3)
    assert not any(name.startswith(("conv1", "bn1", "layer1", "layer2")) for name in frozen)
    assert {"layer3.0.conv1.weight", "layer3.0.bn1.running_mean", "fc.1.weight"} <= frozen
    assert "layer1.0.conv1.weight" in moved(freeze=3, thaw=1)


def test_stages_before_the_last_layer_take_less_of_the_learning_rate() -> None:
    from medray.models.cnn.train import _rates

    for name in ARCHITECTURES:
        params = CnnParams.model_validate({"network": name, "width": 4, "members": 1, "start": {"weights": "w", "rate": 0.5}})
        network = build_network(params, 1, 2)
        found = _rates(params, network)
        assert found.keys() == dict(network.named_parameters()).keys()
        assert set(found.values()) == {0.5**power for power in range(len(network.stages) + 1)}, name
        assert sum(rate == 1 for rate in found.values()) == 2, "weight and bias of the last layer"
