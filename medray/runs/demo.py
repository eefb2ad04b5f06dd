"""Run the whole loop on a synthetic archive: ``medray demo``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

import yaml

from medray.cataloguing.ingest import ingest
from medray.data import store
from medray.data.synthetic import SyntheticSpec
from medray.distributed.session import ClusterSpec
from medray.progress import Progress
from medray.runs.executor import executing
from medray.runs.publish import TrainResult, as_json
from medray.runs.report import write_train_report
from medray.runs.screen import ScreenConfig, ScreenResult, screen
from medray.runs.synthesise import write_archive
from medray.runs.train import train
from medray.runs.train_config import TrainConfig
from medray.work.context import OnStep

ARCHIVE = SyntheticSpec(patients=400)
NIGHT = SyntheticSpec(patients=40, images_per_study=2, prevalence=0.15)
UNSEEN = 1_000_003
"""Added to the seed for the night, whose patients are then none of the archive's."""


@dataclass(frozen=True)
class DemoResult:
    """What the demo made.

    Attributes:
        train, outline: the runs that learn malignancy and outlines.
        report: path of ``report.html``.
    """

    train: TrainResult
    outline: TrainResult
    night: ScreenResult
    report: str

    def as_json(self) -> dict[str, Any]:
        """As ``medray demo --json`` prints it."""
        night = {"studies": len(self.night.worklist), **asdict(self.night.summary)}
        return {"train": as_json(self.train), "outline": as_json(self.outline), "night": night, "report": self.report}


def demo(
    folder: str,
    seed: int,
    progress: Progress | None = None,
    on_step: OnStep | None = None,
    cluster: ClusterSpec | None = None,
) -> DemoResult:
    """Make an archive and a night of unseen studies, train on one, screen the other, and write ``report.html``.

    Two runs share the archive: one learns which lesions are malignant, one outlines them."""
    root = store.normalise(folder)
    config, outline_config = (demo_config(name, root, seed, cluster) for name in ("demo.yaml", "demo-outline.yaml"))
    with executing(config.cluster) as executor:
        write_archive(executor, ARCHIVE.model_copy(update={"seed": seed}), store.join(root, "archive"), progress)
        write_archive(executor, NIGHT.model_copy(update={"seed": seed + UNSEEN}), store.join(root, "night"), progress)
        images, labels = store.join(root, "archive", "images"), store.join(root, "archive", "labels.csv")
        ingest(images, config.catalog, labels, progress, config.task.label_columns)
        result = train(config, progress, on_step)
        outline = train(outline_config, progress, on_step)
        images, champion = store.join(root, "night", "images"), result.bundles[result.best].uri
        night_config = ScreenConfig(
            output=config.output, source=images, bundle=champion, night=f"demo-{seed}", cluster=config.cluster
        )
        night = screen(night_config, progress)
    report = write_train_report(result, night, store.join(root, "report.html"), (outline,))
    return DemoResult(result, outline, night, report)


def demo_config(name: str, root: str, seed: int, cluster: ClusterSpec | None = None) -> TrainConfig:
    """A training configuration of the demo, kept as a file so that it can be read and copied."""
    raw = yaml.safe_load(files("medray.runs").joinpath(name).read_text())
    places = {"output": store.join(root, "out"), "catalog": store.join(root, "catalog")}
    return TrainConfig.model_validate({**raw, **places, "seed": seed, "cluster": cluster or ClusterSpec()})
