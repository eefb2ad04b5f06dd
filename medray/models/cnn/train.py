"""Training of the ``cnn`` family. Imports torch: import this file lazily."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from medray.imaging.augment import augment
from medray.models.cnn.heads import loss_of, targets
from medray.models.cnn.mixing import Mixed, mixed, partners, targets_of
from medray.models.cnn.model import CnnModel, outputs
from medray.models.cnn.network import CnnNetwork, build_network
from medray.models.cnn.params import CnnParams
from medray.models.cnn.start import put_weights, read_weights
from medray.models.deep.batches import as_batch, channels_of
from medray.models.deep.loop import Learner, fitted_weights
from medray.models.family import Batch, FitContext, FitData
from medray.tasks.task import Task


def fit(data: FitData, task: Task, params: CnnParams, context: FitContext) -> CnnModel:
    """Train a network; see :meth:`medray.models.cnn.family.CnnFamily.fit`."""
    each, scale = loss_of(task.head, data.train, params, context)
    device, shape = torch.device(context.device), data.train.shape

    def batch(samples: Batch, rng: np.random.Generator) -> tuple[Tensor, Tensor | Mixed]:
        x = augment(samples.x, params.augment, rng)
        order, share = partners(params, len(x), rng)
        x, share = mixed(x, order, share, params, rng)
        return as_batch(x, device), targets_of(targets(samples.y, device), order, share)

    def loss(logits: Tensor, y: Tensor | Mixed) -> Tensor:
        """Mean over the samples and the members, which are fitted side by side."""
        if isinstance(y, Mixed):
            return y.loss(loss(logits, y.first), loss(logits, y.second))
        return each(logits.flatten(0, 1), y.repeat_interleave(logits.shape[1], dim=0)).mean()

    learner = Learner(
        build=partial(started, params, channels_of(shape), task.head.size),
        batch=batch,
        loss=loss,
        output=partial(outputs, head=task.head, scale=scale),
        before_epoch=partial(_thaw, params),
        rates=partial(_rates, params),
    )
    return CnnModel(params, shape, task.head, fitted_weights(learner, data, task, params, context), scale)


def started(params: CnnParams, channels: int, outputs: int) -> CnnNetwork:
    """A network as a fit begins: with fresh weights, or those that the parameters name.

    Raises:
        BundleError: WEIGHTS_FORMAT, WEIGHTS_MISFIT; StoreError.
    """
    network = build_network(params, channels, outputs)
    if params.start:
        put_weights(network, read_weights(params.start.weights))
    return network


def _thaw(params: CnnParams, network: nn.Module, epoch: int) -> None:
    """Let the stages learn that are not frozen, or not any more."""
    if not params.start or not params.start.freeze:
        return
    assert isinstance(network, CnnNetwork)
    thawed = params.start.thaw is not None and epoch >= params.start.thaw
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(thawed or network.stage_of(name) >= params.start.freeze)


def _rates(params: CnnParams, network: nn.Module) -> dict[str, float]:
    """The share of the learning rate of each parameter: the last layer has all of it, each stage before less."""
    if not params.start or params.start.rate == 1:
        return {}
    assert isinstance(network, CnnNetwork)
    last = len(network.stages)
    return {name: params.start.rate ** (last - network.stage_of(name)) for name, _ in network.named_parameters()}


def matched(params: CnnParams, shape: tuple[int, ...], outputs: int) -> str:
    """What a fit takes of the weights that it is to begin with, in words.

    Raises:
        BundleError: as :func:`started`.
    """
    assert params.start is not None
    with torch.random.fork_rng(devices=[]):
        network = build_network(params, channels_of(shape), outputs)
    return put_weights(network, read_weights(params.start.weights)).text
