"""Columns of tables as arrays, what label texts mean, and the loss that tasks of classes share."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medray.types import Bool, Float64, Int64


def integers(column: pa.ChunkedArray | pa.Array) -> Int64:
    """int64 (n,) of a column without nulls."""
    return np.asarray(
        column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy(), dtype=np.int64
    )


def floats(column: pa.ChunkedArray | pa.Array) -> Float64:
    """float64 (n,); NaN for null."""
    return np.asarray(pc.fill_null(pc.cast(column, pa.float64()), np.nan).to_numpy(), dtype=np.float64)


def texts(column: pa.ChunkedArray) -> list[str]:
    """The values of a column of text."""
    found: list[str] = column.to_pylist()
    return found


def is_same_text(column: pa.ChunkedArray, value: str) -> pa.ChunkedArray:
    """Where a column has this value, upper or lower case and blanks around it aside."""
    return pc.equal(pc.utf8_lower(pc.utf8_trim_whitespace(column)), value.strip().lower())


def is_number(column: pa.ChunkedArray) -> Bool:
    """Where the float64 values of a column are finite, bool (n,)."""
    return np.asarray(np.isfinite(floats(column)), dtype=np.bool_)


def log_loss(truth: Int64, probability: Float64) -> float:
    """Mean negative logarithm of the probability of the true class; NaN without cases.

    Args:
        truth: int64 (n,) class numbers.
        probability: float64 (n, classes).
    """
    if not len(truth):
        return float("nan")
    return float(-np.log(np.clip(probability[np.arange(len(truth)), truth], 1e-15, 1)).mean())
