"""Images → rows of a feature table: preprocessing, features, and activations of networks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa

from medray.bundles.embedding import Embedding, EmbeddingSpec, open_embedding
from medray.data.segmentation import ALL, MaskChoice
from medray.errors import Excluded, InputError, each
from medray.features import table as features
from medray.features.family import Extracted, joined
from medray.features.table import FeatureSpec
from medray.imaging.op import luminance
from medray.imaging.preprocess import PreprocessSpec, preprocess
from medray.models.deep.params import BATCH
from medray.types import Image
from medray.work.job import Done, Result, Volumes, Work

WithoutMask = Literal["whole", "exclude"]
_TOGETHER = 32
"""Images that are decoded before networks are given them."""


@dataclass(frozen=True)
class ExtractJob:
    """Image → a column for each feature, and the reason for each null.

    Attributes:
        preprocess, features: what is done to an image.
        fingerprint: of what makes the table, kept in each row.
        without_mask: what happens to an image without a mask: measured as a whole, or EXCLUDED MASK_MISSING.
        embeddings: networks whose activations are features as well.
        embedding_columns: the names of those, in order.
        volumes: how inputs become volumes, where they are not images.
        choice: what of the masks counts.
    """

    preprocess: PreprocessSpec
    features: FeatureSpec
    fingerprint: str
    without_mask: WithoutMask = "whole"
    embeddings: tuple[EmbeddingSpec, ...] = ()
    embedding_columns: tuple[str, ...] = ()
    volumes: Volumes | None = None
    choice: MaskChoice = ALL
    pseudonyms: ClassVar[None] = None

    @property
    def block_rows(self) -> int:
        """As networks take them on the CPU."""
        return BATCH["cpu"] if self.embeddings else 1

    @property
    def gpu(self) -> bool:
        """Whether a network may run on one."""
        return any(spec.device != "cpu" for spec in self.embeddings)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return (*features.columns(self.features), *self.embedding_columns)

    def fields(self) -> list[pa.Field]:
        """``fingerprint``, ``units`` of the pixels that were measured (of the preprocessed image), a float64 column for each
        feature, null where it is not defined, and ``reasons``."""
        measured = [pa.field(name, pa.float64()) for name in self.columns]
        return [pa.field("fingerprint", pa.string()), pa.field("units", pa.string()), *measured, pa.field("reasons", pa.string())]

    def open(self) -> Work:
        """Load the networks, and have the kernels compiled or loaded on a small image."""
        with suppress(InputError):
            small = _small_image(2 if self.volumes is None else 3)
            features.extract(preprocess(small, self.preprocess), self.features)
        return _Extracting(self, tuple(open_embedding(spec) for spec in self.embeddings))


@dataclass(frozen=True)
class _Measured:
    """The features of an image, and the units of the pixels that they are of."""

    features: Extracted
    units: str


@dataclass(frozen=True)
class _Extracting:
    job: ExtractJob
    embeddings: tuple[Embedding, ...]

    @property
    def batch(self) -> int:
        return _TOGETHER if self.embeddings else 1

    @property
    def colour(self) -> bool:
        return any(embedding.colour for embedding in self.embeddings)

    def results(self, images: Sequence[Image]) -> Sequence[Result]:
        measured: list[Result] = list(each(self._measured, images))
        good = [index for index, result in enumerate(measured) if isinstance(result, Done)]
        found = zip(*(embedding.extract([images[index] for index in good]) for embedding in self.embeddings), strict=True)
        for index, parts in zip(good, found, strict=bool(self.embeddings)):
            measured[index] = _together(measured[index], parts)
        return measured

    def _measured(self, image: Image) -> Done:
        if image.mask is None and self.job.without_mask == "exclude":
            raise Excluded("MASK_MISSING", "the table of masks has none for this image")
        prepared = preprocess(luminance(image), self.job.preprocess)
        measured = _Measured(features.extract(prepared, self.job.features), prepared.header.units)
        return Done(measured, prepared.header.flags)

    def columns(self, values: Sequence[_Measured | None]) -> Sequence[pa.Array]:
        """The table of some images; what is not a number becomes null."""
        names = self.job.columns
        matrix = np.full((len(names), len(values)), np.nan)
        for index, value in enumerate(values):
            if value is not None:
                matrix[:, index] = value.features.values
        reasons = [None if value is None else features.reasons_text(value.features, names) for value in values]
        made_by = pa.array([self.job.fingerprint] * len(values), pa.string())
        units = pa.array([None if value is None else value.units for value in values], pa.string())
        return [made_by, units, *(pa.array(row, from_pandas=True) for row in matrix), pa.array(reasons, pa.string())]


def _together(measured: Result, parts: Sequence[Extracted | InputError]) -> Result:
    """The features of one image with those of the networks; an error of one is that of the image."""
    if isinstance(measured, InputError):
        return measured
    values = [measured.value.features]
    for part in parts:
        if isinstance(part, InputError):
            return part
        values.append(part)
    return Done(replace(measured.value, features=joined(values)), measured.flags)


def _small_image(dimensions: int) -> Image:
    """A blob on a slope, 64 × 64 or eight of these, with a mask: nothing that an op or a feature has to refuse."""
    row, column = np.mgrid[:64, :64].astype(np.float32)
    blob = 100 * np.exp(-((row - 30) ** 2 + (column - 34) ** 2) / 200)
    pixels, mask = blob + row % 7 + column / 8, blob > 20
    if dimensions == 3:
        pixels, mask = np.stack([pixels] * 8), np.stack([mask] * 8)
    return Image(np.ascontiguousarray(pixels, np.float32), mask=mask, slice_spacing_mm=1 if dimensions == 3 else None)
