"""Training of a network, on one process or data-parallel. Imports torch: import this file lazily.

Order belongs to the samples, not to the workers: an epoch is one permutation of all training images, from (seed, epoch); each
batch is cut into groups, whose augmentation and dropout follow from (seed, epoch, batch, group), and workers take groups in turn.
So a fit ends with the same weights on 1, 2 or 3 workers, and one that goes on from a checkpoint with those of one that was never
interrupted.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import get_ema_multi_avg_fn

from medray.errors import ModelError
from medray.models.checks import in_parts, valid_scores
from medray.models.deep import ranks
from medray.models.deep.batches import torch_threads
from medray.models.deep.checkpoint import Training, load_training, save_training
from medray.models.deep.params import TrainingParams
from medray.models.deep.step import Gradient
from medray.models.family import Batch, FitContext, FitData
from medray.spec import fingerprint
from medray.tasks.head import Output
from medray.tasks.task import Task
from medray.types import Float32, Int64

Tensors = tuple[Tensor, Tensor]

_VALIDATED = 64
"""Images of the validation split that are read together."""


@dataclass(frozen=True)
class Learner:
    """What a family brings to the loop.

    Attributes:
        build: a network with fresh weights from torch's generator, on the CPU.
        batch: (training samples, random numbers) → what goes in and its targets, augmented, on the device.
        loss: (what the network gives, targets) → loss of a group of samples.
        output: (network, float32 (n, …) images) → the arrays of the head; for no images, too.
        before_epoch: (network, epoch from 0 on) → what of it learns from now on is set.
        rates: network → parameter's name → share of the learning rate, where it is not all of it.
    """

    build: Callable[[], nn.Module]
    batch: Callable[[Batch, np.random.Generator], tuple[Tensor, Any]]
    loss: Callable[[Tensor, Any], Tensor]
    output: Callable[[Any, Float32], Output]
    before_epoch: Callable[[nn.Module, int], None] = lambda network, epoch: None
    rates: Callable[[nn.Module], Mapping[str, float]] = lambda network: {}


def fitted_weights(learner: Learner, data: FitData, task: Task, params: TrainingParams, context: FitContext) -> dict[str, Tensor]:
    """Train a network; returns the weights that ``params.keep`` asks for.

    Raises:
        ModelError: MODEL_EMPTY_SHARD, MODEL_SINGLE_CLASS where no epoch can be chosen, MODEL_DIVERGED, MODEL_CHECKPOINT.
    """
    if not len(data.train):
        raise ModelError("MODEL_EMPTY_SHARD", "there is no training image", "label some")
    with torch_threads(context.threads), torch.random.fork_rng():
        torch.manual_seed(context.seed)
        loop = _Loop(learner, data, task, params, context)
        training = loop.start()
        while training.epoch < params.epochs and not _out_of_patience(training, params):
            loop.epoch(training)
        return training.best if params.keep == "best" else training.average.state_dict()


def learning_rate(params: TrainingParams, progress: float) -> float:
    """Rate at ``progress`` in [0, 1] of the fit: a linear rise, then half a cosine down to zero (one cycle)."""
    if progress < params.warmup:
        return params.learning_rate * progress / params.warmup
    fall = (progress - params.warmup) / (1 - params.warmup)
    return params.learning_rate * (1 + math.cos(math.pi * fall)) / 2


def _optimizer(network: nn.Module, params: TrainingParams, rates: Mapping[str, float]) -> torch.optim.Optimizer:
    """Weights decay, biases and scales do not; each rate has groups of its own."""
    groups = []
    for rate in sorted({rates.get(name, 1.0) for name, _ in network.named_parameters()}, reverse=True):
        own = [parameter for name, parameter in network.named_parameters() if rates.get(name, 1.0) == rate]
        weights, others = [one for one in own if one.ndim > 1], [one for one in own if one.ndim <= 1]
        groups += [{"params": weights, "weight_decay": params.weight_decay, "rate": rate}]
        groups += [{"params": others, "weight_decay": 0.0, "rate": rate}]
    if params.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=params.learning_rate, momentum=params.momentum, nesterov=params.momentum > 0)
    return torch.optim.AdamW(groups, lr=params.learning_rate, fused=True)


def _identity(params: TrainingParams, context: FitContext) -> str:
    return fingerprint({"params": params.model_dump(mode="json"), "seed": context.seed})


def _out_of_patience(training: Training, params: TrainingParams) -> bool:
    return 0 < params.patience <= training.epoch - training.best_epoch


class _Loop:
    """What stays the same from epoch to epoch."""

    def __init__(self, learner: Learner, data: FitData, task: Task, params: TrainingParams, context: FitContext) -> None:
        self.learner, self.data, self.task, self.params, self.context = learner, data, task, params, context
        self.steps = math.ceil(len(data.train) / params.batch_size)

    def start(self) -> Training:
        """A fresh network, or one that goes on from the newest checkpoint."""
        network = self.learner.build().to(self.context.device)
        average = copy.deepcopy(network)
        training = Training(network, average, _optimizer(network, self.params, self.learner.rates(network)))
        folder = self.context.checkpoint()
        if folder is not None:
            load_training(folder, training, _identity(self.params, self.context))
        return training

    def epoch(self, training: Training) -> None:
        """One pass over the training images (the last batch is filled up with the first ones), then validation and report."""
        loss = self._train(training, training.network)
        training.epoch += 1
        if training.epoch % self.params.validate_every and training.epoch < self.params.epochs:
            return
        scores = self._validate(training)
        self._keep_best(training, scores[f"valid_{self.task.monitor.figure}"])
        identity = _identity(self.params, self.context)
        self.context.report(
            training.epoch, {"train_loss": loss} | scores, lambda folder: save_training(folder, training, identity)
        )

    def _keep_best(self, training: Training, value: float) -> None:
        if np.isnan(value) and (self.params.patience or self.params.keep == "best"):
            message = f"{self.task.monitor.figure} is undefined on the validation images and cannot choose the epoch"
            raise ModelError("MODEL_SINGLE_CLASS", message, "label more of each kind, or keep the last epoch")
        if self.task.monitor.better(value, training.best_value):
            training.best_epoch, training.best_value = training.epoch, value
            training.best = _copy(training.average) if self.params.keep == "best" else {}

    def _train(self, training: Training, network: nn.Module) -> float:
        """One pass; returns the mean loss."""
        network.train()
        self.learner.before_epoch(network, training.epoch)
        _keep_statistics(network)
        gradient, follow = Gradient(network, self.context), _Follower(training.average, network)
        order = np.random.default_rng([self.context.seed, training.epoch]).permutation(len(self.data.train))
        batches = np.resize(order, self.steps * self.params.batch_size).reshape(self.steps, -1)
        read = self.data.train.batches(group for chosen in batches for _, group in self._own(chosen))
        losses = []
        for step, chosen in enumerate(batches):
            place = [self.context.seed, training.epoch, step]
            groups = [
                (len(group) / len(chosen), partial(self._loss, network, read, [*place, number]))
                for number, group in self._own(chosen)
            ]
            losses.append(gradient.of(groups))
            done = training.epoch * self.steps + step
            self._step(training, done)
            follow(min(self.params.average_decay, (done + 1) / (done + 10)))
        return _finite(float(np.mean(losses)))

    def _own(self, chosen: Int64) -> list[tuple[int, Int64]]:
        """This worker's groups of a batch, with their numbers."""
        groups = np.array_split(chosen, math.ceil(len(chosen) / self.params.group_size))
        return list(enumerate(groups))[self.context.rank :: self.context.world_size]

    def _loss(self, network: nn.Module, read: Iterator[Batch], place: list[int]) -> Tensor:
        """The mean loss of the group that is read next; every random number follows from its place."""
        rng = np.random.default_rng(place)
        _seed(int(rng.integers(2**63)), self.context.device)
        x, y = self.learner.batch(next(read), rng)
        half = self.params.precision == "bfloat16"
        with torch.autocast(torch.device(self.context.device).type, torch.bfloat16, enabled=half):
            found = network(x)
        return self.learner.loss(found.float(), y)

    def _step(self, training: Training, done: int) -> None:
        if self.params.l1:
            _add_l1(training.network, self.params.l1)
        nn.utils.clip_grad_norm_(training.network.parameters(), self.params.clip_norm)
        for group in training.optimizer.param_groups:
            rate = learning_rate(self.params, (done + 1) / (self.params.epochs * self.steps + 1))
            group["lr"] = rate * group["rate"]
        training.optimizer.step()

    def _validate(self, training: Training) -> dict[str, float]:
        """The task's scores of the running mean: measured on rank 0, then told to every rank."""
        nothing = [self.data.valid.batch(np.arange(0))]
        read = in_parts(self.data.valid, _VALIDATED) if self.context.rank == 0 else nothing
        scores = valid_scores(self.task, ((y, self.learner.output(training.average, x)) for x, y in read))
        values = ranks.told(torch.tensor(list(scores.values()), dtype=torch.float64), self.context)
        return dict(zip(scores, values.tolist(), strict=True))


class _Follower:
    """Moves the running mean of weights and of batch statistics towards the network (Polyak averaging)."""

    def __init__(self, average: nn.Module, network: nn.Module) -> None:
        pairs = list(zip(_state(average), _state(network), strict=True))
        self._moved = [pair for pair in pairs if pair[0].is_floating_point()]
        self._copied = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def __call__(self, decay: float) -> None:
        means, values = zip(*self._moved, strict=True)
        get_ema_multi_avg_fn(decay)(means, values, None)  # type: ignore[no-untyped-call]
        for mean, value in self._copied:
            mean.copy_(value)


def _keep_statistics(network: nn.Module) -> None:
    """Batch statistics of layers that do not learn stay as they are."""
    for module in network.modules():
        if isinstance(module, _BatchNorm) and module.weight is not None and not module.weight.requires_grad:
            module.eval()


@torch.no_grad()
def _add_l1(network: nn.Module, share: float) -> None:
    """Add the gradient of the sum of the absolute weights."""
    for parameter in network.parameters():
        if parameter.ndim > 1 and parameter.grad is not None:
            parameter.grad.add_(parameter.sign(), alpha=share)


def _state(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def _seed(seed: int, device: str) -> None:
    """Seed what dropout draws from; ``torch.manual_seed`` seeds every kind of device, which takes half a millisecond."""
    torch.default_generator.manual_seed(seed)
    if device == "cuda":
        torch.cuda.manual_seed(seed)


def _finite(loss: float) -> float:
    if not math.isfinite(loss):
        raise ModelError("MODEL_DIVERGED", "the training loss is not finite", "lower the learning rate")
    return loss
