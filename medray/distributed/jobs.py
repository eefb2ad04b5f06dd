"""What an actor does with decoded images. A job travels to the actors as plain values and opens there what it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa

from medray.bundle import Bundle, InputSpec, open_bundle
from medray.data.correction import Correction, Interpolation
from medray.data.segmentation import ALL, MaskChoice
from medray.errors import InputError
from medray.types import Image


@dataclass(frozen=True)
class Done:
    """What a job made of one image.

    Attributes:
        value: as :meth:`Work.columns` takes it.
        flags: what is odd about the image in the end.
    """

    value: Any
    flags: tuple[str, ...] = ()


Result = Done | InputError


@dataclass(frozen=True)
class Volumes:
    """How inputs become volumes.

    Attributes:
        allow, max_bytes, correct, interpolation: as :func:`medray.data.volume.build_volume` takes them; the members are not
            larger either.
    """

    allow: tuple[str, ...] = ()
    max_bytes: int = 1 << 30
    correct: tuple[Correction, ...] = ()
    interpolation: Interpolation = "linear"


class Work(Protocol):
    """An opened job."""

    @property
    def batch(self) -> int:
        """How many images it takes at a time."""
        ...

    def results(self, images: Sequence[Image]) -> list[Result]:
        """What is made of each image, or why nothing is."""
        ...

    def columns(self, values: Sequence[Any]) -> Sequence[pa.Array]:
        """The columns of :meth:`ImageJob.fields` for the values of some images; null where a value is None."""
        ...


class ImageJob(Protocol):
    """A job adds columns to the outcome row of each image."""

    @property
    def gpu(self) -> bool:
        """Whether a GPU is of use, where the cluster has one."""
        ...

    @property
    def volumes(self) -> Volumes | None:
        """How each input becomes a volume; None where it is one image."""
        ...

    @property
    def choice(self) -> MaskChoice:
        """What of the masks counts, where inputs have masks."""
        ...

    def fields(self) -> list[pa.Field]:
        """The columns that the job adds; null where the image was not scored."""
        ...

    def open(self) -> Work:
        """Load what the job needs, once per actor."""
        ...


def each(one: Callable[[Image], Done], images: Sequence[Image]) -> list[Result]:
    """The images one by one; an InputError takes its own place only."""
    return [_caught(one, image) for image in images]


def _caught(one: Callable[[Image], Done], image: Image) -> Result:
    try:
        return one(image)
    except InputError as error:
        return error


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
