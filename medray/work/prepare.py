"""The job of training: images → samples that a model learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from medray.bundles.input_spec import InputSpec
from medray.data.segmentation import ALL, MaskChoice
from medray.errors import each
from medray.types import Image
from medray.work.job import Done, Result, Work
from medray.work.record import Record


@dataclass(frozen=True)
class PrepareJob:
    """Image → a sample: the features, or the preprocessed pixels, in the stored type.

    Attributes:
        input: how.
        masked: whether the mask of the preprocessed pixels is kept as well.
        choice: what of the masks counts.
    """

    input: InputSpec
    masked: bool = False
    choice: MaskChoice = ALL
    gpu: ClassVar[bool] = False
    volumes: ClassVar[None] = None
    pseudonyms: ClassVar[None] = None
    batch: ClassVar[int] = 1
    block_rows: ClassVar[int] = 1

    @property
    def colour(self) -> bool:
        """As the input says."""
        return self.input.colour

    @property
    def record(self) -> Record:
        """How a sample lies in bytes."""
        assert self.input.shape is not None, "models take images of one size"
        return Record(self.input.stored, self.input.shape, self.masked)

    def fields(self) -> list[pa.Field]:
        """``sample``, which goes into a file beside the shard (see :mod:`medray.work.chunk_file`)."""
        return [pa.field("sample", pa.binary(self.record.size))]

    def open(self) -> Work:
        """Nothing to load."""
        return self

    def results(self, images: Sequence[Image]) -> Sequence[Result]:
        """The sample of each image in bytes."""
        return each(self._one, images)

    def _one(self, image: Image) -> Done:
        prepared = self.input.prepared(image)
        return Done(self.record.packed(self.input.kept(prepared), prepared.mask), image.header.flags)

    def columns(self, values: Sequence[Any]) -> Sequence[pa.Array]:
        """The samples, null where there is none."""
        return [pa.array(values, pa.binary(self.record.size))]
