"""The gradient of one batch, the same whoever computes which part of it. Imports torch: import this file lazily.

A batch is cut into groups of samples. Batch statistics are those of a group, random numbers follow from the group's place in the
fit, and what the groups give is rounded to multiples of 2⁻⁴³ and added in float64, which is exact and so knows no order (in its
simplest form what Demmel and Nguyen 2013, ARITH, do). Otherwise the last bit of a sum would decide how a number half way between
two of float32 is rounded. So 1, 2 or 3 workers, each with some of the groups, make the same step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from medray.models.deep import ranks
from medray.models.family import FitContext

Part = tuple[float, Callable[[], Tensor]]
"""The share of the batch that a group is, and what computes its loss."""

_GRID = 1.5 * 2.0**9
"""Added to a number within ±2⁸ and taken off again, it leaves a multiple of 2⁻⁴³, and sums of these up to 2¹⁰ are exact; beyond,
as variances of images far from unit range may be, they are as float64 has them. The noise of gradients in float32 is a thousand
times larger."""


class Gradient:
    """Adds up loss, gradients and batch statistics of the groups of a batch, over all workers.

    The gradients of the network lie in one row of memory, so that they are rounded, added and given back in one go.
    """

    def __init__(self, network: nn.Module, context: FitContext) -> None:
        self._context = context
        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        norms = (module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats)
        self._norms = [norm for norm in norms if norm.training]
        self._row = torch.zeros(sum(one.numel() for one in parameters), device=context.device)
        self._sizes = [len(self._row), 1, *(norm.num_features for norm in self._norms for _ in range(2))]
        places = torch.split(self._row, [one.numel() for one in parameters])
        for parameter in network.parameters():
            parameter.grad = None
        for parameter, place in zip(parameters, places, strict=True):
            parameter.grad = place.as_strided(parameter.shape, parameter.stride())  # in the layout of the weights

    def of(self, groups: Sequence[Part]) -> float:
        """Leave the gradient of the batch in the network, and its statistics moved by a step; returns the loss.

        Args:
            groups: this worker's groups, none where there are fewer groups than workers.
        """
        before = [(norm.momentum, _count(norm).clone(), *_statistics(norm)) for norm in self._norms]
        for norm in self._norms:
            norm.momentum = 1.0  # what is running is then that of the last group alone
        total = torch.zeros(sum(self._sizes), dtype=torch.float64, device=self._context.device)
        row = torch.empty_like(total)
        gradient, others = row[: len(self._row)], row[len(self._row) :]
        for share, loss in groups:
            self._row.zero_()
            found = loss() * share
            found.backward()  # type: ignore[no-untyped-call]
            statistics = [part * share for norm in self._norms for part in _running(norm)]
            gradient.copy_(self._row)
            torch.cat([found.detach().reshape(1), *statistics], out=others)
            total += row.add_(_GRID).sub_(_GRID)
        ranks.add(total, self._context)
        summed, mean, *moved = torch.split(total, self._sizes)
        self._row.copy_(summed)
        self._move(moved, before)
        return float(mean)

    def _move(self, found: Iterable[Tensor], before: Sequence[tuple[float | None, Tensor, Tensor, Tensor]]) -> None:
        """Statistics move from what they were before towards those of the batch."""
        statistics = iter(found)
        for norm, (momentum, count, *kept) in zip(self._norms, before, strict=True):
            norm.momentum = momentum
            _count(norm).copy_(count + 1)
            for running, old in zip(_running(norm), kept, strict=True):
                running.copy_(old.lerp(next(statistics).to(old.dtype), 0.1 if momentum is None else momentum))


def _running(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var


def _count(norm: _BatchNorm) -> Tensor:
    assert norm.num_batches_tracked is not None
    return norm.num_batches_tracked


def _statistics(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    mean, variance = _running(norm)
    return mean.clone(), variance.clone()
