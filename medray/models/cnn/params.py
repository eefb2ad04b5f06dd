"""What a configuration may set of a ``cnn``. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from medray.models.deep.params import TrainingParams

Network = Literal["resnet10", "resnet18", "resnet34", "densenet-small", "densenet121", "efficientnet-b0"]


class CnnParams(TrainingParams):
    """What is trained, and how."""

    network: Network = "resnet10"
    width: int = Field(default=16, ge=4, le=128, description="channels of the first stage of a resnet, growth rate of a densenet")
    members: int = Field(default=5, ge=1, le=16, description="networks that are trained together and averaged")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of the features dropped before the last layer")
    standardise: bool = Field(True, description="each image to mean 0 and standard deviation 1 inside the network")
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    class_balance: float = Field(default=0.5, ge=0, le=1, description="0: classes count as often as they occur, 1: all alike")
