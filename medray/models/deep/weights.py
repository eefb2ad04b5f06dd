"""Weights of a network as they are read from a file. Imports torch: import this file lazily."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


def check_weights(build: Callable[[], nn.Module], weights: Mapping[str, Tensor]) -> None:
    """Check that weights are of a network, by a copy of it without memory: no file makes one of any size be built.

    Raises:
        ValueError
    """
    with torch.device("meta"):
        expected = {name: tensor.shape for name, tensor in build().state_dict().items()}
    if expected != {name: tensor.shape for name, tensor in weights.items()}:
        raise ValueError("the weights are of another network than the parameters")
