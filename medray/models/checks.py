"""Checks that every model family makes before it trains."""

from __future__ import annotations

import numpy as np

from medray.errors import ModelError
from medray.models.family import Samples


def require_two_classes(samples: Samples) -> None:
    """Raise ModelError MODEL_SINGLE_CLASS unless the labels hold both classes."""
    classes = np.unique(samples.y)
    if len(classes) < 2:
        raise ModelError(
            "MODEL_SINGLE_CLASS",
            f"the {len(samples)} training labels hold {len(classes)} class(es): {classes.tolist()}",
            "training needs both positive and negative samples",
        )
