"""The networks of the ``cnn`` family. Imports torch: import this file lazily."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from medray.models.cnn.params import CnnParams
from medray.models.cnn.resnet import ResNet
from medray.models.deep.batches import rowwise, standardised

Build = Callable[[CnnParams, int, int], nn.Module]
"""(parameters, channels, outputs) → network."""


@dataclass(frozen=True)
class Architecture:
    """How a network is built, and the module that Grad-CAM reads (an eighth of the input: deeper ones point worse)."""

    build: Build
    cam_layer: str


def _resnet(blocks: list[int]) -> Architecture:
    def build(params: CnnParams, channels: int, outputs: int) -> nn.Module:
        planes = [params.width * factor for factor in (1, 2, 4, 8)]
        return ResNet(blocks, planes, channels, outputs, params.dropout)

    return Architecture(build, "layer2")


def _densenet_small(params: CnnParams, channels: int, outputs: int) -> nn.Module:
    from monai.networks.nets.densenet import DenseNet

    network = DenseNet(
        spatial_dims=2,
        in_channels=channels,
        out_channels=outputs,
        init_features=2 * params.width,
        growth_rate=params.width,
        block_config=(4, 6, 8, 6),
        dropout_prob=params.dropout,
    )
    network.class_layers.out = rowwise(network.class_layers.out)
    return network


def _densenet121(params: CnnParams, channels: int, outputs: int) -> nn.Module:
    from monai.networks.nets.densenet import DenseNet121

    network = DenseNet121(spatial_dims=2, in_channels=channels, out_channels=outputs, dropout_prob=params.dropout)
    network.class_layers.out = rowwise(network.class_layers.out)
    return network


def _efficientnet(params: CnnParams, channels: int, outputs: int) -> nn.Module:
    from monai.networks.nets.efficientnet import EfficientNetBN

    network = EfficientNetBN("efficientnet-b0", pretrained=False, spatial_dims=2, in_channels=channels, num_classes=outputs)
    network._fc = rowwise(network._fc)
    return network


_FEWEST_CHANNELS_LAST = 8

ARCHITECTURES: dict[str, Architecture] = {
    "resnet10": _resnet([1, 1, 1, 1]),
    "resnet18": _resnet([2, 2, 2, 2]),
    "resnet34": _resnet([3, 4, 6, 3]),
    "densenet-small": Architecture(_densenet_small, "features.denseblock2"),
    "densenet121": Architecture(_densenet121, "features.denseblock2"),
    "efficientnet-b0": Architecture(_efficientnet, "_conv_head"),
}


class CnnNetwork(nn.Module):
    """Members of one architecture side by side: float32 (n, channels, rows, columns) → logits float32 (n, members, outputs).

    An average over separately initialised members is a deep ensemble (Lakshminarayanan et al. 2017, NeurIPS).
    """

    def __init__(self, params: CnnParams, channels: int, outputs: int) -> None:
        super().__init__()
        architecture = ARCHITECTURES[params.network]
        self.members = nn.ModuleList(architecture.build(params, channels, outputs) for _ in range(params.members))
        self.cam_layer = architecture.cam_layer
        self.standardise = params.standardise

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every member."""
        prepared = self.prepare(x)
        return torch.stack([member(prepared) for member in self.members], dim=1)

    def prepare(self, x: Tensor) -> Tensor:
        """What the members see: each image centred, and scaled by its own or by a fixed standard deviation."""
        return standardised(x) if self.standardise else (x - 0.5) * 4


def build_network(params: CnnParams, channels: int, outputs: int) -> CnnNetwork:
    """A network with fresh weights from torch's generator, on the CPU; channels last (faster convolutions) from 8 channels on.

    oneDNN 3.12 writes past its buffer in the gradient of a strided 1 × 1 convolution of fewer channels in that layout, on
    processors without AVX-512.
    """
    network = CnnNetwork(params, channels, outputs)
    if params.width >= _FEWEST_CHANNELS_LAST:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
