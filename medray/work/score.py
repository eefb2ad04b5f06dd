"""The job of predict, evaluate and screen: images → answers of bundles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa

from medray.bundles.bundle import family_in, open_bundle
from medray.bundles.ensemble import ENSEMBLE
from medray.bundles.manifest import read_manifest
from medray.bundles.scorer import Scorer
from medray.data.key_file import KeyName
from medray.data.segmentation import MaskChoice
from medray.errors import InputError
from medray.models.deep.params import BATCH
from medray.tasks.head import Answer
from medray.tasks.task import Task
from medray.types import Image
from medray.work.environment import compute_device
from medray.work.job import Done, Result, Work


@dataclass(frozen=True)
class ScoreJob:
    """Image → the answer of each bundle.

    Attributes:
        bundles: what precedes the names of its columns → URI of a bundle; all are of one task.
        task: that one.
        judged: whether inputs come with their true mask, to compare answers with.
        gpu: whether a GPU is used, where the cluster has one.
        pseudonyms: of the key, where inputs are not from a catalog, whose rows hold pseudonyms.
        fingerprints: URI → that of the bundle that was checked; workers open no other.
        own: whether this run made them, see :func:`medray.bundles.manifest.read_manifest`.
    """

    bundles: Mapping[str, str]
    task: Task
    judged: bool = False
    gpu: bool = False
    pseudonyms: KeyName | None = None
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    own: bool = False
    volumes: ClassVar[None] = None
    block_rows: ClassVar[int] = BATCH["cpu"]

    @property
    def choice(self) -> MaskChoice:
        """As the task says."""
        return self.task.mask_choice

    def fields(self) -> list[pa.Field]:
        """The columns of the task's answer, for each bundle."""
        return [field.with_name(prefix + field.name) for prefix in self.bundles for field in self.task.fields(self.judged)]

    def open(self) -> Work:
        """Open the bundles."""
        device = compute_device() if self.gpu else "cpu"
        opened = [open_bundle(uri, device, self.fingerprints.get(uri), own=self.own) for uri in self.bundles.values()]
        return _Scoring(self, opened, BATCH[device])


def score_job(
    bundles: Mapping[str, str],
    judged: bool = False,
    pseudonyms: KeyName | None = None,
    fingerprints: Mapping[str, str] | None = None,
    own: bool = False,
) -> ScoreJob:
    """The job of bundles of one task; they use a GPU if there is a network among them.

    Args:
        fingerprints: URI → the fingerprint that was recorded, of bundles that have one.
        own: see :func:`medray.bundles.manifest.read_manifest`.

    Raises:
        BundleError: see :func:`medray.bundles.manifest.read_manifest`.
    """
    known = fingerprints or {}
    manifests = {uri: read_manifest(uri, known.get(uri), own=own) for uri in bundles.values()}
    gpu = any(one.family == ENSEMBLE or family_in(one, uri).parallelism == "torch" for uri, one in manifests.items())
    found = {uri: manifest.fingerprint() for uri, manifest in manifests.items()}
    return ScoreJob(bundles, next(iter(manifests.values())).task, judged, gpu, pseudonyms, found, own)


@dataclass(frozen=True)
class _Scoring:
    job: ScoreJob
    bundles: Sequence[Scorer]
    batch: int

    @property
    def colour(self) -> bool:
        return any(bundle.colour for bundle in self.bundles)

    def results(self, images: Sequence[Image]) -> Sequence[Result]:
        found = zip(*(bundle.answers(images, self.job.judged) for bundle in self.bundles), strict=True)
        return [_together(answers, image.header.flags) for image, answers in zip(images, found, strict=True)]

    def columns(self, values: Sequence[Any]) -> Sequence[pa.Array]:
        answers = [[value and value[number] for value in values] for number in range(len(self.bundles))]
        tables = [self.job.task.table(column, self.job.judged) for column in answers]
        return [column.combine_chunks() for table in tables for column in table.columns]


def _together(answers: Sequence[Answer | InputError], flags: tuple[str, ...]) -> Result:
    """The answers of all bundles for one image; an error of one is that of the image."""
    for answer in answers:
        if isinstance(answer, InputError):
            return answer
    return Done(answers, flags)
