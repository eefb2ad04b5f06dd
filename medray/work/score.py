"""The job of predict, evaluate and screen: images → answers of bundles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from medray.bundles.bundle import Bundle, open_bundle
from medray.data.segmentation import ALL, MaskChoice
from medray.types import Image
from medray.work.job import Done, Result, Work, each


@dataclass(frozen=True)
class ScoreJob:
    """Image → the probability of each bundle, in a column of its own.

    Attributes:
        bundles: column → URI of a bundle.
    """

    bundles: Mapping[str, str]
    gpu: ClassVar[bool] = False
    volumes: ClassVar[None] = None
    choice: ClassVar[MaskChoice] = ALL

    def fields(self) -> list[pa.Field]:
        """A column for each bundle."""
        return [pa.field(column, pa.float64()) for column in self.bundles]

    def open(self) -> Work:
        """Open the bundles."""
        return _Scoring({column: open_bundle(uri) for column, uri in self.bundles.items()})


@dataclass(frozen=True)
class _Scoring:
    bundles: Mapping[str, Bundle]
    batch: ClassVar[int] = 1

    def results(self, images: Sequence[Image]) -> list[Result]:
        return each(self._one, images)

    def _one(self, image: Image) -> Done:
        return Done({column: bundle.probability(image) for column, bundle in self.bundles.items()}, image.header.flags)

    def columns(self, values: Sequence[Any]) -> Sequence[pa.Array]:
        return [pa.array([value and value[column] for value in values], pa.float64()) for column in self.bundles]
