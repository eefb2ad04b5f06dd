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
    """How a network is built.

    Attributes:
        cam_layer: the module that Grad-CAM reads (an eighth of the input: deeper ones point worse).
        stages: what the names of a stage's parameters begin with, in order; the rest is the last layer.
        alone: whether images have to pass one by one, as matrix products round each by its place among the others.
    """

    build: Build
    cam_layer: str
    stages: tuple[tuple[str, ...], ...]
    alone: bool = False


def _doubling(params: CnnParams) -> list[int]:
    """Channels of four stages."""
    return [params.width * factor for factor in (1, 2, 4, 8)]


def _resnet(blocks: list[int], deep: bool = False) -> Architecture:
    def build(params: CnnParams, channels: int, outputs: int) -> nn.Module:
        return ResNet(blocks, _doubling(params), channels, outputs, params.dropout, deep)

    return Architecture(build, "layer2", (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",)))


def _plain(params: CnnParams, channels: int, outputs: int) -> nn.Module:
    from medray.models.cnn.plain import Plain

    return Plain(params.width, channels, outputs, params.dropout)


def _convnext(params: CnnParams, channels: int, outputs: int) -> nn.Module:
    from medray.models.cnn.convnext import ConvNext

    return ConvNext([2, 2, 4, 2], _doubling(params), channels, outputs, params.dropout)


def _vit(params: CnnParams, channels: int, outputs: int) -> nn.Module:
    from medray.models.cnn.vit import Vit

    return Vit(16 * (params.width // 4), _VIT_LAYERS, channels, outputs, params.dropout)


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

_VIT_LAYERS = 6
_DENSE = (
    ("features.conv0", "features.norm0"),
    *((f"features.denseblock{number}", f"features.transition{number}") for number in range(1, 4)),
    ("features.denseblock4", "features.norm5"),
)
_EFFICIENT = (("_conv_stem", "_bn0"), *((f"_blocks.{number}",) for number in range(7)), ("_conv_head", "_bn1"))

ARCHITECTURES: dict[str, Architecture] = {
    "plain": Architecture(_plain, "blocks.2", (*((f"blocks.{number}",) for number in range(4)), ("hidden",))),
    "resnet10": _resnet([1, 1, 1, 1]),
    "resnet18": _resnet([2, 2, 2, 2]),
    "resnet34": _resnet([3, 4, 6, 3]),
    "resnet50": _resnet([3, 4, 6, 3], deep=True),
    "densenet-small": Architecture(_densenet_small, "features.denseblock2", _DENSE),
    "densenet121": Architecture(_densenet121, "features.denseblock2", _DENSE),
    "efficientnet-b0": Architecture(_efficientnet, "_conv_head", _EFFICIENT),
    "convnext": Architecture(_convnext, "stages.1", (("stem",), *((f"stages.{number}",) for number in range(4)), ("norm",))),
    "vit": Architecture(
        _vit, "grid", (("patches",), *((f"layers.{number}",) for number in range(_VIT_LAYERS)), ("norm",)), alone=True
    ),
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
        self.stages = architecture.stages
        self.alone = architecture.alone
        self.standardise = params.standardise

    def stage_of(self, name: str) -> int:
        """The number of the stage that a parameter belongs to, by its name; that of the last layer is the number of stages."""
        own = name.split(".", 2)[2]
        found = (
            number
            for number, prefixes in enumerate(self.stages)
            if any(own.startswith(f"{prefix}.") or own == prefix for prefix in prefixes)
        )
        return next(found, len(self.stages))

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
