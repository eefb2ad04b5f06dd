"""Training of the ``cnn`` family, on one process or data-parallel. Imports torch: import this file lazily.

The epoch's shuffle, augmentation and dropout follow from (seed, epoch, rank) and the learning rate from the step, so
that a fit that goes on from a checkpoint ends with the weights of one that was never interrupted.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn

from medray.errors import ModelError
from medray.imaging.augment import augment
from medray.models.checks import valid_scores
from medray.models.cnn.checkpoint import Training, load_training, save_training
from medray.models.cnn.heads import Loss, Scale, loss_of, output_of, targets, total
from medray.models.cnn.model import CnnModel, outputs
from medray.models.cnn.network import CnnNetwork, as_batch, build_network, channels_of, torch_threads
from medray.models.cnn.params import CnnParams
from medray.models.family import FitContext, FitData
from medray.spec import fingerprint
from medray.tasks.task import Task
from medray.types import Int64


def fit(data: FitData, task: Task, params: CnnParams, context: FitContext) -> CnnModel:
    """Train a network; see :meth:`medray.models.cnn.family.CnnFamily.fit`."""
    if _largest(-len(data.train), context) == 0:
        raise ModelError("MODEL_EMPTY_SHARD", "a worker has no training image", "use fewer workers")
    loss, scale = loss_of(task.head, data.train, params, context)
    with torch_threads(context.threads), torch.random.fork_rng():
        torch.manual_seed(context.seed)
        loop = _Loop(data, task, params, context, loss, scale)
        training, wrapped = loop.start()
        while training.epoch < params.epochs and not _out_of_patience(training, params):
            loop.epoch(training, wrapped)
        weights = training.best if params.keep == "best" else training.average.state_dict()
        return CnnModel(params, data.train.x.shape[1:], task.head, weights, scale)


def learning_rate(params: CnnParams, progress: float) -> float:
    """Rate at ``progress`` in [0, 1] of the fit: a linear rise, then half a cosine down to zero (one cycle)."""
    if progress < params.warmup:
        return params.learning_rate * progress / params.warmup
    fall = (progress - params.warmup) / (1 - params.warmup)
    return params.learning_rate * (1 + math.cos(math.pi * fall)) / 2


def _optimizer(network: nn.Module, params: CnnParams) -> torch.optim.Optimizer:
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [{"params": weights, "weight_decay": params.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=params.learning_rate)


def _identity(params: CnnParams, context: FitContext) -> str:
    return fingerprint({"params": params.model_dump(mode="json"), "seed": context.seed})


def _out_of_patience(training: Training, params: CnnParams) -> bool:
    return 0 < params.patience <= training.epoch - training.best_epoch


class _Loop:
    """What stays the same from epoch to epoch."""

    def __init__(self, data: FitData, task: Task, params: CnnParams, context: FitContext, loss: Loss, scale: Scale) -> None:
        self.data, self.task, self.params, self.context = data, task, params, context
        self.loss, self.scale = loss, scale
        self.device = torch.device(context.device)
        self.batch = max(2, params.batch_size // context.world_size)
        self.steps = _largest(math.ceil(len(data.train) / self.batch), context)

    def start(self) -> tuple[Training, Any]:
        """A fresh network, or one that goes on from the newest checkpoint; and the network as it is trained."""
        network = build_network(self.params, channels_of(self.data.train.x.shape[1:]), self.task.head.size)
        average = copy.deepcopy(network).to(self.context.device)
        wrapped = self.context.wrap(network)
        training = Training(network, average, _optimizer(network, self.params))
        folder = self.context.checkpoint()
        if folder is not None:
            load_training(folder, training, _identity(self.params, self.context))
        return training, wrapped

    def epoch(self, training: Training, wrapped: Any) -> None:
        """One pass over the shard (a short one is cycled: ranks take equal steps), then validation and report."""
        loss = self._train(training, wrapped)
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
            message = f"{self.task.monitor.figure} is not defined on the validation images"
            raise ModelError(
                "MODEL_SINGLE_CLASS", message, "it chooses the epoch: label more of each kind, or keep the last epoch"
            )
        if self.task.monitor.better(value, training.best_value):
            training.best_epoch, training.best_value = training.epoch, value
            training.best = _copy(training.average) if self.params.keep == "best" else {}

    def _train(self, training: Training, wrapped: Any) -> float:
        seeds = [self.context.seed, training.epoch, self.context.rank]
        rng = np.random.default_rng(seeds)
        torch.manual_seed(int(rng.integers(2**63)))
        wrapped.train()
        order = np.resize(rng.permutation(len(self.data.train)), self.steps * self.batch)
        total = torch.zeros((), device=self.device)
        for step, chosen in enumerate(order.reshape(self.steps, self.batch)):
            done = training.epoch * self.steps + step
            total += self._step(training, wrapped, chosen, rng, done)
        if self.context.world_size > 1:
            _share_buffers(training.average)
        return _finite(_mean(total / self.steps, self.context))

    def _step(self, training: Training, wrapped: Any, chosen: Int64, rng: np.random.Generator, done: int) -> Tensor:
        images = augment(self.data.train.x[chosen], self.params.augment, rng)
        loss = self._loss(wrapped(as_batch(images, self.device)), targets(self.data.train.y[chosen], self.device))
        training.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(training.network.parameters(), self.params.clip_norm)
        for group in training.optimizer.param_groups:
            group["lr"] = learning_rate(self.params, (done + 1) / (self.params.epochs * self.steps + 1))
        training.optimizer.step()
        _follow(training.average, training.network, min(self.params.average_decay, (done + 1) / (done + 10)))
        return loss.detach()

    def _loss(self, logits: Tensor, y: Tensor) -> Tensor:
        """Mean over the samples and the members, which are fitted side by side."""
        return self.loss(logits.flatten(0, 1), y.repeat_interleave(logits.shape[1], dim=0)).mean()

    def _validate(self, training: Training) -> dict[str, float]:
        """The task's scores of the running mean: measured on rank 0, then told to every rank."""
        head, valid = self.task.head, self.data.valid
        nothing = output_of(torch.empty((0, 1, head.size)), head, self.scale)
        scores = valid_scores(self.task, valid.y[:0], nothing)
        if self.context.rank == 0:
            scores = valid_scores(self.task, valid.y, outputs(training.average, valid.x, head, self.scale))
        values = torch.tensor(list(scores.values()), dtype=torch.float64)
        if self.context.world_size > 1:
            values = values.to(self.device)
            distributed.broadcast(values, src=0)
        return dict(zip(scores, values.tolist(), strict=True))


def _follow(average: CnnNetwork, network: CnnNetwork, decay: float) -> None:
    """Move the running mean of weights and of batch statistics towards the network (Polyak averaging)."""
    with torch.no_grad():
        for mean, value in zip(_state(average), _state(network), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)


def _state(network: CnnNetwork) -> Iterator[Tensor]:
    yield from network.parameters()
    yield from network.buffers()


def _copy(network: CnnNetwork) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def _share_buffers(network: CnnNetwork) -> None:
    for buffer in network.buffers():
        distributed.broadcast(buffer, src=0)


def _mean(value: Tensor, context: FitContext) -> float:
    return float(total(value, context)) / context.world_size


def _largest(value: int, context: FitContext) -> int:
    tensor = torch.tensor(value, device=context.device)
    if context.world_size > 1:
        distributed.all_reduce(tensor, distributed.ReduceOp.MAX)
    return int(tensor)


def _finite(loss: float) -> float:
    if not math.isfinite(loss):
        raise ModelError("MODEL_DIVERGED", "the training loss is not finite", "lower the learning rate")
    return loss
