"""What a configuration may set of the training of a network. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from medray.imaging.augment import AugmentSpec
from medray.spec import Spec

BATCH = {"cpu": 8, "cuda": 64}
"""Images that a network is given at once, by the kind of device."""


class TrainingParams(Spec):
    """How a network is trained. An epoch is one pass over the training images."""

    epochs: int = Field(default=60, ge=1, le=10_000)
    batch_size: int = Field(default=32, ge=2, le=4096, description="images of one step, over all workers")
    group_size: int = Field(
        default=8, ge=2, le=1024, description="images of a batch whose statistics are taken together; workers share these groups"
    )
    learning_rate: float = Field(default=4e-3, gt=0, le=1, description="peak of the schedule")
    warmup: float = Field(default=0.15, ge=0, le=0.9, description="share of the steps in which the learning rate rises")
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="AdamW, or SGD with Nesterov's momentum")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of sgd")
    weight_decay: float = Field(default=0.3, ge=0, le=10)
    l1: float = Field(default=0.0, ge=0, le=1, description="penalty on absolute values of the weights")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of products and convolutions while training; answers are always computed in float32"
    )
    clip_norm: float = Field(default=5.0, gt=0, description="largest norm of the gradient")
    average_decay: float = Field(default=0.99, ge=0, lt=1, description="decay of the running mean of the weights; 0: none")
    patience: int = Field(default=0, ge=0, description="epochs without a better monitored figure before the fit stops; 0: never")
    keep: Literal["last", "best"] = Field(
        default="last", description="weights of the last epoch, or of the best monitored figure on validation"
    )
    validate_every: int = Field(default=1, ge=1, description="epochs between validations (and checkpoints)")
    augment: AugmentSpec = AugmentSpec()

    @property
    def watches(self) -> bool:
        """See :class:`medray.models.abilities.Watching`."""
        return self.patience > 0 or self.keep == "best"
