"""A run's bundles while they are made: what they share, and each of them but for its decision and figures."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pyarrow as pa

from medray.bundles.combiner import Combiner
from medray.bundles.ensemble import ENSEMBLE, MEMBERS
from medray.bundles.manifest import Manifest, write_bundle
from medray.data import store
from medray.data.splits import SPLITS
from medray.evaluation.cautions import Caution
from medray.evaluation.thresholds import ThresholdPolicy
from medray.tasks.decision import Decision
from medray.tasks.task import Task

_PACKAGES = (
    *("medray", "ray", "torch", "monai", "scikit-learn", "xgboost", "xgboost-cpu"),
    *("pydicom", "imagecodecs", "opencv-python-headless", "numpy"),
)


@dataclass(frozen=True)
class Settings:
    """How the models of a run are judged.

    Attributes:
        task, policy: what is learnt, and how to choose the threshold where there is one.
        seed: of the intervals.
        actors: see :class:`medray.runs.resources.Resources`.
    """

    task: Task
    policy: ThresholdPolicy
    seed: int
    actors: int | None


@dataclass(frozen=True)
class Run:
    """What every bundle of a run shares.

    Attributes:
        output: root of everything that runs make.
        uri: folder of the run.
        samples: the images that every input could be made of, with target, group and split.
        provenance: run, catalog, its version, package versions.
        split: patients and images of each split and class (see :func:`medray.runs.split.counts_of`).
        warnings: of the samples.
        decided_on: the split whose answers choose how to decide: ``"val"``, or ``"oof"`` where training images are answered for
            out of fold.
    """

    output: str
    uri: str
    settings: Settings
    samples: pa.Table
    provenance: Mapping[str, Any]
    split: Sequence[Mapping[str, Any]] = ()
    warnings: Sequence[Caution] = ()
    decided_on: str = "val"

    @property
    def evaluated_on(self) -> str:
        """The split whose figures are shown: ``"test"`` where there is one, else the one that was decided on."""
        return "test" if self.images()["test"] else self.decided_on

    @property
    def name(self) -> str:
        """The run's name."""
        return self.uri.rsplit("/", 1)[-1]

    def images(self) -> dict[str, int]:
        """Number of images of each split."""
        splits = self.samples["split"].to_pylist()
        return {split: splits.count(split) for split in SPLITS}


@dataclass(frozen=True)
class Draft:
    """A bundle but for its decision and figures.

    Attributes:
        content: name in the bundle → URI of the folder.
    """

    manifest: Manifest
    content: Mapping[str, str]

    def write(self, uri: str, decision: Decision, metrics: Mapping[str, Any]) -> str:
        """Write the bundle; returns its URI."""
        manifest = self.manifest.model_copy(update={"decision": decision, "metrics": dict(metrics)})
        with ExitStack() as stack:
            folders = {name: stack.enter_context(store.local_folder(place)) for name, place in self.content.items()}
            write_bundle(manifest, folders, uri)
        return uri


def combined(run: Run, name: str, members: Sequence[str], combiner: Combiner, **provenance: Any) -> Draft:
    """The bundle of several bundles but for its decision.

    Args:
        members: URIs of the bundles, in order.
        provenance: what else is known of it.
    """
    manifest = Manifest(
        name=name,
        task=run.settings.task,
        family=ENSEMBLE,
        params=combiner.model_dump(mode="json"),
        input=None,
        provenance={**run.provenance, "seed": run.settings.seed, "images": run.images(), **provenance},
    )
    return Draft(manifest, {f"{MEMBERS}/{number}": uri for number, uri in enumerate(members)})


def environment() -> dict[str, Any]:
    """Versions that can change an answer."""
    installed = {name: _version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), "packages": {name: number for name, number in installed.items() if number}}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # xgboost comes as one of two packages
        return ""
