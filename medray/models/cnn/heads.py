"""What the last layer of a network means and what it is fitted to, by the kind of head. Imports torch: import it lazily."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medray.models.checks import class_counts, require_all_classes
from medray.models.cnn.params import CnnParams
from medray.models.family import FitContext, Samples
from medray.tasks.head import Head, HeadKind, Output
from medray.types import Float64

Loss = Callable[[Tensor, Tensor], Tensor]
"""(logits (n, size), targets) → loss of each sample, (n,)."""


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of the targets of a value head; a network is fitted to targets of mean 0 and deviation 1."""

    mean: float = 0.0
    deviation: float = 1.0


def output_of(logits: Tensor, head: Head, scale: Scale) -> Output:
    """The arrays of a head, the mean over the members of a network.

    Args:
        logits: float32 (n, members, size).
    """
    exact = logits.double()
    if head.kind == "value":
        return {"value": _array(exact.mean(dim=1)[:, 0]) * scale.deviation + scale.mean}
    activated = exact.softmax(dim=2) if head.kind == "classes" else exact.sigmoid()
    return {"probability": _array(activated.mean(dim=1))}


def loss_of(head: Head, train: Samples, params: CnnParams, context: FitContext) -> tuple[Loss, Scale]:
    """The loss of a fit, and the scale of its targets.

    Raises:
        ModelError: MODEL_SINGLE_CLASS.
    """
    return _LOSSES[head.kind](head, train, params, context)


def _classes(head: Head, train: Samples, params: CnnParams, context: FitContext) -> tuple[Loss, Scale]:
    """Cross entropy with label smoothing; classes weigh between as they occur and all alike.

    With ``focal`` it counts less where the class is told well (Lin et al., ICCV 2017).
    """
    counts = class_counts(train.y, head.size)
    require_all_classes(counts)
    frequency = counts / counts.sum()
    balance = (1 / head.size / frequency) ** params.class_balance
    weights = torch.from_numpy(balance / (balance @ frequency)).to(torch.device(context.device), torch.float32)

    def loss(logits: Tensor, y: Tensor) -> Tensor:
        found = functional.cross_entropy(logits, y, reduction="none", label_smoothing=params.label_smoothing)
        if params.focal:
            found = found * (1 - logits.softmax(dim=1)[torch.arange(len(y)), y]) ** params.focal
        return weights[y] * found

    return loss, Scale()


def _labels(head: Head, train: Samples, params: CnnParams, context: FitContext) -> tuple[Loss, Scale]:
    """Binary cross entropy of each label that is known; label smoothing draws targets towards ½."""

    def loss(logits: Tensor, y: Tensor) -> Tensor:
        known = ~torch.isnan(y)
        wanted = torch.nan_to_num(y) * (1 - params.label_smoothing) + params.label_smoothing / 2
        each = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * known
        if params.focal:
            each = each * (torch.nan_to_num(y) - logits.sigmoid()).abs() ** params.focal
        return each.sum(dim=1) / known.sum(dim=1).clamp(min=1)

    return loss, Scale()


def _value(head: Head, train: Samples, params: CnnParams, context: FitContext) -> tuple[Loss, Scale]:
    """Mean squared error of standardised targets."""
    scale = Scale(float(train.y.mean(dtype=np.float64)), max(float(train.y.std(dtype=np.float64)), 1e-12))

    def loss(logits: Tensor, y: Tensor) -> Tensor:
        return (logits[:, 0] - (y - scale.mean) / scale.deviation) ** 2

    return loss, scale


MakeLoss = Callable[[Head, Samples, CnnParams, FitContext], tuple[Loss, Scale]]
_LOSSES: Mapping[HeadKind, MakeLoss] = {
    "classes": _classes,
    "labels": _labels,
    "value": _value,
}


def targets(y: Any, device: torch.device) -> Tensor:
    """Targets as a tensor: class numbers as they are, everything else in float32."""
    found = torch.from_numpy(np.ascontiguousarray(y)).to(device)
    return found if found.dtype == torch.int64 else found.float()


def _array(tensor: Tensor) -> Float64:
    return np.asarray(tensor.cpu().numpy(), dtype=np.float64)
