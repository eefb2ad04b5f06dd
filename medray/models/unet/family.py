"""Model family ``unet``: a U-Net (Ronneberger et al. 2015, MICCAI; residual units as MONAI has them) that marks pixels.

This file imports no torch; the network with its files and its training are in ``model`` and ``train``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from medray.models.family import FitContext, FitData, InputKind, Parallelism, SearchSpace
from medray.models.unet.params import UnetParams
from medray.spec import Spec
from medray.tasks.head import HeadKind
from medray.tasks.task import Task

if TYPE_CHECKING:
    from medray.models.unet.model import UnetModel

_SEARCH_SPACE: SearchSpace = {
    "channels": {"choice": [[8, 16, 32, 64], [16, 32, 64, 128], [24, 48, 96, 192]]},
    "residual_units": {"choice": [0, 1, 2]},
    "learning_rate": {"log": [5e-4, 1e-2]},
    "weight_decay": {"log": [1e-4, 0.1]},
    "dice_weight": {"uniform": [0.2, 0.8]},
}


class UnetFamily:
    """See :class:`medray.models.family.ModelFamily`."""

    name = "unet"
    inputs: frozenset[InputKind] = frozenset({"image"})
    heads: frozenset[HeadKind] = frozenset({"map"})
    parallelism: Parallelism = "torch"
    params: type[Spec] = UnetParams
    search_space: SearchSpace = _SEARCH_SPACE

    def fit(self, data: FitData, task: Task, params: Any, context: FitContext) -> UnetModel:
        """Train on ``data.train``; raises ModelError.

        MODEL_NO_MASK when nothing is marked, MODEL_INPUT_SHAPE when the sides of images misfit the levels, and what
        :func:`medray.models.deep.loop.fitted_weights` raises.
        """
        from medray.models.unet.train import fit

        return fit(data, task, UnetParams.model_validate(params), context)

    def load(self, folder: Path) -> UnetModel:
        """Read a saved model; raises BundleError when its files are missing or contradict each other."""
        from medray.models.unet.model import UnetModel

        return UnetModel.load(folder)


UNET = UnetFamily()
