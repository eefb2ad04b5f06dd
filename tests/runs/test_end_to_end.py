"""The main job against a real S3 server, through the command line; archive, tables, checkpoints and bundles are in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from medray.data import store

Run = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def bucket(s3: str, archive: Path) -> str:
    """The synthetic archive, with one corrupt file among the good ones and a note, in S3."""
    store.upload_folder(archive, s3 + "/archive")
    first = sorted((archive / "images").rglob("*.dcm"))[0]
    store.write(s3 + "/archive/images/SYN-999999/cut.dcm", first.read_bytes()[:-500])
    store.write(s3 + "/archive/images/README.txt", b"about this archive")
    return s3


@pytest.mark.slow
def test_from_an_archive_in_s3_to_scored_studies(bucket: str, tiny_config: Path, tmp_path: Path, medray: Run) -> None:
    catalog, output, images = f"{bucket}/catalog", f"{bucket}/out", f"{bucket}/archive/images"
    labels = f"{bucket}/archive/labels.csv"

    ingested = medray("ingest", images, "--catalog", catalog, "--labels", labels, "--keep", "malignant", "--json")
    assert ingested.returncode == 3, ingested.stderr
    sums = json.loads(ingested.stdout)
    expected = {"objects": 122, "images": 120, "excluded": 0, "quarantined": 2, "failed": 0, "unchanged": 0, "labelled": 120}
    assert {key: sums[key] for key in expected} == expected
    assert sums["reasons"] == {"DICOM_NOT_DICOM": 1, "PIXELS_TRUNCATED": 1}

    sets = ["--set", f"output={output}", "--set", f"catalog={catalog}"]
    # Two Ray Train workers for the network, and XGBoost in a task: both keep their checkpoints in the bucket.
    trained = medray("train", str(tiny_config), *sets, "--set", "models.cnn.scaling.workers=2", "--json", timeout_s=500)
    assert trained.returncode == 0, trained.stderr
    result = json.loads(trained.stdout)
    assert set(result["models"]) == {"xgb", "svm", "cnn"}
    assert result["inputs"] == result["scored"] == 120
    assert all(model["metrics"]["auroc"]["value"] > 0.6 for model in result["models"].values())
    assert store.exists(result["bundle"] + "/bundle.json")
    run = result["run"]
    assert store.names(f"{run}/fits/cnn/train/cnn")
    assert store.names(f"{run}/fits/xgb/checkpoints")
    assert b"<html" in store.read(result["report"])

    again = medray("train", str(tiny_config), *sets, "--set", "models.cnn.scaling.workers=2", "--json", timeout_s=500)
    assert json.loads(again.stdout)["models"] == result["models"]

    evaluated = medray("evaluate", result["bundle"], "--src", images, "--labels", labels, "--json")
    answer = json.loads(evaluated.stdout)
    assert evaluated.returncode == 3
    assert {"auroc", "accuracy", "sensitivity", "specificity", "brier", "n"} <= answer.keys()
    assert answer["auroc"].keys() == {"value", "low", "high"}
    assert (answer["n"], answer["inputs"], answer["quarantined"]) == (120, 122, 2)

    out = str(tmp_path / "scores.parquet")
    assert medray("predict", result["bundle"], images, "--out", out).returncode == 3
    assert pq.read_table(out)["state"].to_pylist().count("SCORED") == 120

    night = tmp_path / "screen.yaml"
    night.write_text(f"output: {output}\nsource: {images}\nnight: first\n")
    screened = medray("screen", "--config", str(night), "--executor", "ray", "--json")
    assert screened.returncode == 3, screened.stderr
    summary = json.loads(screened.stdout)
    assert summary["bundle"] == result["bundle"]
    assert summary["inputs"] == summary["scored"] + summary["excluded"] + summary["quarantined"] + summary["failed"] == 122
    worklist = pq.read_table(
        store.filesystem(output)[1] + "/screen/first/worklist.parquet", filesystem=store.filesystem(output)[0]
    )
    probabilities = worklist["probability"].to_pylist()
    assert probabilities == sorted(probabilities, reverse=True)
    assert len(worklist) == 120
    rows = DeltaTable(f"{output}/screen/first/results", storage_options=store.delta_options(output)).to_pyarrow_table()
    assert len(rows) == 122
