"""The job of training: images → what a model takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from medray.bundles.input_spec import InputSpec
from medray.data.segmentation import ALL, MaskChoice
from medray.types import Image
from medray.work.job import Done, Result, Work, each


@dataclass(frozen=True)
class PrepareJob:
    """Image → what a model takes: the features, or the preprocessed pixels row by row, as ``values``."""

    input: InputSpec
    gpu: ClassVar[bool] = False
    volumes: ClassVar[None] = None
    choice: ClassVar[MaskChoice] = ALL
    batch: ClassVar[int] = 1

    def fields(self) -> list[pa.Field]:
        """Column ``values``."""
        return [pa.field("values", pa.list_(pa.float32()))]

    def open(self) -> Work:
        """Nothing to load."""
        return self

    def results(self, images: Sequence[Image]) -> list[Result]:
        """The values of each image, float32 (n,)."""
        return each(lambda image: Done(self.input.apply(image).ravel(), image.header.flags), images)

    def columns(self, values: Sequence[Any]) -> Sequence[pa.Array]:
        """Lists without a Python object for each number."""
        ends = np.cumsum([0 if value is None else len(value) for value in values], dtype=np.int64)
        offsets = pa.array([0, *ends], pa.int32())
        flat = np.concatenate([np.empty(0, np.float32), *(value for value in values if value is not None)])
        missing = pa.array([value is None for value in values], pa.bool_())
        return [pa.ListArray.from_arrays(offsets, pa.array(flat, pa.float32()), mask=missing)]
