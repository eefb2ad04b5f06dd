"""Training of the ``unet`` family. Imports torch: import this file lazily."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from monai.losses.dice import DiceCELoss

from medray.errors import ModelError
from medray.imaging.augment import apply, apply_to_masks, draw
from medray.models.checks import in_parts
from medray.models.deep.batches import as_batch, channels_of
from medray.models.deep.loop import Learner, Tensors, fitted_weights
from medray.models.family import Batch, FitContext, FitData, Samples
from medray.models.unet.model import UnetModel, build_network, outputs
from medray.models.unet.params import UnetParams
from medray.tasks.task import Task


def fit(data: FitData, task: Task, params: UnetParams, context: FitContext) -> UnetModel:
    """Train a network; see :meth:`medray.models.unet.family.UnetFamily.fit`."""
    if not _any_marked(data.train):
        raise ModelError("MODEL_NO_MASK", "no pixel of any training image is marked", "training needs some")
    device, shape = torch.device(context.device), data.train.shape
    if not params.takes(shape):
        message = f"images of {shape[-2]} x {shape[-1]} pixels do not fit the {len(params.channels)} levels of the network"
        raise ModelError("MODEL_INPUT_SHAPE", message, f"preprocess to multiples of {params.side_multiple}, or take fewer levels")

    def batch(samples: Batch, rng: np.random.Generator) -> Tensors:
        """Images and masks, moved alike."""
        drawn = draw(params.augment, len(samples.x), rng)
        marked = apply_to_masks(samples.y, drawn)
        return as_batch(apply(samples.x, drawn), device), torch.from_numpy(marked).to(device, torch.float32)

    build = partial(build_network, params, channels_of(shape), task.head.size)
    learner = Learner(build, batch, _loss(params), outputs)
    weights = fitted_weights(learner, data, task, params, context)
    return UnetModel(params, shape, task.head, weights)


def _any_marked(samples: Samples) -> bool:
    return any(batch.y.any() for batch in in_parts(samples, 64))


def _loss(params: UnetParams) -> torch.nn.Module:
    """Dice loss over the pixels of a group (Milletari et al. 2016), with the binary cross entropy of its pixels."""
    return DiceCELoss(sigmoid=True, batch=True, lambda_dice=params.dice_weight, lambda_ce=1 - params.dice_weight)
