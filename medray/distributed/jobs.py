"""What an actor does with each decoded image. A job travels to the actors as plain values and opens there what it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa

from medray.bundle import Bundle, InputSpec, open_bundle
from medray.errors import Excluded, InputError
from medray.features import table as features
from medray.features.family import Extracted
from medray.features.table import FeatureSpec
from medray.imaging.preprocess import PreprocessSpec, preprocess
from medray.types import Image

WithoutMask = Literal["whole", "exclude"]


@dataclass(frozen=True)
class Done:
    """What a job made of one image.

    Attributes:
        value: as :meth:`Work.columns` takes it.
        flags: what is odd about the image in the end.
    """

    value: Any
    flags: tuple[str, ...] = ()


class Work(Protocol):
    """An opened job."""

    def one(self, image: Image) -> Done:
        """Compute one image.

        Raises:
            InputError
        """
        ...

    def columns(self, values: Sequence[Any]) -> Sequence[pa.Array]:
        """The columns of :meth:`ImageJob.fields` for the values of some images; null where a value is None."""
        ...


class ImageJob(Protocol):
    """A job adds columns to the outcome row of each image."""

    def fields(self) -> list[pa.Field]:
        """The columns that the job adds; null where the image was not scored."""
        ...

    def open(self) -> Work:
        """Load what the job needs, once per actor."""
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
        return self

    def one(self, image: Image) -> Done:
        """The values of one image, float32 (n,)."""
        return Done(self.input.apply(image).ravel(), image.header.flags)

    def columns(self, values: Sequence[Any]) -> Sequence[pa.Array]:
        """Lists without a Python object for each number."""
        ends = np.cumsum([0 if value is None else len(value) for value in values], dtype=np.int64)
        offsets = pa.array([0, *ends], pa.int32())
        flat = np.concatenate([np.empty(0, np.float32), *(value for value in values if value is not None)])
        missing = pa.array([value is None for value in values], pa.bool_())
        return [pa.ListArray.from_arrays(offsets, pa.array(flat, pa.float32()), mask=missing)]


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
        return _Scoring({column: open_bundle(uri) for column, uri in self.bundles.items()})


@dataclass(frozen=True)
class _Scoring:
    bundles: Mapping[str, Bundle]

    def one(self, image: Image) -> Done:
        return Done({column: bundle.probability(image) for column, bundle in self.bundles.items()}, image.header.flags)

    def columns(self, values: Sequence[Any]) -> Sequence[pa.Array]:
        return [pa.array([value and value[column] for value in values], pa.float64()) for column in self.bundles]


@dataclass(frozen=True)
class ExtractJob:
    """Image → a column for each feature, and why those are null that are.

    Attributes:
        preprocess, features: what is done to an image.
        fingerprint: of what makes the table, kept in each row.
        without_mask: what happens to an image without a mask: measured as a whole, or EXCLUDED MASK_MISSING.
    """

    preprocess: PreprocessSpec
    features: FeatureSpec
    fingerprint: str
    without_mask: WithoutMask = "whole"

    def fields(self) -> list[pa.Field]:
        """``fingerprint``, a float64 column for each feature, null where it is not defined, and ``reasons``."""
        names = features.columns(self.features)
        columns = [pa.field(name, pa.float64()) for name in names]
        return [pa.field("fingerprint", pa.string()), *columns, pa.field("reasons", pa.string())]

    def open(self) -> Work:
        """Have the kernels compiled or loaded, on a small image."""
        with suppress(InputError):
            features.extract(preprocess(_small_image(), self.preprocess), self.features)
        return self

    def one(self, image: Image) -> Done:
        """The features of one image.

        Raises:
            InputError: MASK_MISSING, or what preprocessing and features raise.
        """
        if image.mask is None and self.without_mask == "exclude":
            raise Excluded("MASK_MISSING", "the table of masks has none for this image")
        prepared = preprocess(image, self.preprocess)
        return Done(features.extract(prepared, self.features), prepared.header.flags)

    def columns(self, values: Sequence[Extracted | None]) -> Sequence[pa.Array]:
        """The table of some images; what is not a number becomes null."""
        names = features.columns(self.features)
        matrix = np.full((len(names), len(values)), np.nan)
        for index, value in enumerate(values):
            if value is not None:
                matrix[:, index] = value.values
        reasons = [None if value is None else features.reasons_text(value, names) for value in values]
        made_by = pa.array([self.fingerprint] * len(values), pa.string())
        return [made_by, *(pa.array(row, from_pandas=True) for row in matrix), pa.array(reasons, pa.string())]


def _small_image() -> Image:
    """A blob on a slope, 64 × 64, with a mask: nothing that an op or a feature has to refuse."""
    row, column = np.mgrid[:64, :64].astype(np.float32)
    blob = 100 * np.exp(-((row - 30) ** 2 + (column - 34) ** 2) / 200)
    return Image(np.ascontiguousarray(blob + row % 7 + column / 8, np.float32), mask=blob > 20)
