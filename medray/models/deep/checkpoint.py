"""Checkpoints of a fit: tensors in safetensors, numbers in JSON. Imports torch: import it lazily."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medray.errors import ModelError
from medray.json_file import json_object
from medray.spec import canonical_json

_TENSORS = "training.safetensors"
_NUMBERS = "training.json"


@dataclass
class Training:
    """All that changes while a network is trained; the learning rate and every random number follow from ``epoch``.

    Attributes:
        network: the network that the optimizer steps.
        average: its running mean, which is validated and kept.
        optimizer: over the parameters of ``network``.
        epoch: epochs done.
        best_epoch, best_value, best: epoch, monitored figure (NaN before the first) and weights of the best running mean so far.
    """

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    best_epoch: int = 0
    best_value: float = math.nan
    best: dict[str, Tensor] = field(default_factory=dict)


def save_training(folder: Path, training: Training, identity: str) -> None:
    """Write a checkpoint; ``identity`` names the fit (parameters, seed) that may go on from it."""
    tensors = {name: tensor.contiguous() for name, tensor in _tensors(training)}
    save_file(tensors, folder / _TENSORS)
    numbers = {
        "identity": identity,
        "epoch": training.epoch,
        "best_epoch": training.best_epoch,
        "best_value": training.best_value.hex(),
    }
    (folder / _NUMBERS).write_text(canonical_json(numbers), encoding="utf-8")


def load_training(folder: Path, training: Training, identity: str) -> None:
    """Continue from a checkpoint: overwrites ``training`` in place; raises ModelError unless it fits."""
    try:
        numbers = json_object((folder / _NUMBERS).read_bytes())
        tensors = load_file(folder / _TENSORS)
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError("MODEL_CHECKPOINT", f"the checkpoint cannot be read: {type(error).__name__}") from error
    if numbers.get("identity") != identity:
        raise ModelError("MODEL_CHECKPOINT", "the checkpoint is of a fit with other parameters or another seed")
    training.network.load_state_dict(_part(tensors, "network."))
    training.average.load_state_dict(_part(tensors, "average."))
    training.best = _part(tensors, "best.")
    _load_optimizer(training.optimizer, _part(tensors, "optimizer."))
    training.epoch, training.best_epoch = int(numbers["epoch"]), int(numbers["best_epoch"])
    training.best_value = float.fromhex(numbers["best_value"])


def _tensors(training: Training) -> Iterator[tuple[str, Tensor]]:
    for prefix, state in (
        ("network.", training.network.state_dict()),
        ("average.", training.average.state_dict()),
        ("best.", training.best),
    ):
        for name, tensor in state.items():
            yield prefix + name, tensor
    for index, parameter in enumerate(_parameters(training.optimizer)):
        for name, tensor in training.optimizer.state[parameter].items():
            yield f"optimizer.{index}.{name}", tensor


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    for index, parameter in enumerate(_parameters(optimizer)):
        for name, tensor in _part(tensors, f"{index}.").items():
            optimizer.state[parameter][name] = _laid_out_like(parameter, tensor)


def _laid_out_like(parameter: Tensor, tensor: Tensor) -> Tensor:
    return torch.empty_like(parameter).copy_(tensor).detach() if tensor.shape == parameter.shape else tensor


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
