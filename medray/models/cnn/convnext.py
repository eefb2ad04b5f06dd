"""Convolutional network in the manner of transformers (Liu et al., CVPR 2022). Imports torch: import this file lazily."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from medray.models.deep.batches import RowwiseLinear

_SCALE = 0.1
"""What blocks add at first. The paper has 1e-6, for hundreds of epochs on millions of images."""


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each pixel."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(planes)), nn.Parameter(torch.zeros(planes))

    def forward(self, x: Tensor) -> Tensor:
        """(n, planes, rows, columns) → the same shape."""
        last = x.permute(0, 2, 3, 1)
        return functional.layer_norm(last, (last.shape[-1],), self.weight, self.bias, 1e-6).permute(0, 3, 1, 2)


class Block(nn.Module):
    """A 7 × 7 convolution of each channel, and two 1 × 1 convolutions of four times as many, beside an identity."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.each = nn.Conv2d(planes, planes, 7, padding=3, groups=planes)
        self.norm = ChannelNorm(planes)
        self.wide, self.act, self.narrow = nn.Conv2d(planes, 4 * planes, 1), nn.GELU(), nn.Conv2d(4 * planes, planes, 1)
        self.scale = nn.Parameter(torch.full((planes, 1, 1), _SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """(n, planes, rows, columns) → the same shape."""
        return x + self.scale * self.narrow(self.act(self.wide(self.norm(self.each(x)))))  # type: ignore[no-any-return]


class ConvNext(nn.Module):
    """float32 (n, channels, rows, columns) → (n, outputs): a stem of a quarter of the resolution and four stages.

    Args:
        blocks, planes: of each stage.
        dropout: share of the features that is dropped before the last layer.
    """

    def __init__(self, blocks: Sequence[int], planes: Sequence[int], channels: int, outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, planes[0], 4, 4), ChannelNorm(planes[0]))
        stages = [nn.Sequential(*(Block(planes[0]) for _ in range(blocks[0])))]
        for count, before, after in zip(blocks[1:], planes[:-1], planes[1:], strict=True):
            smaller = [ChannelNorm(before), nn.Conv2d(before, after, 2, 2)]
            stages.append(nn.Sequential(*smaller, *(Block(after) for _ in range(count))))
        self.stages = nn.ModuleList(stages)
        self.norm = ChannelNorm(planes[-1])
        self.fc = nn.Sequential(nn.Dropout(dropout), RowwiseLinear(planes[-1], outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return self.fc(self.norm(x.mean(dim=(2, 3), keepdim=True)).flatten(1))  # type: ignore[no-any-return]
