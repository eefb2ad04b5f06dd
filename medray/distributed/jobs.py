"""What an actor does with each decoded image. A job travels to the actors as plain values and opens there what it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from medray.bundle import InputSpec, open_bundle
from medray.types import Image

Work = Callable[[Image], dict[str, Any]]


class ImageJob(Protocol):
    """A job adds columns to the outcome row of each image."""

    def fields(self) -> list[pa.Field]:
        """The columns that the job adds; null where the image was not scored."""
        ...

    def open(self) -> Work:
        """Load what the job needs, once per actor; the result computes the columns of one image (or raises InputError)."""
        ...


@dataclass(frozen=True)
class PrepareJob:
    """Image → what a model takes: the features, or the preprocessed pixels row by row, as ``values``."""

    input: InputSpec

    def fields(self) -> list[pa.Field]:
        """Column ``values``."""
        return [pa.field("values", pa.list_(pa.float32()))]

    def open(self) -> Work:
        """Nothing to load."""
        return lambda image: {"values": self.input.apply(image).ravel()}


@dataclass(frozen=True)
class ScoreJob:
    """Image → the probability of each bundle, in a column of its own.

    Attributes:
        bundles: column → URI of a bundle.
    """

    bundles: Mapping[str, str]

    def fields(self) -> list[pa.Field]:
        """A column for each bundle."""
        return [pa.field(column, pa.float64()) for column in self.bundles]

    def open(self) -> Work:
        """Open the bundles."""
        opened = {column: open_bundle(uri) for column, uri in self.bundles.items()}
        return lambda image: {column: bundle.probability(image) for column, bundle in opened.items()}
