"""Learning from a catalog without labels: what a run makes, what it cannot, and how labels that come later judge it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from task_cases import BINARY

from medray.bundles import registry
from medray.cataloguing.ingest import ingest
from medray.distributed.session import ClusterSpec
from medray.errors import ModelError, StoreError
from medray.runs.evaluate import evaluate_source
from medray.runs.publish import TrainResult
from medray.runs.report import write_train_report
from medray.runs.samples import labelled_samples
from medray.runs.train import train
from medray.runs.train_config import TrainConfig
from medray.runs.tune import tune


@pytest.fixture(scope="module")
def configured(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TrainConfig]:
    """``configured(**task)``: a configuration on a catalog that was ingested without labels."""
    root = tmp_path_factory.mktemp("unlabelled")
    ingest(str(archive / "images"), str(root / "catalog"))

    def config(**task: Any) -> TrainConfig:
        models = {"isolation": {"family": "isolation", "input": "table", "params": {"n_estimators": 50}}}
        raw = {"inputs": yaml.safe_load(BINARY)["inputs"], "task": {"kind": "anomaly", **task}, "models": models}
        return TrainConfig.model_validate({**raw, "output": str(root / "out"), "catalog": str(root / "catalog")})

    return config


@pytest.fixture(scope="module")
def run(configured: Callable[..., TrainConfig]) -> TrainResult:
    """A run without labels."""
    return train(configured(contamination=0.1))


def test_every_image_takes_part(configured: Callable[..., TrainConfig]) -> None:
    config = configured()
    samples, _ = labelled_samples(config.catalog, config.task, config.labels.split)
    assert len(samples) == samples["target"].null_count == 120
    assert set(samples["split"].to_pylist()) == {"train", "val", "test"}


def test_a_target_needs_labels(configured: Callable[..., TrainConfig]) -> None:
    config = configured(target="finding")
    with pytest.raises(StoreError, match="LABELS_NOT_FOUND"):
        labelled_samples(config.catalog, config.task, config.labels.split)


def test_a_bundle_is_published_without_figures_of_labels(run: TrainResult) -> None:
    figures: Any = run.judged["isolation"].figures
    assert (figures.n, figures.n_unlabelled, figures.monitor.value) == (0, 18, None)
    assert "flags 5.56 % of 18 validation images" in run.bundles["isolation"].manifest.threshold.reason
    published, refused = registry.history(str(Path(run.run_uri).parents[1]))
    assert published.value is None
    assert (refused.event, refused.bundle) == ("not_promoted", published.bundle), "nothing says that it is any good"
    assert "auroc is not defined" in refused.reason
    json.loads(Path(run.run_uri, "metrics.json").read_text(), parse_constant=pytest.fail)
    assert "no labels to judge by" in Path(write_train_report(run)).read_text()


def test_a_sweep_without_labels_is_refused(configured: Callable[..., TrainConfig]) -> None:
    with pytest.raises(ModelError, match="TUNE_NO_MONITOR"):
        tune(configured(), [])


def test_a_cohort_without_labels_shows_how_scores_lie(run: TrainResult, archive: Path) -> None:
    uri = run.bundles["isolation"].uri
    found = evaluate_source(uri, str(archive / "images"), str(archive / "labels.csv"), ClusterSpec(address="local"))
    figures: Any = found.figures
    assert (found.unlabelled, figures.n_unlabelled, figures.auroc.value) == (120, 120, None)
    assert figures.scores.low < figures.scores.median < figures.scores.high
    assert 0 < figures.flagged < 0.5
