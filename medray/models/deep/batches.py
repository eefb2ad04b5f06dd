"""Images on their way into a network. Imports torch: import this file lazily."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medray.types import Float32


def as_batch(images: Any, device: torch.device) -> Tensor:
    """Images as a tensor (n, channels, rows, columns) on ``device``; the weights decide about the layout.

    It is a copy in torch's own memory: kernels round by the alignment of what they read, and NumPy's differs from run to run.

    Args:
        images: float32 (n, rows, columns), or (n, channels, rows, columns).
    """
    batch = torch.from_numpy(images).clone()
    return (batch.unsqueeze(1) if batch.ndim == 3 else batch).to(device)


def channels_of(shape: tuple[int, ...]) -> int:
    """Channels of an image of this shape: (rows, columns), or (channels, rows, columns)."""
    return 1 if len(shape) == 2 else shape[0]


def padded_batches(x: Float32, size: int) -> Iterator[tuple[Float32, int]]:
    """The images in batches of one size, the last filled up with zeros, and how many of each are images.

    Kernels are chosen by the batch size, and differ in the last bits.
    """
    for start in range(0, len(x), size):
        part = x[start : start + size]
        padded = np.zeros((size, *x.shape[1:]), dtype=np.float32)
        padded[: len(part)] = part
        yield padded, len(part)


class RowwiseLinear(nn.Linear):
    """In evaluation, each row of (n, features) is multiplied alone, from a buffer of its own.

    A matrix product rounds a row by its place in the batch, and a product with a vector by its alignment in memory.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(n, in_features) → (n, out_features)."""
        if self.training:
            return super().forward(input)
        return torch.cat([nn.functional.linear(row.clone(), self.weight, self.bias) for row in torch.split(input, 1)])


def rowwise(layer: Any) -> RowwiseLinear:
    """A fully connected layer with the same weights, in evaluation row by row."""
    with torch.random.fork_rng(devices=[]):  # weights that are replaced cost no random numbers
        made = RowwiseLinear(layer.in_features, layer.out_features)
    made.weight, made.bias = layer.weight, layer.bias
    return made


def exact_kernels() -> AbstractContextManager[None]:
    """CUDA uses its deterministic kernels in full float32."""
    return torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)


def standardised(x: Tensor) -> Tensor:
    """Each image (n, channels, rows, columns) with mean 0 and standard deviation 1 over all its channels."""
    deviation, mean = torch.std_mean(x, dim=(1, 2, 3), keepdim=True, correction=0)
    return (x - mean) / (deviation + 1e-3)


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Run with a number of torch threads; the number is as it was afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
