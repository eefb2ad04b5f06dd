"""What a model has to give for a task, and the figure that fits go by: all that families know of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

HeadKind = Literal["classes", "labels", "value", "map", "novelty"]
Output = Mapping[str, NDArray[Any]]
"""What a model answers: named arrays, the first axis counts images. A row does not depend on the others."""

Answer = Mapping[str, Any]
"""What a task says of one image: a plain value for each of :meth:`Task.fields`."""


_ARRAYS: Mapping[HeadKind, str] = {
    "classes": "probability",
    "labels": "probability",
    "value": "value",
    "map": "probability",
    "novelty": "score",
}
_DIMENSIONS: Mapping[HeadKind, int] = {"classes": 2, "labels": 2, "value": 1, "map": 4, "novelty": 1}


@dataclass(frozen=True)
class Head:
    """What a model has to give.

    Attributes:
        kind: ``classes``: ``probability`` float64 (n, size), rows sum to 1, targets int64 (n,);
            ``labels``: ``probability`` float64 (n, size), each on its own, targets float64 (n, size), NaN where unknown;
            ``value``: ``value`` float64 (n,), targets float64 (n,);
            ``map``: ``probability`` float32 (n, size, rows, columns), targets bool (n, size, rows, columns);
            ``novelty``: ``score`` float64 (n,) in [0, 1], higher is more unusual; no targets.
        size: classes, labels or maps; 1 for the others.
    """

    kind: HeadKind
    size: int = 1

    def fits(self, output: Output) -> bool:
        """Whether arrays are of this head, for any number of images."""
        name = _ARRAYS[self.kind]
        if name not in output:
            return False
        shape = output[name].shape
        return len(shape) == _DIMENSIONS[self.kind] and (len(shape) == 1 or shape[1] == self.size)


@dataclass(frozen=True)
class Monitor:
    """The figure that tune, early stopping, the choice of the best model and the registry go by.

    Attributes:
        figure: name of an entry of :meth:`Task.scores`.
        sign: 1 where more is better, -1 where less is.
        loss: name of the entry that early stopping of boosted trees goes by; less is better.
    """

    figure: str
    sign: Literal[1, -1]
    loss: str

    def better(self, value: float, than: float) -> bool:
        """Whether a value is better; every number is better than NaN."""
        if np.isnan(value):
            return False
        return bool(np.isnan(than)) or self.sign * value > self.sign * than
