"""Deep features of a bundle's network and of MONAI's networks with given weights."""

from __future__ import annotations

import hashlib
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.networks.nets import densenet, efficientnet, resnet
from pydantic import ValidationError
from safetensors.torch import save_file

from medray.bundles.bundle import open_bundle
from medray.bundles.embedding import EmbeddingSpec, WeightsSpec, open_embedding
from medray.bundles.input_spec import InputSpec
from medray.bundles.manifest import Manifest, write_bundle
from medray.errors import BundleError, ConfigError
from medray.evaluation.thresholds import Threshold
from medray.features.family import Extracted, Reason
from medray.imaging.preprocess import PreprocessSpec, preprocess
from medray.models.activations import last_layers
from medray.models.backbone import BACKBONES
from medray.models.cnn.family import CNN
from medray.models.cnn.model import CnnModel
from medray.models.cnn.params import CnnParams
from medray.models.family import ArraySamples, FitData, LocalContext
from medray.models.xgb import XGB, XgbParams
from medray.tasks.binary import Binary
from medray.tasks.decision import Decision
from medray.types import Header, Image

TWO_CLASSES = Binary(target="malignant")

STEPS = PreprocessSpec.model_validate({"steps": [{"op": "minmax"}, {"op": "resize", "rows": 32, "columns": 32}]})
PARAMS = CnnParams(width=4, members=2, epochs=1, batch_size=8)


def images(count: int, seed: int = 0, side: int = 40) -> list[Image]:
    rng = np.random.default_rng(seed)
    return [Image(rng.random((side, side + 5), dtype=np.float32), header=Header(modality="MR")) for _ in range(count)]


def values(found: list[Any]) -> np.ndarray:
    assert all(isinstance(one, Extracted) and not one.reasons for one in found)
    return np.stack([one.values for one in found])


# --- bundles -------------------------------------------------------------------------------------------------------------------


def write(folder: Path, family: str, params: Any, model: Any, inputs: InputSpec) -> str:
    (folder / "model").mkdir()
    model.save(folder / "model")
    fields = {"name": "tiny", "family": family, "params": params.model_dump(), "input": inputs, "modalities": ["MR"]}
    decision = Decision(thresholds={"positive": Threshold(value=0.5, reason="a test")})
    manifest = Manifest.model_validate({**fields, "task": TWO_CLASSES, "decision": decision})
    write_bundle(manifest, {"model": folder / "model"}, str(folder / "bundle"))
    return str(folder / "bundle")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    x = np.stack([preprocess(image, STEPS).pixels for image in images(16)])
    samples = ArraySamples(x, np.arange(16) % 2, np.arange(16))
    model = CNN.fit(FitData(samples, samples), TWO_CLASSES, PARAMS, LocalContext())
    return write(tmp_path_factory.mktemp("cnn"), "cnn", PARAMS, model, InputSpec(preprocess=STEPS))


def test_the_last_layers_turn_the_activations_into_the_bundles_probabilities(bundle: str) -> None:
    embedding = open_embedding(EmbeddingSpec(name="tiny", bundle=bundle))
    found = values(embedding.extract(images(3)))
    opened = open_bundle(bundle)
    assert isinstance(opened.model, CnnModel)
    assert found.shape == (3, len(embedding.columns)) == (3, 2 * 8 * PARAMS.width)
    members = opened.model._network.members
    logits = [
        member.fc[1](torch.from_numpy(part).float()) for member, part in zip(members, np.split(found, 2, axis=1), strict=True)
    ]
    probability = torch.stack(logits).double().softmax(dim=2).mean(dim=0)[:, 1].detach().numpy()
    assert probability == pytest.approx([found.probability for found in opened.predict(images(3))], rel=1e-5)


def test_columns_and_features_are_known_when_it_is_opened(bundle: str) -> None:
    embedding = open_embedding(EmbeddingSpec(name="tiny", bundle=bundle))
    assert embedding.columns[:2] == ("embedding_tiny_0", "embedding_tiny_1")
    assert all(feature.definition and feature.source for feature in embedding.features)
    assert embedding.extract([]) == []


def test_a_row_is_bitwise_the_same_in_every_batch(bundle: str) -> None:
    embedding = open_embedding(EmbeddingSpec(bundle=bundle, device="cpu"))
    together = values(embedding.extract(images(11)))
    alone = np.concatenate([values(embedding.extract([image])) for image in images(11)])
    np.testing.assert_array_equal(together, alone)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error(bundle: str) -> None:
    embedding = open_embedding(EmbeddingSpec(bundle=bundle, device="cuda"))
    assert embedding.columns
    with pytest.raises(ConfigError) as refused:
        embedding.extract(images(1))
    assert refused.value.code == "EMBEDDING_NO_GPU"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cpu_and_gpu_agree(bundle: str) -> None:
    found = [values(open_embedding(EmbeddingSpec(bundle=bundle, device=where)).extract(images(9))) for where in ("cpu", "cuda")]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-3, atol=1e-5 * np.abs(found[0]).max())


def test_an_image_that_fails_takes_its_own_place_only(bundle: str) -> None:
    embedding = open_embedding(EmbeddingSpec(bundle=bundle))
    good = images(2)
    volume = Image(np.zeros((3, 40, 40), np.float32))
    empty = replace(good[0], valid=np.zeros(good[0].pixels.shape, bool))
    foreign = replace(good[0], header=Header(modality="CT"))
    infinite = Image(np.full((32, 32), np.inf, np.float32))
    found = embedding.extract([good[0], volume, empty, foreign, infinite, good[1]])
    codes = ["" if isinstance(one, Extracted) else one.code for one in found]
    assert codes[0] == codes[5] == ""
    assert codes[1] in ("OP_DIMENSIONS", "MODEL_INPUT_SHAPE")
    assert codes[2:5] == ["IMAGE_NO_VALID_PIXELS", "MODEL_SCOPE", "IMAGE_NOT_FINITE"]
    np.testing.assert_array_equal(values([found[0], found[5]]), values(embedding.extract(good)))


def test_embedding_and_predicting_do_not_disturb_each_other(bundle: str) -> None:
    model = open_bundle(bundle).model
    assert isinstance(model, CnnModel)
    x = np.stack([preprocess(image, STEPS).pixels for image in images(3)])
    before = model.predict(x)["probability"]
    model.embed(x)
    np.testing.assert_array_equal(model.predict(x)["probability"], before)


def test_a_bundle_of_a_table_model_has_no_network(tmp_path: Path) -> None:
    x, params = np.random.default_rng(0).random((8, 50)).astype(np.float32), XgbParams(rounds=2)
    inputs = InputSpec.model_validate({"preprocess": STEPS, "features": {"families": [{"family": "intensity"}]}})
    samples = ArraySamples(x, np.arange(8) % 2, np.arange(8), inputs.columns())
    uri = write(tmp_path, "xgb", params, XGB.fit(FitData(samples, samples), TWO_CLASSES, params, LocalContext()), inputs)
    with pytest.raises(BundleError) as refused:
        open_embedding(EmbeddingSpec(bundle=uri))
    assert refused.value.code == "BUNDLE_NO_NETWORK"


# --- given weights -------------------------------------------------------------------------------------------------------------


def resnet10(**changes: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    return resnet.resnet10(**{"spatial_dims": 2, "n_input_channels": 1, "num_classes": 5, **changes}).eval()


def weights(network: torch.nn.Module, path: Path, without: tuple[str, ...] = ()) -> str:
    save_file({name: tensor for name, tensor in network.state_dict().items() if not name.startswith(without)}, path)
    return str(path)


def spec(uri: str, **changes: Any) -> EmbeddingSpec:
    return EmbeddingSpec.model_validate({"weights": {"network": "resnet10", "weights": uri, "preprocess": STEPS, **changes}})


def own_forward(network: torch.nn.Module, layer: torch.nn.Module, x: torch.Tensor) -> np.ndarray:
    """What the layer is given in the network's own forward pass."""
    seen: list[torch.Tensor] = []
    layer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        network(x)
    return seen[0].numpy().astype(np.float64)


def prepared(count: int) -> torch.Tensor:
    return torch.from_numpy(np.stack([preprocess(image, STEPS).pixels for image in images(count)]))[:, None]


@pytest.mark.parametrize("name", ["resnet10", "densenet121", "efficientnet-b0"])
def test_activations_are_those_of_the_networks_own_forward(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    if name == "resnet10":
        network = resnet10()
        layer = network.fc
    elif name == "densenet121":
        network = densenet.DenseNet121(spatial_dims=2, in_channels=1, out_channels=3).eval()
        layer = network.class_layers.out
    else:
        network = efficientnet.EfficientNetBN(name, pretrained=False, spatial_dims=2, in_channels=1, num_classes=4).eval()
        layer = network._fc
    embedding = open_embedding(spec(weights(network, tmp_path / "w.safetensors"), network=name))
    found = values(embedding.extract(images(3)))
    expected = own_forward(network, layer, prepared(3))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    assert len(embedding.columns) == layer.in_features


def test_three_channels_mean_and_deviation(tmp_path: Path) -> None:
    """As torchvision's ResNets: stride 2, no bias beside the blocks, normalised channels."""
    network = resnet10(n_input_channels=3, conv1_t_stride=2, bias_downsample=False)
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    changes = {"channels": 3, "first_stride": 2, "mean": mean, "deviation": deviation}
    found = values(open_embedding(spec(weights(network, tmp_path / "w.safetensors"), **changes)).extract(images(2)))
    x = (prepared(2).expand(-1, 3, -1, -1) - torch.tensor(mean).reshape(3, 1, 1)) / torch.tensor(deviation).reshape(3, 1, 1)
    np.testing.assert_allclose(found, own_forward(network, network.fc, x), rtol=1e-4, atol=1e-5)


def test_the_last_layer_may_be_left_out(tmp_path: Path) -> None:
    with_it, without = weights(resnet10(), tmp_path / "a.safetensors"), weights(resnet10(), tmp_path / "b.safetensors", ("fc.",))
    first, second = (open_embedding(spec(uri)) for uri in (with_it, without))
    np.testing.assert_array_equal(values(first.extract(images(2))), values(second.extract(images(2))))


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    network = resnet10()
    uri = weights(network, tmp_path / "w.safetensors")
    digest = hashlib.sha256(Path(uri).read_bytes()).hexdigest()
    assert open_embedding(spec(uri, sha256=digest)).fingerprint == open_embedding(spec(uri)).fingerprint
    (tmp_path / "broken.safetensors").write_bytes(Path(uri).read_bytes()[:-9])
    incomplete = weights(network, tmp_path / "i.safetensors", ("layer2.0.conv1", "fc.bias"))
    cases = [
        (spec(uri, sha256="0" * 64), "WEIGHTS_ALTERED", digest),
        (spec(str(tmp_path / "broken.safetensors")), "WEIGHTS_UNREADABLE", "broken"),
        (spec(uri, network="resnet18"), "WEIGHTS_MISFIT", "layer1.1.conv1.weight is missing"),
        (spec(uri, channels=3), "WEIGHTS_MISFIT", "conv1.weight is 64x1x7x7, not 64x3x7x7"),
        (spec(uri, network="densenet121"), "WEIGHTS_MISFIT", "more"),
        (spec(incomplete), "WEIGHTS_MISFIT", "layer2.0.conv1.weight is missing, fc.bias is missing"),
    ]
    for case, code, text in cases:
        with pytest.raises(BundleError, match=text) as refused:
            open_embedding(case)
        assert refused.value.code == code


def test_images_too_small_for_the_network_are_found_when_it_is_opened(tmp_path: Path) -> None:
    network = densenet.DenseNet121(spatial_dims=2, in_channels=1, out_channels=2)
    steps = PreprocessSpec.model_validate({"steps": [{"op": "resize", "rows": 8, "columns": 8}]})
    with pytest.raises(ConfigError) as refused:
        open_embedding(spec(weights(network, tmp_path / "w.safetensors"), network="densenet121", preprocess=steps))
    assert refused.value.code == "EMBEDDING_SIZE"


def test_values_that_overflow_are_undefined(tmp_path: Path) -> None:
    network = resnet10()
    with torch.no_grad():
        network.bn1.bias[:] = 1e38
    (found,) = open_embedding(spec(weights(network, tmp_path / "w.safetensors"))).extract(images(1))
    assert isinstance(found, Extracted)
    assert set(found.reasons.values()) == {Reason.UNDEFINED}


def test_the_fingerprint_follows_the_weights_and_the_steps(tmp_path: Path) -> None:
    first = weights(resnet10(), tmp_path / "a.safetensors")
    same = weights(resnet10(), tmp_path / "b.safetensors")
    torch.manual_seed(1)
    other = weights(resnet.resnet10(spatial_dims=2, n_input_channels=1, num_classes=5), tmp_path / "c.safetensors")
    reference = open_embedding(spec(first)).fingerprint
    assert open_embedding(spec(same)).fingerprint == reference
    assert open_embedding(spec(other)).fingerprint != reference
    assert open_embedding(spec(first, mean=[0.1])).fingerprint != reference


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"bundle": "b", "weights": {"network": "resnet10", "weights": "w", "preprocess": STEPS}},
        {"weights": {"network": "resnet10", "weights": "w", "preprocess": {}}},
        {"weights": {"network": "resnet10", "weights": "w", "preprocess": STEPS, "mean": [0, 0, 0]}},
        {"weights": {"network": "resnet10", "weights": "w", "preprocess": STEPS, "deviation": [0]}},
        {"weights": {"network": "alexnet", "weights": "w", "preprocess": STEPS}},
        {"bundle": "b", "name": "no spaces"},
    ],
)
def test_wrong_specs_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EmbeddingSpec.model_validate(fields)


def test_every_network_of_the_spec_can_be_built() -> None:
    names = WeightsSpec.model_json_schema()["properties"]["network"]["enum"]
    assert set(names) == set(BACKBONES)
    with torch.device("meta"):
        assert all(len(last_layers(build(3, 7, 2, False))) == 1 for build in BACKBONES.values())


def test_a_spec_travels_without_torch() -> None:
    """It is what goes to an actor."""
    given = EmbeddingSpec(bundle="s3://bucket/bundle")
    assert pickle.loads(pickle.dumps(given)) == given
    code = "import sys, json, medray.bundles.embedding; print(json.dumps('torch' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) is False
