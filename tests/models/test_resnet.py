"""Residual networks: the same weights and answers as MONAI's, to the bit."""

from __future__ import annotations

import sys
from subprocess import run

import pytest
import torch
from monai.networks.nets.resnet import ResNet as Peer
from torch import nn

from medray.models.cnn.resnet import ResNet
from medray.models.deep.batches import RowwiseLinear


@pytest.mark.parametrize("blocks", [[1, 1, 1, 1], [2, 2, 2, 2], [3, 4, 6, 3]])
@pytest.mark.parametrize(("channels", "width"), [(1, 4), (3, 16)])
def test_weights_and_answers_are_those_of_monai(blocks: list[int], channels: int, width: int) -> None:
    planes = [width, 2 * width, 4 * width, 8 * width]
    torch.manual_seed(3)
    peer = Peer("basic", blocks, planes, spatial_dims=2, n_input_channels=channels, conv1_t_stride=2, num_classes=5)
    peer.add_module("fc", nn.Sequential(nn.Dropout(0.5), RowwiseLinear(planes[-1], 5)))
    torch.manual_seed(3)
    own = ResNet(blocks, planes, channels, 5, 0.5)
    assert list(own.state_dict()) == list(peer.state_dict())
    assert all(
        torch.equal(mine, theirs) for mine, theirs in zip(own.state_dict().values(), peer.state_dict().values(), strict=True)
    )
    x = torch.randn(4, channels, 48, 40)
    for network in (own, peer):
        network.train()
        torch.manual_seed(1)
        network(x)
    assert torch.equal(own.eval()(x), peer.eval()(x))


def test_a_model_of_residual_networks_opens_without_monai() -> None:
    code = "import sys, medray.models.cnn.model; sys.exit('monai' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0
