"""The gradient of one batch, the same whoever computes which part of it. Imports torch: import this file lazily.

A batch is cut into groups of samples. Batch statistics are those of a group, random numbers follow from the group's place in the
fit, and what the groups give is rounded to multiples of 2⁻⁴³ and added in float64, which is exact and so knows no order (in its
simplest form what Demmel and Nguyen 2013, ARITH, do). Otherwise the last bit of a sum would decide how a number half way between
two of float32 is rounded. So 1, 2 or 3 workers, each with some of the groups, make the same step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    """Adds up loss, gradients and batch statistics of the groups of a batch, over all workers."""

    def __init__(self, network: nn.Module, context: FitContext) -> None:
        self._context = context
        self._parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self._norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
        self._sizes = [1, *(one.numel() for one in self._parameters)]
        self._sizes += [norm.num_features for norm in self._norms for _ in range(2)]

    def of(self, groups: Sequence[Part]) -> float:
        """Leave the gradient of the batch in the network, and its statistics moved by a step; returns the loss.

        Args:
            groups: this worker's groups, none where there are fewer groups than workers.
        """
        before = [(norm.momentum, _count(norm), *_statistics(norm)) for norm in self._norms]
        for norm in self._norms:
            norm.momentum = 1.0  # what is running is then that of the last group alone
        total = torch.zeros(sum(self._sizes), dtype=torch.float64, device=self._context.device)
        row = torch.empty_like(total)
        for share, loss in groups:
            self._clear()
            found = loss() * share
            found.backward()  # type: ignore[no-untyped-call]
            torch.cat(self._parts(share, found), out=row)
            total += row.add_(_GRID).sub_(_GRID)
        ranks.add(total, self._context)
        return self._scattered(total, before)

    def _clear(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    def _parts(self, share: float, loss: Tensor) -> list[Tensor]:
        """Loss, gradients and statistics of a group, each times its share, in rows."""
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in self._parameters]
        statistics = [part * share for norm in self._norms for part in _running(norm)]
        return [part.flatten() for part in (loss.detach(), *gradients, *statistics)]

    def _scattered(self, total: Tensor, before: Sequence[tuple[float | None, Tensor, Tensor, Tensor]]) -> float:
        loss, *found = torch.split(total, self._sizes)
        gradients, statistics = found[: len(self._parameters)], iter(found[len(self._parameters) :])
        with torch.no_grad():
            for parameter, gradient in zip(self._parameters, gradients, strict=True):
                parameter.grad = torch.empty_like(parameter).copy_(gradient.view(parameter.shape))  # in the layout of the weights
            for norm, (momentum, count, *kept) in zip(self._norms, before, strict=True):
                norm.momentum = momentum
                norm.num_batches_tracked = count + 1
                for running, old in zip(_running(norm), kept, strict=True):
                    running.copy_(old.lerp(next(statistics).to(old.dtype), 0.1 if momentum is None else momentum))
        return float(loss)


def _running(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var


def _count(norm: _BatchNorm) -> Tensor:
    assert norm.num_batches_tracked is not None
    return norm.num_batches_tracked.clone()


def _statistics(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    mean, variance = _running(norm)
    return mean.clone(), variance.clone()
