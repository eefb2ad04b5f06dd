"""Networks of MONAI by name, with weights from elsewhere. Imports torch: import this file lazily."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from monai.networks.nets import densenet, resnet
from monai.networks.nets.efficientnet import EfficientNetBN
from torch import Tensor, nn

from medray.errors import BundleError, ConfigError
from medray.models.activations import activations, last_layers
from medray.types import Float32, Float64

Build = Callable[[int, int, int, bool], nn.Module]
"""(channels, classes, stride of the first convolution, whether convolutions beside a ResNet's blocks have a bias) → network."""


def _resnet(build: Callable[..., nn.Module]) -> Build:
    def built(channels: int, classes: int, first_stride: int, bias: bool) -> nn.Module:
        return build(
            spatial_dims=2,
            n_input_channels=channels,
            num_classes=classes,
            conv1_t_stride=first_stride,
            bias_downsample=bias,
        )

    return built


def _densenet(build: Callable[..., nn.Module]) -> Build:
    return lambda channels, classes, *_: build(spatial_dims=2, in_channels=channels, out_channels=classes)


def _efficientnet(name: str) -> Build:
    return lambda channels, classes, *_: EfficientNetBN(
        name, pretrained=False, spatial_dims=2, in_channels=channels, num_classes=classes
    )


BACKBONES: Mapping[str, Build] = {
    "resnet10": _resnet(resnet.resnet10),
    "resnet18": _resnet(resnet.resnet18),
    "resnet34": _resnet(resnet.resnet34),
    "resnet50": _resnet(resnet.resnet50),
    "resnet101": _resnet(resnet.resnet101),
    "densenet121": _densenet(densenet.DenseNet121),
    "densenet169": _densenet(densenet.DenseNet169),
    "efficientnet-b0": _efficientnet("efficientnet-b0"),
    "efficientnet-b3": _efficientnet("efficientnet-b3"),
}


class Backbone(nn.Module):
    """A network that takes greyscale images: the channel repeated, the mean taken off, divided by the deviation.

    Attributes:
        shape: rows and columns of the images.
        embedding_size: features of an image.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, network: nn.Module, shape: tuple[int, int], channels: int, mean: tuple[float, ...], deviation: tuple[float, ...]
    ) -> None:
        super().__init__()
        self.shape: tuple[int, ...] = shape
        self.network = network
        self.channels = channels
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).reshape(1, -1, 1, 1), persistent=False)
        (layer,) = last_layers(network).values()
        self.embedding_size = layer.in_features
        self.eval()

    def forward(self, x: Tensor) -> Any:
        """What the network says of float32 (n, 1, rows, columns)."""
        return self.network((x.expand(-1, self.channels, -1, -1) - self.mean) / self.deviation)

    def embed(self, x: Float32, device: str = "cpu") -> Float64:
        """The penultimate-layer activations, float64 (n, embedding_size), of float32 (n, rows, columns)."""
        return activations(self.to(device), x)


def build_network(name: str, channels: int, first_stride: int, weights: Mapping[str, Tensor]) -> nn.Module:
    """A network with given weights, with or without those of its last layer.

    Raises:
        BundleError: WEIGHTS_MISFIT when a tensor is missing, is not the network's, or has another shape.
    """
    bias = any(key.endswith("downsample.0.bias") for key in weights)
    with torch.device("meta"):
        (last,) = last_layers(BACKBONES[name](channels, 1, first_stride, bias))
    head = {f"{last}.weight", f"{last}.bias"}
    classes = len(weights[f"{last}.bias"]) if head <= weights.keys() else 1
    network = BACKBONES[name](channels, classes, first_stride, bias)
    own = network.state_dict()
    optional = set() if head & weights.keys() else head
    wrong = [f"{key} is missing" for key in own if key not in weights and key not in optional]
    wrong += [f"{key} is not the network's" for key in weights if key not in own]
    wrong += [
        f"{key} is {_shape(weights[key])}, not {_shape(own[key])}"
        for key in own
        if key in weights and weights[key].shape != own[key].shape
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise BundleError(
            "WEIGHTS_MISFIT", f"the weights are not of {name} with {channels} channels: {', '.join(wrong[:3])}{more}"
        )
    network.load_state_dict({**own, **weights})
    return network


def check_size(backbone: Backbone) -> None:
    """Let one image through.

    Raises:
        ConfigError: EMBEDDING_SIZE when images are too small for the network.
    """
    try:
        backbone.embed(np.zeros((1, *backbone.shape), dtype=np.float32))
    except (RuntimeError, ValueError) as error:
        rows, columns = backbone.shape
        message = f"the network does not take images of {rows} x {columns} pixels: {str(error).splitlines()[0]}"
        raise ConfigError("EMBEDDING_SIZE", message, "preprocess to a larger size") from error


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))
