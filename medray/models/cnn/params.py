"""What a configuration may set of a ``cnn``. Imports no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from medray.models.deep.params import TrainingParams
from medray.spec import Spec

Network = Literal[
    "plain",
    "resnet10",
    "resnet18",
    "resnet34",
    "resnet50",
    "densenet-small",
    "densenet121",
    "efficientnet-b0",
    "convnext",
    "vit",
]
_VIT_PATCH = 16


class StartSpec(Spec):
    """Weights that a fit begins with (transfer learning)."""

    weights: str = Field(description="URI of a .safetensors file, or of a state dict of PyTorch; the last layer is learnt anew")
    freeze: int = Field(0, ge=0, le=20, description="how many stages, from the first on, stay as they are")
    thaw: int | None = Field(None, ge=1, description="epochs after which they learn as well; default: never")
    rate: float = Field(1.0, gt=0, le=1, description="share of the learning rate that a stage takes of that of the next one")


class CnnParams(TrainingParams):
    """What is trained, and how."""

    network: Network = "resnet10"
    width: int = Field(
        default=16,
        ge=4,
        le=128,
        description="channels of the first stage, growth rate of a densenet, a quarter of those of a vit",
    )
    members: int = Field(default=5, ge=1, le=16, description="networks that are trained together and averaged")
    start: StartSpec | None = None
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of the features dropped before the last layer")
    standardise: bool = Field(True, description="each image to mean 0 and standard deviation 1 inside the network")
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    class_balance: float = Field(default=0.5, ge=0, le=1, description="0: classes count as often as they occur, 1: all alike")
    focal: float = Field(default=0.0, ge=0, le=10, description="exponent by which what is answered well counts less; 0: none")
    mixup: float = Field(default=0.0, ge=0, le=10, description="images are mixed, by shares from Beta(mixup, mixup); 0: never")
    cutmix: float = Field(
        default=0.0, ge=0, le=10, description="boxes are put from other images, by shares from Beta(cutmix, cutmix); 0: never"
    )

    @model_validator(mode="after")
    def _mixes_in_one_way(self) -> Self:
        if self.mixup and self.cutmix:
            raise ValueError("mixup and cutmix: set one of them")
        return self

    @property
    def side_multiple(self) -> int:
        """See :class:`medray.models.abilities.Sized`."""
        return _VIT_PATCH if self.network == "vit" else 1

    def takes(self, shape: tuple[int, ...]) -> bool:
        """See :class:`medray.models.abilities.Sized`: a vit cuts images into squares, at least four."""
        return self.network != "vit" or all(side % _VIT_PATCH == 0 and side >= 2 * _VIT_PATCH for side in shape[-2:])
