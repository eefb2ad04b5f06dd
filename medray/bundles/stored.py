"""The numbers of a prepared image as training keeps them, and what a model is given of them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from medray.errors import Excluded
from medray.types import Float32

Stored = Literal["uint8", "uint16", "float16", "float32"]

_SLACK = 1e-5
"""By which float32 arithmetic may leave [0, 1]."""


def stored(values: Float32, dtype: Stored) -> NDArray[Any]:
    """Values in a stored type: levels between 0 and 1 for whole numbers, rounded to the nearest, of ties to the even one.

    Args:
        values: float32 of any shape.

    Raises:
        Excluded: VALUES_RANGE where the type does not hold them: beyond [0, 1] for ``uint8`` and ``uint16``, 65504 for
            ``float16``; or no numbers.
    """
    kind = np.dtype(dtype)
    if kind == values.dtype:
        return values
    low, high = (-_SLACK, 1 + _SLACK) if kind.kind == "u" else (-float(np.finfo(kind).max), float(np.finfo(kind).max))
    least, most = float(values.min(initial=high)), float(values.max(initial=low))
    if not low <= least <= most <= high:
        raise Excluded("VALUES_RANGE", f"prepared values from {least:.6g} to {most:.6g} do not fit {dtype}")
    if kind.kind == "u":
        return np.rint(values.clip(0, 1) * np.float32(np.iinfo(kind).max)).astype(kind)
    return values.astype(kind)


def numbers(values: NDArray[Any]) -> Float32:
    """What a model is given of stored values: float32 of the same shape."""
    found = values.astype(np.float32, copy=False)
    return found / np.float32(np.iinfo(values.dtype).max) if values.dtype.kind == "u" else found
