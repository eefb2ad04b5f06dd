"""Training of the ``cnn`` family. Imports torch: import this file lazily."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from medray.imaging.augment import augment
from medray.models.cnn.heads import loss_of, targets
from medray.models.cnn.model import CnnModel, outputs
from medray.models.cnn.network import build_network
from medray.models.cnn.params import CnnParams
from medray.models.deep.batches import as_batch, channels_of
from medray.models.deep.loop import Learner, Tensors, fitted_weights
from medray.models.family import Batch, FitContext, FitData
from medray.tasks.task import Task


def fit(data: FitData, task: Task, params: CnnParams, context: FitContext) -> CnnModel:
    """Train a network; see :meth:`medray.models.cnn.family.CnnFamily.fit`."""
    each, scale = loss_of(task.head, data.train, params, context)
    device, shape = torch.device(context.device), data.train.shape

    def batch(samples: Batch, rng: np.random.Generator) -> Tensors:
        return as_batch(augment(samples.x, params.augment, rng), device), targets(samples.y, device)

    def loss(logits: Tensor, y: Tensor) -> Tensor:
        """Mean over the samples and the members, which are fitted side by side."""
        return each(logits.flatten(0, 1), y.repeat_interleave(logits.shape[1], dim=0)).mean()

    build = partial(build_network, params, channels_of(shape), task.head.size)
    output = partial(outputs, head=task.head, scale=scale)
    weights = fitted_weights(Learner(build, batch, loss, output), data, task, params, context)
    return CnnModel(params, shape, task.head, weights, scale)
