"""Model family ``cnn``: a convolutional network (MONAI), trained from scratch on greyscale images of one size.

This file holds what a configuration needs and imports no torch; the network, its training and its inference are in
``cnn_network``, ``cnn_train`` and ``cnn_model``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from medray.imaging.augment import AugmentSpec
from medray.models.family import FitContext, FitData, InputKind, Parallelism, SearchSpace
from medray.spec import Spec

if TYPE_CHECKING:
    from medray.models.cnn_model import CnnModel

Network = Literal["resnet10", "resnet18", "resnet34", "densenet-small", "densenet121", "efficientnet-b0"]


class CnnParams(Spec):
    """What is trained, and how. An epoch is one pass over the training images."""

    network: Network = "resnet10"
    width: int = Field(default=16, ge=4, le=128, description="channels of the first stage of a resnet, growth rate of a densenet")
    members: int = Field(default=5, ge=1, le=16, description="networks that are trained together and averaged")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of the features dropped before the last layer")
    standardise: bool = Field(True, description="each image to mean 0 and standard deviation 1 inside the network")
    epochs: int = Field(default=60, ge=1, le=10_000)
    batch_size: int = Field(default=32, ge=2, le=4096, description="images of one step, over all workers")
    learning_rate: float = Field(default=4e-3, gt=0, le=1, description="peak of the schedule")
    warmup: float = Field(default=0.15, ge=0, le=0.9, description="share of the steps in which the learning rate rises")
    weight_decay: float = Field(default=0.3, ge=0, le=10)
    clip_norm: float = Field(default=5.0, gt=0, description="largest norm of the gradient")
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    class_balance: float = Field(default=0.5, ge=0, le=1, description="0: classes count as often as they occur, 1: all alike")
    average_decay: float = Field(default=0.99, ge=0, lt=1, description="decay of the running mean of the weights; 0: none")
    patience: int = Field(default=0, ge=0, description="epochs without a better validation AUROC before the fit stops; 0: never")
    keep: Literal["last", "best"] = Field(
        default="last", description="weights of the last epoch, or of the best validation AUROC"
    )
    validate_every: int = Field(default=1, ge=1, description="epochs between validations (and checkpoints)")
    augment: AugmentSpec = AugmentSpec()


_SEARCH_SPACE: SearchSpace = {
    "network": {"choice": ["resnet10", "resnet18", "densenet-small"]},
    "width": {"choice": [8, 16, 24, 32]},
    "learning_rate": {"log": [3e-4, 6e-3]},
    "weight_decay": {"log": [1e-3, 0.5]},
    "label_smoothing": {"uniform": [0.0, 0.2]},
}


class CnnFamily:
    """See :class:`medray.models.family.ModelFamily`."""

    name = "cnn"
    input: InputKind = "image"
    parallelism: Parallelism = "torch"
    params: type[Spec] = CnnParams
    search_space: SearchSpace = _SEARCH_SPACE

    def fit(self, data: FitData, params: Any, context: FitContext) -> CnnModel:
        """Train on ``data.train``; raises ModelError when a split lacks a class or a checkpoint is of another fit."""
        from medray.models.cnn_train import fit

        return fit(data, CnnParams.model_validate(params), context)

    def load(self, folder: Path) -> CnnModel:
        """Read a saved model; raises BundleError when its files are missing or contradict each other."""
        from medray.models.cnn_model import CnnModel

        return CnnModel.load(folder)


CNN = CnnFamily()
