"""Small volumes and their features by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from medray.features.family import Reason
from medray.features.ibsi.family import IBSI
from medray.features.ibsi.params import IbsiParams
from medray.types import Header, Image

SPACING = (3.0, 1.5, 0.5)
LEVELS = IbsiParams(discretisation="none")


def volume(values: Any, mask: Any = None, spacing: tuple[float, float, float] | None = SPACING, valid: Any = None) -> Image:
    return Image(
        np.ascontiguousarray(values, dtype=np.float32),
        None if valid is None else np.asarray(valid, dtype=bool),
        Header(spacing_mm=None if spacing is None else spacing[1:]),
        mask=None if mask is None else np.asarray(mask, dtype=bool),
        slice_spacing_mm=None if spacing is None else spacing[0],
    )


def random_levels(*shape: int, count: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, count + 1, shape)


def measured(image: Image, params: IbsiParams = LEVELS, **changes: Any) -> dict[str, float]:
    """Column without ``ibsi_`` → value, NaN where it is undefined."""
    params = IbsiParams.model_validate(params.model_dump() | changes)
    found = IBSI.extract(image, params)
    assert set(found.reasons) == set(np.flatnonzero(~np.isfinite(found.values)).tolist())
    assert not np.isinf(found.values).any()
    return dict(zip(names(params), found.values.tolist(), strict=True))


def names(params: IbsiParams = LEVELS) -> list[str]:
    return [feature.name.removeprefix("ibsi_") for feature in IBSI.features(params)]


def reasons(image: Image, params: IbsiParams = LEVELS, **changes: Any) -> dict[str, Reason]:
    """Column without ``ibsi_`` → why it is undefined."""
    params = IbsiParams.model_validate(params.model_dump() | changes)
    return {names(params)[place]: reason for place, reason in IBSI.extract(image, params).reasons.items()}
