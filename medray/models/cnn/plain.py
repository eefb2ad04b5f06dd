"""The network of the textbooks: convolutions, pooling, a fully connected layer (LeCun et al. 1998). Imports torch."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from medray.models.deep.batches import RowwiseLinear

_GRID = 4


class Plain(nn.Module):
    """float32 (n, channels, rows, columns) → (n, outputs): four times convolution, batch norm and pooling, and a hidden layer.

    Args:
        width: channels of the first convolution; each further one has twice as many.
        dropout: share of the hidden layer that is dropped.
    """

    def __init__(self, width: int, channels: int, outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        planes = [channels, *(width * factor for factor in (1, 2, 4, 8))]
        self.blocks = nn.ModuleList(_block(before, after) for before, after in itertools.pairwise(planes))
        self.pool = nn.AdaptiveAvgPool2d(_GRID)
        self.hidden = nn.Sequential(nn.Conv2d(planes[-1], planes[-1], _GRID), nn.ReLU(inplace=True))
        self.fc = nn.Sequential(nn.Dropout(dropout), RowwiseLinear(planes[-1], outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        for block in self.blocks:
            x = block(x)
        return self.fc(self.hidden(self.pool(x)).flatten(1))  # type: ignore[no-any-return]


def _block(before: int, after: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True), nn.MaxPool2d(2))
