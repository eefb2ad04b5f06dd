"""The job of predict, evaluate and screen: images → answers of bundles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from medray.bundles.bundle import open_bundle
from medray.bundles.scorer import Scorer
from medray.data.segmentation import MaskChoice
from medray.tasks.task import Task
from medray.types import Image
from medray.work.job import Done, Result, Work, each


@dataclass(frozen=True)
class ScoreJob:
    """Image → the answer of each bundle.

    Attributes:
        bundles: what precedes the names of its columns → URI of a bundle; all are of one task.
        task: that one.
        judged: whether inputs come with their true mask, to compare answers with.
    """

    bundles: Mapping[str, str]
    task: Task
    judged: bool = False
    gpu: ClassVar[bool] = False
    volumes: ClassVar[None] = None

    @property
    def choice(self) -> MaskChoice:
        """As the task says."""
        return self.task.mask_choice

    def fields(self) -> list[pa.Field]:
        """The columns of the task's answer, for each bundle."""
        return [field.with_name(prefix + field.name) for prefix in self.bundles for field in self.task.fields(self.judged)]

    def open(self) -> Work:
        """Open the bundles."""
        return _Scoring(self, [open_bundle(uri) for uri in self.bundles.values()])


@dataclass(frozen=True)
class _Scoring:
    job: ScoreJob
    bundles: Sequence[Scorer]
    batch: ClassVar[int] = 1

    @property
    def colour(self) -> bool:
        return any(bundle.colour for bundle in self.bundles)

    def results(self, images: Sequence[Image]) -> list[Result]:
        return each(self._one, images)

    def _one(self, image: Image) -> Done:
        return Done([bundle.answer(image, self.job.judged) for bundle in self.bundles], image.header.flags)

    def columns(self, values: Sequence[Any]) -> Sequence[pa.Array]:
        answers = [[value and value[number] for value in values] for number in range(len(self.bundles))]
        tables = [self.job.task.table(column, self.job.judged) for column in answers]
        return [column.combine_chunks() for table in tables for column in table.columns]
