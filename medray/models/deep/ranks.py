"""What the workers of a data-parallel fit agree on. Imports torch: import this file lazily."""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn

from medray.models.family import FitContext


def total(tensor: Tensor, context: FitContext) -> Tensor:
    """The sum over all workers, on the device of the fit."""
    tensor = tensor.to(context.device)
    if context.world_size > 1:
        distributed.all_reduce(tensor)
    return tensor


def mean(value: Tensor, context: FitContext) -> float:
    """The mean over all workers."""
    return float(total(value, context)) / context.world_size


def largest(value: int, context: FitContext) -> int:
    """The largest number of any worker."""
    tensor = torch.tensor(value, device=context.device)
    if context.world_size > 1:
        distributed.all_reduce(tensor, distributed.ReduceOp.MAX)
    return int(tensor)


def told(values: Tensor, context: FitContext) -> Tensor:
    """The values of the first worker, on each."""
    if context.world_size > 1:
        values = values.to(context.device)
        distributed.broadcast(values, src=0)
    return values


def share_buffers(network: nn.Module, context: FitContext) -> None:
    """Take over the buffers of the first worker."""
    if context.world_size > 1:
        for buffer in network.buffers():
            distributed.broadcast(buffer, src=0)
