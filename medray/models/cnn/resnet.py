"""Residual networks of basic blocks (He et al. 2016, CVPR). Imports torch: import this file lazily.

Weights have the names of MONAI's ResNet, and answers are the same; importing MONAI costs each process 3 to 4 s.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from medray.models.deep.batches import RowwiseLinear


class Block(nn.Module):
    """Two 3 × 3 convolutions beside an identity, or beside a 1 × 1 convolution where the shape changes."""

    def __init__(self, before: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        downsample = None
        if stride != 1 or before != planes:
            downsample = nn.Sequential(nn.Conv2d(before, planes, 1, stride), nn.BatchNorm2d(planes))
        self.conv1 = nn.Conv2d(before, planes, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.act = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, rows, columns) → (n, planes, rows / stride, columns / stride)."""
        residual = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.act(self.bn1(self.conv1(x)))))
        out += residual
        return self.act(out)  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """A 3 × 3 convolution between two 1 × 1 convolutions, beside an identity, or beside a 1 × 1 convolution.

    It gives four times ``planes``. The 3 × 3 convolution has the stride, as in torchvision.
    """

    def __init__(self, before: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        downsample = None
        if stride != 1 or before != 4 * planes:
            downsample = nn.Sequential(nn.Conv2d(before, 4 * planes, 1, stride), nn.BatchNorm2d(4 * planes))
        self.conv1, self.bn1 = nn.Conv2d(before, planes, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = nn.Conv2d(planes, planes, 3, stride, padding=1, bias=False), nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = nn.Conv2d(planes, 4 * planes, 1, bias=False), nn.BatchNorm2d(4 * planes)
        self.act = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, rows, columns) → (n, 4 · planes, rows / stride, columns / stride)."""
        residual = x if self.downsample is None else self.downsample(x)
        out = self.act(self.bn1(self.conv1(x)))
        out = self.bn3(self.conv3(self.act(self.bn2(self.conv2(out)))))
        out += residual
        return self.act(out)  # type: ignore[no-any-return]


class ResNet(nn.Module):
    """float32 (n, channels, rows, columns) → (n, outputs): a stem of a quarter of the resolution, four stages, a last layer.

    Args:
        blocks: of each stage.
        planes: channels of each stage.
        dropout: share of the features that is dropped before the last layer.
        deep: whether blocks are bottlenecks.
    """

    def __init__(
        self, blocks: Sequence[int], planes: Sequence[int], channels: int, outputs: int, dropout: float = 0.0, deep: bool = False
    ) -> None:
        super().__init__()
        block, wider = (Bottleneck, 4) if deep else (Block, 1)
        self.conv1 = nn.Conv2d(channels, planes[0], 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(planes[0])
        self.act = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.layer1 = _stage(block, planes[0], planes[0], blocks[0], 1)
        self.layer2 = _stage(block, wider * planes[0], planes[1], blocks[1], 2)
        self.layer3 = _stage(block, wider * planes[1], planes[2], blocks[2], 2)
        self.layer4 = _stage(block, wider * planes[2], planes[3], blocks[3], 2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc: nn.Module = nn.Linear(wider * planes[3], outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        # The last layer is drawn a second time, as when it replaced MONAI's: seeds keep their meaning.
        self.fc = nn.Sequential(nn.Dropout(dropout), RowwiseLinear(wider * planes[3], outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.maxpool(self.act(self.bn1(self.conv1(x))))
        x = self.avgpool(self.layer4(self.layer3(self.layer2(self.layer1(x)))))
        return self.fc(x.flatten(1))  # type: ignore[no-any-return]


def _stage(block: type[Block] | type[Bottleneck], before: int, planes: int, blocks: int, stride: int) -> nn.Sequential:
    after = 4 * planes if block is Bottleneck else planes
    return nn.Sequential(block(before, planes, stride), *(block(after, planes) for _ in range(blocks - 1)))
