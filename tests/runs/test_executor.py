"""Where work is done: who chooses, what is said of it, and the same bytes wherever it was."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pyarrow as pa
import pytest

from medray.data import store
from medray.distributed.dataset import on_ray
from medray.distributed.session import ClusterSpec
from medray.runs.executor import SMALL_INPUTS, executing
from medray.runs.score import object_rows
from medray.work.local import on_this_machine
from medray.work.process import RunBlocks, process
from medray.work.score import score_job

Run = Callable[..., "CompletedProcess[str]"]
SAID = "a small job: this machine does it, without Ray (--executor ray for Ray)"


@pytest.fixture(scope="module")
def rows(archive: Path) -> pa.Table:
    """The objects of the archive, and one that is no DICOM file."""
    found = object_rows(store.list_objects(str(archive / "images")))
    labels = archive / "labels.csv"
    return pa.concat_tables([found, pa.table({"uri": [str(labels)], "etag": [""], "size_bytes": [labels.stat().st_size]})])


def shards(rows: pa.Table, bundles: dict[str, str], table: Path, run: RunBlocks) -> dict[str, str]:
    """Name → digest of every shard that scoring makes."""
    process(rows, score_job(bundles), str(table), run)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in table.glob("part-*.parquet")}


def test_the_same_bytes_wherever_it_runs(rows: pa.Table, trained: Any, tmp_path: Path, ray_session: None) -> None:
    bundles = {f"{name}.": bundle.uri for name, bundle in trained.bundles.items()}
    here = shards(rows, bundles, tmp_path / "here", on_this_machine())
    assert len(here) >= 12
    assert shards(rows, bundles, tmp_path / "processes", on_this_machine(2)) == here
    for actors in (1, 2):
        assert shards(rows, bundles, tmp_path / f"ray-{actors}", on_ray(actors)) == here


def test_a_small_job_needs_no_ray_and_says_so(trained: Any, archive: Path, tmp_path: Path, medray: Run) -> None:
    bundle, images = trained.bundles["xgb"].uri, str(archive / "images" / "SYN-000003")
    written = {}
    for executor in ("auto", "local", "ray"):
        written[executor] = tmp_path / f"{executor}.parquet"
        options = [] if executor == "auto" else ["--executor", executor]
        done = medray("predict", bundle, images, "--out", str(written[executor]), *options)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count(SAID) == (executor == "auto")
    assert written["auto"].read_bytes() == written["local"].read_bytes() == written["ray"].read_bytes()


def test_a_local_executor_takes_no_address(tmp_path: Path, medray: Run) -> None:
    done = medray("predict", "b", "s", "--out", str(tmp_path / "o.csv"), "--executor", "local", "--address", "10.0.0.1:6379")
    assert done.returncode == 1
    assert "medray: CONFIG_INVALID: --executor: executor: local uses no cluster, and address names 10.0.0.1:6379" in done.stderr


@pytest.mark.parametrize(
    ("cluster", "environment", "inputs", "size_bytes", "local"),
    [
        ({}, {}, 10, 1 << 20, True),
        ({"address": "local"}, {}, 10, 1 << 20, True),
        ({}, {}, SMALL_INPUTS + 1, 1 << 20, False),
        ({}, {}, 10, 2 << 30, False),
        ({"address": "auto"}, {}, 10, 1 << 20, False),
        ({}, {"RAY_ADDRESS": "10.0.0.1:6379"}, 10, 1 << 20, False),
        ({"executor": "ray"}, {}, 10, 1 << 20, False),
        ({"executor": "local"}, {"RAY_ADDRESS": "10.0.0.1:6379"}, SMALL_INPUTS + 1, 2 << 30, True),
    ],
)
def test_who_does_the_work(
    cluster: dict[str, str],
    environment: dict[str, str],
    inputs: int,
    size_bytes: int,
    local: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("medray.distributed.session.running", lambda: False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with executing(ClusterSpec.model_validate(cluster)) as executor:
        assert executor.is_local(inputs, size_bytes) == local
