"""Activations of the penultimate layer of a network. Imports torch: import this file lazily."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medray.models.deep.batches import RowwiseLinear, as_batch, exact_kernels, padded_batches, torch_threads
from medray.models.deep.params import BATCH
from medray.types import Float32, Float64


def last_layers(network: nn.Module) -> dict[str, nn.Linear]:
    """The last layer of each network in it, by name: what computes row by row, where there is such, else the fully connected."""
    linear = {name: module for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    return {name: module for name, module in linear.items() if isinstance(module, RowwiseLinear)} or linear


def batch_size(network: nn.Module) -> int:
    """How many images pass through a network at once, on the device where it is."""
    return 1 if getattr(network, "alone", False) else BATCH[next(network.parameters()).device.type]


def activations(network: nn.Module, x: Float32) -> Float64:
    """What goes into the last layer, of several networks side by side one after the other.

    A row is bitwise the same in every batch on one device: batches have one size, the CPU uses one thread, and CUDA its
    deterministic kernels in full float32.

    Args:
        network: in evaluation mode; takes float32 (n, 1, rows, columns).
        x: float32 (n, rows, columns).

    Returns:
        float64 (n, features).
    """
    device = next(network.parameters()).device
    layers = last_layers(network).values()
    empty = np.empty((0, sum(layer.in_features for layer in layers)))
    with torch_threads(1), torch.inference_mode(), exact_kernels():
        batches = [
            _inputs(network, layers, as_batch(part, device))[:count] for part, count in padded_batches(x, batch_size(network))
        ]
    return np.concatenate([empty, *batches])


def _inputs(network: nn.Module, layers: Any, batch: Tensor) -> Float64:
    """One forward pass; what each layer was given, float64 (n, features)."""
    seen: list[Tensor] = []
    with ExitStack() as hooks:
        for layer in layers:
            hooks.callback(layer.register_forward_pre_hook(lambda _, given: seen.append(given[0])).remove)
        network(batch)
    return np.asarray(torch.cat(seen, dim=1).double().cpu().numpy(), dtype=np.float64)
