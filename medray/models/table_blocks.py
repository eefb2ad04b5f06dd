"""Tables that memory does not hold, as XGBoost reads them: block after block, quantised into pages on disk.

Imports xgboost: import this file lazily.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from xgboost import DataIter, ExtMemQuantileDMatrix

from medray.models.checks import TABLE_ROWS, in_parts
from medray.models.family import Batch, Samples
from medray.types import Float64


class _Blocks(DataIter):
    """The samples in order; the blocks are those of the table, whatever the files that it lies in."""

    def __init__(self, samples: Samples, weights: Float64 | None, fitted: bool, folder: Path) -> None:
        super().__init__(cache_prefix=str(folder / "page"), release_data=True)
        self._samples, self._weights, self._fitted = samples, weights, fitted
        self._at = 0
        self._read: Iterator[Batch] = iter(())

    def reset(self) -> None:
        """Begin with the first block."""
        self._at, self._read = 0, in_parts(self._samples, TABLE_ROWS)

    def next(self, input_data: Callable[..., Any]) -> bool:
        """Hand the next block over; False after the last one."""
        block = next(self._read, None)
        if block is None:
            return False
        rows = slice(self._at, self._at + len(block.x))
        self._at = rows.stop
        weight = None if self._weights is None else self._weights[rows]
        label = block.y if self._fitted else None
        input_data(data=block.x, label=label, weight=weight, feature_names=list(self._samples.columns) or None)
        return True


def paged(
    samples: Samples, weights: Float64 | None, threads: int, folder: Path, ref: ExtMemQuantileDMatrix | None = None
) -> ExtMemQuantileDMatrix:
    """Samples in external memory.

    Args:
        weights: float64 (n,), or None.
        folder: an empty folder for the pages, which lives as long as the matrix.
        ref: the training samples, by whose quantiles others are cut; these have no targets then.
    """
    folder.mkdir()
    return ExtMemQuantileDMatrix(_Blocks(samples, weights, ref is None, folder), nthread=threads, ref=ref)
