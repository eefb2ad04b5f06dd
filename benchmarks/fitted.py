"""Bundles for benchmarks: small models, trained on phantoms by this machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from medray.cataloguing.ingest import ingest
from medray.data.synthetic import SyntheticSpec
from medray.distributed.session import ClusterSpec
from medray.runs.executor import executing
from medray.runs.publish import TrainResult
from medray.runs.synthesise import write_archive
from medray.runs.train import train
from medray.runs.train_config import TrainConfig

HERE = ClusterSpec(executor="local")
STEPS = [{"op": "percentile"}, {"op": "resize", "rows": 96, "columns": 96}]


def archive(folder: Path, patients: int, side: int = 256) -> list[Path]:
    """Phantoms, one for each patient; returns the images, sorted."""
    spec = SyntheticSpec(patients=patients, rows=side, columns=side, difficulty=0.3)
    with executing(HERE) as executor:
        write_archive(executor, spec, str(folder), None)
    return sorted((folder / "images").rglob("*.dcm"))


def bundles(folder: Path, models: dict[str, Any]) -> TrainResult:
    """Train on an archive of :func:`archive`."""
    ingest(str(folder / "images"), str(folder / "catalog"), str(folder / "labels.csv"), keep=["malignant"])
    raw = {
        "output": str(folder / "out"),
        "catalog": str(folder / "catalog"),
        "labels": {"target": "malignant"},
        "inputs": {"table": {"preprocess": {"steps": STEPS}, "features": {}}, "image": {"preprocess": {"steps": STEPS}}},
        "models": models,
        "cluster": {"executor": "local"},
    }
    return train(TrainConfig.model_validate(raw))


def copied(paths: list[Path], folder: Path) -> Path:
    """Some images in a folder of their own."""
    folder.mkdir()
    for path in paths:
        shutil.copy(path, folder)
    return folder
