"""Model family ``cnn``: a convolutional network (MONAI), trained on images of one size.

This file imports no torch; the network, its training and its inference are in ``network``, ``train`` and ``model``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from medray.models.cnn.params import CnnParams
from medray.models.family import FitContext, FitData, InputKind, Parallelism, SearchSpace
from medray.spec import Spec
from medray.tasks.head import HeadKind
from medray.tasks.task import Task

if TYPE_CHECKING:
    from medray.models.cnn.model import CnnModel

_SEARCH_SPACE: SearchSpace = {
    "network": {"choice": ["plain", "resnet10", "resnet18", "densenet-small", "convnext"]},
    "width": {"choice": [8, 16, 24, 32]},
    "learning_rate": {"log": [3e-4, 6e-3]},
    "weight_decay": {"log": [1e-3, 0.5]},
    "label_smoothing": {"uniform": [0.0, 0.2]},
}


class CnnFamily:
    """See :class:`medray.models.family.ModelFamily`."""

    name = "cnn"
    inputs: frozenset[InputKind] = frozenset({"image"})
    heads: frozenset[HeadKind] = frozenset({"classes", "labels", "value"})
    parallelism: Parallelism = "torch"
    params: type[Spec] = CnnParams
    search_space: SearchSpace = _SEARCH_SPACE

    def fit(self, data: FitData, task: Task, params: Any, context: FitContext) -> CnnModel:
        """Train on ``data.train``; raises ModelError when a split lacks a class or a checkpoint is of another fit."""
        from medray.models.cnn.train import fit

        return fit(data, task, CnnParams.model_validate(params), context)

    def start(self, params: Any, shape: tuple[int, ...], task: Task) -> str:
        """See :class:`medray.models.abilities.Starting`."""
        found = CnnParams.model_validate(params)
        if found.start is None:
            return ""
        from medray.models.cnn.train import matched

        return f"{found.start.weights}: {matched(found, shape, task.head.size)}"

    def load(self, folder: Path) -> CnnModel:
        """Read a saved model; raises BundleError when its files are missing or contradict each other."""
        from medray.models.cnn.model import CnnModel

        return CnnModel.load(folder)


CNN = CnnFamily()
