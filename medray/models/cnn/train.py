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
from torch.nn import functional

from medray.errors import ModelError
from medray.imaging.augment import augment
from medray.models.checks import require_both, valid_scores
from medray.models.cnn.checkpoint import Training, load_training, save_training
from medray.models.cnn.model import CnnModel, probabilities
from medray.models.cnn.network import CnnNetwork, as_batch, build_network, torch_threads
from medray.models.cnn.params import CnnParams
from medray.models.family import FitContext, FitData, Samples
from medray.spec import fingerprint
from medray.types import Int64


def fit(data: FitData, params: CnnParams, context: FitContext) -> CnnModel:
    """Train a network; see :meth:`medray.models.cnn.family.CnnFamily.fit`."""
    if (params.patience or params.keep == "best") and len(np.unique(data.valid.y)) < 2:
        raise ModelError("MODEL_SINGLE_CLASS", "the validation labels do not hold both classes", "they choose the epoch")
    if _largest(-len(data.train), context) == 0:
        raise ModelError("MODEL_EMPTY_SHARD", "a worker has no training image", "use fewer workers")
    counts = _class_counts(data.train, context)
    with torch_threads(context.threads), torch.random.fork_rng():
        torch.manual_seed(context.seed)
        training, wrapped = _start(params, context)
        loop = _Loop(data, params, context, counts)
        while training.epoch < params.epochs and not _out_of_patience(training, params):
            loop.epoch(training, wrapped)
        weights = training.best if params.keep == "best" else training.average.state_dict()
        return CnnModel(params, (data.train.x.shape[1], data.train.x.shape[2]), weights)


def learning_rate(params: CnnParams, progress: float) -> float:
    """Rate at ``progress`` in [0, 1] of the fit: a linear rise, then half a cosine down to zero (one cycle)."""
    if progress < params.warmup:
        return params.learning_rate * progress / params.warmup
    fall = (progress - params.warmup) / (1 - params.warmup)
    return params.learning_rate * (1 + math.cos(math.pi * fall)) / 2


def _start(params: CnnParams, context: FitContext) -> tuple[Training, Any]:
    network = build_network(params)
    average = copy.deepcopy(network).to(context.device)
    wrapped = context.wrap(network)
    training = Training(network, average, _optimizer(network, params))
    folder = context.checkpoint()
    if folder is not None:
        load_training(folder, training, _identity(params, context))
    return training, wrapped


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

    def __init__(self, data: FitData, params: CnnParams, context: FitContext, counts: Int64) -> None:
        self.data, self.params, self.context = data, params, context
        self.device = torch.device(context.device)
        self.batch = max(2, params.batch_size // context.world_size)
        self.steps = _largest(math.ceil(len(data.train) / self.batch), context)
        frequency = counts / counts.sum()
        balance = (0.5 / frequency) ** params.class_balance
        self.class_weights = torch.from_numpy(balance / (balance @ frequency)).to(self.device, torch.float32)

    def epoch(self, training: Training, wrapped: Any) -> None:
        """One pass over the shard (a short one is cycled: ranks take equal steps), then validation and report."""
        loss = self._train(training, wrapped)
        training.epoch += 1
        if training.epoch % self.params.validate_every and training.epoch < self.params.epochs:
            return
        metrics = {"train_loss": loss} | self._validate(training)
        if metrics["valid_auroc"] > training.best_auroc:
            training.best_epoch, training.best_auroc = training.epoch, metrics["valid_auroc"]
            training.best = _copy(training.average) if self.params.keep == "best" else {}
        identity = _identity(self.params, self.context)
        self.context.report(training.epoch, metrics, lambda folder: save_training(folder, training, identity))

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
        labels = torch.from_numpy(self.data.train.y[chosen]).to(self.device)
        loss = self._loss(wrapped(as_batch(images, self.device)), labels)
        training.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(training.network.parameters(), self.params.clip_norm)
        for group in training.optimizer.param_groups:
            group["lr"] = learning_rate(self.params, (done + 1) / (self.params.epochs * self.steps + 1))
        training.optimizer.step()
        _follow(training.average, training.network, min(self.params.average_decay, (done + 1) / (done + 10)))
        return loss.detach()

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        members = logits.shape[1]
        losses = functional.cross_entropy(
            logits.flatten(0, 1),
            labels.repeat_interleave(members),
            reduction="none",
            label_smoothing=self.params.label_smoothing,
        )
        weights = self.class_weights[labels].repeat_interleave(members)
        return (losses * weights).mean()

    def _validate(self, training: Training) -> dict[str, float]:
        """Loss (natural logarithm) and AUROC of the running mean: measured on rank 0, then told to every rank."""
        metrics = torch.zeros(2, dtype=torch.float64)
        if self.context.rank == 0:
            probability = probabilities(training.average, self.data.valid.x)[:, 1]
            scores = valid_scores(probability, self.data.valid.y)
            metrics = torch.tensor([scores["valid_logloss"], scores["valid_auroc"]], dtype=torch.float64)
        if self.context.world_size > 1:
            metrics = metrics.to(self.device)
            distributed.broadcast(metrics, src=0)
        return {"valid_loss": float(metrics[0]), "valid_auroc": float(metrics[1])}


def _class_counts(train: Samples, context: FitContext) -> Int64:
    """Images of each class over the shards of all ranks, int64 (2,); raises ModelError when a class is missing."""
    counts = _sum(torch.from_numpy(np.bincount(train.y, minlength=2)), context).cpu().numpy()
    require_both(counts)
    return np.asarray(counts, dtype=np.int64)


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


def _sum(tensor: Tensor, context: FitContext) -> Tensor:
    tensor = tensor.to(context.device)
    if context.world_size > 1:
        distributed.all_reduce(tensor)
    return tensor


def _mean(value: Tensor, context: FitContext) -> float:
    return float(_sum(value, context)) / context.world_size


def _largest(value: int, context: FitContext) -> int:
    tensor = torch.tensor(value, device=context.device)
    if context.world_size > 1:
        distributed.all_reduce(tensor, distributed.ReduceOp.MAX)
    return int(tensor)


def _finite(loss: float) -> float:
    if not math.isfinite(loss):
        raise ModelError("MODEL_DIVERGED", "the training loss is not finite", "lower the learning rate")
    return loss
