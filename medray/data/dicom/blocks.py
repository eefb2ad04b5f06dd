"""Array functions over an image by blocks of rows: temporaries stay in the processor's cache, however large the image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_VALUES = 1 << 17


def by_blocks(function: Callable[[NDArray[Any]], NDArray[Any]], values: NDArray[Any]) -> NDArray[Any]:
    """``function(values)`` for a function that works row by row.

    Args:
        function: (rows, …) → (rows, …) of one type and of one shape but for the rows.
        values: (rows, …), at least one row.
    """
    step = max(1, BLOCK_VALUES // values[0].size)
    first = function(values[:step])
    if len(values) <= step:
        return first
    out: NDArray[Any] = np.empty((len(values), *first.shape[1:]), first.dtype)
    out[:step] = first
    for start in range(step, len(values), step):
        out[start : start + step] = function(values[start : start + step])
    return out
