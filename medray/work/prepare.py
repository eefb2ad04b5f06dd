"""The job of training: images → what a model takes, and the masks that it learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from medray.bundles.input_spec import InputSpec
from medray.data.segmentation import ALL, MaskChoice
from medray.errors import each
from medray.types import Image
from medray.work.job import Done, Result, Work


@dataclass(frozen=True)
class PrepareJob:
    """Image → what a model takes: the features, or the preprocessed pixels row by row, as ``values``.

    Attributes:
        input: how.
        masked: whether ``target_mask`` is kept as well: of each preprocessed pixel whether it is marked, packed into bits.
        choice: what of the masks counts.
    """

    input: InputSpec
    masked: bool = False
    choice: MaskChoice = ALL
    gpu: ClassVar[bool] = False
    volumes: ClassVar[None] = None
    batch: ClassVar[int] = 1
    block_rows: ClassVar[int] = 1

    @property
    def colour(self) -> bool:
        """As the input says."""
        return self.input.colour

    def fields(self) -> list[pa.Field]:
        """Column ``values``, and ``target_mask`` where masked."""
        values = pa.field("values", pa.list_(pa.float32()))
        return [values, pa.field("target_mask", pa.binary())] if self.masked else [values]

    def open(self) -> Work:
        """Nothing to load."""
        return self

    def results(self, images: Sequence[Image]) -> Sequence[Result]:
        """The values of each image, float32 (n,), and its mask in bits."""
        return each(self._one, images)

    def _one(self, image: Image) -> Done:
        prepared = self.input.prepared(image)
        mask = np.zeros(prepared.shape, np.bool_) if prepared.mask is None else prepared.mask
        bits = np.packbits(mask).tobytes() if self.masked else b""
        return Done((self.input.values(prepared).ravel(), bits), image.header.flags)

    def columns(self, values: Sequence[Any]) -> Sequence[pa.Array]:
        """Lists without a Python object for each number."""
        ends = np.cumsum([0 if value is None else len(value[0]) for value in values], dtype=np.int64)
        offsets = pa.array([0, *ends], pa.int32())
        flat = np.concatenate([np.empty(0, np.float32), *(value[0] for value in values if value is not None)])
        missing = pa.array([value is None for value in values], pa.bool_())
        lists = pa.ListArray.from_arrays(offsets, pa.array(flat, pa.float32()), mask=missing)
        return [lists, pa.array([value and value[1] for value in values], pa.binary())] if self.masked else [lists]
