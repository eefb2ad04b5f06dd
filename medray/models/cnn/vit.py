"""Vision transformer (Dosovitskiy et al., ICLR 2021), with fixed positions and without a class token (Beyer et al. 2022, "Better
plain ViT baselines"). Imports torch: import this file lazily."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medray.models.deep.batches import RowwiseLinear

PATCH = 16
"""Side of the squares that an image is cut into, in pixels; :class:`medray.models.cnn.params.CnnParams` knows it as well."""

_HEADS = 4
_LONGEST = 10_000.0


class Vit(nn.Module):
    """float32 (n, channels, rows, columns), multiples of 16 → (n, outputs): the mean over the squares after some layers.

    Args:
        width: numbers of a square, a multiple of 16.
        depth: layers of attention.
        dropout: share that is dropped inside the layers and before the last one.
    """

    def __init__(self, width: int, depth: int, channels: int, outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.patches = nn.Conv2d(channels, width, PATCH, PATCH)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, _HEADS, 4 * width, dropout, "gelu", batch_first=True, norm_first=True)
            for _ in range(depth)
        )
        self.norm, self.grid = nn.LayerNorm(width), nn.Identity()  # the latter for Grad-CAM to read
        self.fc = nn.Sequential(nn.Dropout(dropout), RowwiseLinear(width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        grid = self.patches(x)
        x = grid.flatten(2).transpose(1, 2) + positions(grid.shape[2], grid.shape[3], grid.shape[1], grid.device)
        for layer in self.layers:
            x = layer(x)
        squares = self.grid(self.norm(x).transpose(1, 2).reshape(grid.shape))
        return self.fc(squares.mean(dim=(2, 3)))  # type: ignore[no-any-return]


def positions(rows: int, columns: int, width: int, device: torch.device) -> Tensor:
    """Sines and cosines of the place of each square, float32 (rows · columns, width); half of them of its row."""
    frequency = _LONGEST ** -(torch.arange(width // 4, device=device) / (width // 4))
    waves = []
    for place in torch.meshgrid(torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij"):
        angle = place.flatten()[:, None] * frequency
        waves += [angle.sin(), angle.cos()]
    return torch.cat(waves, dim=1)
