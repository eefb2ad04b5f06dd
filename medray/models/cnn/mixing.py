"""Images made of two others, whose targets count by their shares. Imports torch: import this file lazily.

mixup (Zhang et al., ICLR 2018) adds them; cutmix (Yun et al., ICCV 2019) puts a box of one into the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from medray.models.cnn.params import CnnParams
from medray.types import Float32, Int64


@dataclass(frozen=True)
class Mixed:
    """Targets of a group of images, each made of two.

    Attributes:
        first, second: the targets of both, first axis n.
        share: of the first, one number for the group.
    """

    first: Tensor
    second: Tensor
    share: float

    def loss(self, each: Tensor, other: Tensor) -> Tensor:
        """The loss of what was asked of both."""
        return self.share * each + (1 - self.share) * other


def partners(params: CnnParams, count: int, rng: np.random.Generator) -> tuple[Int64, float]:
    """Whom each of so many images is mixed with, int64 (n,), and the share that it keeps; 1 where nothing is mixed."""
    alpha = params.mixup or params.cutmix
    if not alpha:
        return np.arange(count), 1.0
    return rng.permutation(count), float(rng.beta(alpha, alpha))


def mixed(x: Float32, order: Int64, share: float, params: CnnParams, rng: np.random.Generator) -> tuple[Float32, float]:
    """The mixed images, float32 of the shape of ``x``, and the share that the first of two has in each."""
    if share == 1:
        return x, share
    if params.mixup:
        return (share * x + (1 - share) * x[order]).astype(np.float32), share
    rows, columns = x.shape[-2:]
    sides = [round(size * np.sqrt(1 - share)) for size in (rows, columns)]
    top, left = (int(rng.integers(size - side + 1)) for size, side in zip((rows, columns), sides, strict=True))
    box = (..., slice(top, top + sides[0]), slice(left, left + sides[1]))
    found = x.copy()
    found[box] = x[order][box]
    return found, 1 - sides[0] * sides[1] / (rows * columns)


def targets_of(y: Tensor, order: Int64, share: float) -> Tensor | Mixed:
    """Targets as a loss takes them."""
    return y if share == 1 else Mixed(y, y[torch.from_numpy(order).to(y.device)], share)
