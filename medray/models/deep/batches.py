"""Images on their way into a network. Imports torch: import this file lazily."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medray.types import Float32

BATCH = {"cpu": 8, "cuda": 64}
"""Images that pass at once, by the kind of device."""


def as_batch(images: Any, device: torch.device) -> Tensor:
    """Images as a tensor (n, channels, rows, columns) on ``device``; the weights decide about the layout.

    Args:
        images: float32 (n, rows, columns), or (n, channels, rows, columns).
    """
    batch = torch.from_numpy(images)
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
