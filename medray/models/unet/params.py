"""What a configuration may set of a ``unet``. Imports no torch."""

from __future__ import annotations

from pydantic import Field

from medray.imaging.augment import AugmentSpec
from medray.models.deep.params import TrainingParams

NO_ERASING = AugmentSpec(erase=0.0)
"""What is erased from an image cannot be outlined."""


class UnetParams(TrainingParams):
    """What is trained, and how."""

    channels: tuple[int, ...] = Field(
        (16, 32, 64, 128), min_length=2, max_length=7, description="of each level; each halves the sides of the one before"
    )
    residual_units: int = Field(default=1, ge=0, le=4, description="residual units of each level; 0: plain convolutions")
    standardise: bool = Field(True, description="each image to mean 0 and standard deviation 1 inside the network")
    dice_weight: float = Field(default=0.5, ge=0, le=1, description="share of the Dice loss, beside the cross entropy")
    epochs: int = Field(default=40, ge=1, le=10_000)
    batch_size: int = Field(default=16, ge=2, le=4096, description="images of one step, over all workers")
    weight_decay: float = Field(default=0.01, ge=0, le=10)
    average_decay: float = Field(default=0.98, ge=0, lt=1, description="decay of the running mean of the weights; 0: none")
    augment: AugmentSpec = NO_ERASING

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether images of this shape (…, rows, columns) can be halved as often as there are levels; 2 pixels remain."""
        return all(side % self.side_multiple == 0 and side > self.side_multiple for side in shape[-2:])

    @property
    def side_multiple(self) -> int:
        """What the sides of images must be multiples of."""
        return 1 << (len(self.channels) - 1)
