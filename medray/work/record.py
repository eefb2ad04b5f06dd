"""A prepared sample as bytes, all of a kind equally long: its numbers as they are stored, then its mask in bits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medray.bundles.stored import numbers
from medray.types import Bool, Float32, UInt8


@dataclass(frozen=True)
class Record:
    """How the samples of one input lie in bytes.

    Attributes:
        dtype: name of the stored type, little-endian.
        shape: of the numbers of one sample.
        masked: whether the mask of each pixel, (rows, columns), follows.
    """

    dtype: str
    shape: tuple[int, ...]
    masked: bool = False

    @property
    def size(self) -> int:
        """Bytes of a sample."""
        return self._numbers + (math.ceil(math.prod(self.shape[-2:]) / 8) if self.masked else 0)

    @property
    def _numbers(self) -> int:
        return self._kind.itemsize * math.prod(self.shape)

    @property
    def _kind(self) -> np.dtype[Any]:
        return np.dtype(self.dtype).newbyteorder("<")

    def packed(self, values: NDArray[Any], mask: Bool | None = None) -> bytes:
        """A sample as bytes.

        Args:
            values: of the stored type and shape.
            mask: bool (rows, columns); None where nothing is marked, or nobody asks.
        """
        data = np.ascontiguousarray(values.reshape(self.shape), self._kind).tobytes()
        if not self.masked:
            return data
        marked = np.zeros(self.shape[-2:], np.bool_) if mask is None else mask
        return data + np.packbits(marked).tobytes()

    def numbers(self, rows: UInt8) -> Float32:
        """What models are given, float32 (n, …), of samples, uint8 (n, size)."""
        data = np.ascontiguousarray(rows[:, : self._numbers])
        return np.ascontiguousarray(numbers(data.view(self._kind)).reshape(len(rows), *self.shape))

    def masks(self, rows: UInt8) -> Bool:
        """The masks of samples, bool (n, 1, rows, columns)."""
        count = math.prod(self.shape[-2:])
        bits = np.unpackbits(rows[:, self._numbers :], axis=1, count=count)
        return bits.view(np.bool_).reshape(len(rows), 1, *self.shape[-2:])
