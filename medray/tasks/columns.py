"""Columns of tables as arrays, and what tasks of classes and labels share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from statistics import fmean

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


def plain(text: str) -> str:
    """A text as it is compared: in lower case, without blanks around it."""
    return text.strip().lower()


def column_name(prefix: str, name: str) -> str:
    """``prefix_name`` with ``_`` for what is neither letter nor digit: a column of a class or label."""
    safe = re.sub(r"\W+", "_", name).strip("_")
    return f"{prefix}_{safe}"


def check_names(names: Sequence[str]) -> None:
    """Raise ValueError unless names of classes or labels are told apart, as label texts and as columns."""
    for name in names:
        if not re.search(r"[^\W_]", name):
            raise ValueError(f"{name!r} has neither letter nor digit")
    columns = Counter(plain(column_name("", name)) for name in names)
    if twice := [name for name in names if columns[plain(column_name("", name))] > 1]:
        raise ValueError(f"{', '.join(map(repr, twice))} cannot be told apart: letters and digits make the names of columns")


def matrix(rows: pa.Table, names: Sequence[str]) -> Float64:
    """float64 (n, columns); NaN for null."""
    return np.stack([floats(rows[name]) for name in names], axis=1)


def mean_of(values: Sequence[float | None]) -> float:
    """The mean of those that are defined; NaN where none is."""
    defined = [value for value in values if value is not None]
    return fmean(defined) if defined else float("nan")


def is_number(column: pa.ChunkedArray) -> Bool:
    """Where the float64 values of a column are finite, also as the float32 that models take, bool (n,)."""
    return np.asarray(np.abs(floats(column)) <= np.finfo(np.float32).max, dtype=np.bool_)


def log_loss(truth: Int64, probability: Float64) -> float:
    """Mean negative logarithm of the probability of the true class; NaN without cases.

    Args:
        truth: int64 (n,) class numbers.
        probability: float64 (n, classes).
    """
    if not len(truth):
        return float("nan")
    return float(-np.log(np.clip(probability[np.arange(len(truth)), truth], 1e-15, 1)).mean())
