"""What the workers of a data-parallel fit agree on. Imports torch: import this file lazily."""

from __future__ import annotations

from torch import Tensor, distributed

from medray.models.family import FitContext


def add(total: Tensor, context: FitContext) -> None:
    """Put the sum over all workers in place of each one's."""
    if context.world_size > 1:
        distributed.all_reduce(total)


def told(values: Tensor, context: FitContext) -> Tensor:
    """The values of the first worker, on each."""
    if context.world_size > 1:
        values = values.to(context.device)
        distributed.broadcast(values, src=0)
    return values
