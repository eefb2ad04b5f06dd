"""A night whose archive changes under it: started twice at once, and with objects that are gone when they are to be read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tiny_bundle import tiny_bundle

from medray.bundles.manifest import digest_of
from medray.data import store, tables
from medray.distributed.session import ClusterSpec
from medray.errors import ConfigError, RunError
from medray.runs.gone import GoneSpec
from medray.runs.score import object_rows
from medray.runs.screen import ScreenConfig, screen

Run = Callable[..., "CompletedProcess[str]"]
START = """
import sys, time
from pathlib import Path
from medray.data import archive
from medray.runs import screen as module

own, places, cluster = Path(sys.argv[1]), dict(zip(("output", "source", "bundle"), sys.argv[2:])), {"executor": "local"}
listed = archive.list_objects

def slowly(uri):
    found = listed(uri)
    own.with_suffix(".listed").write_text(str(len(found)))
    while not own.with_suffix(".go").exists():
        time.sleep(0.01)
    return found

archive.list_objects = slowly
result = module.screen(module.ScreenConfig(**places, night="n", cluster=cluster))
print(result.summary.inputs, len(result.worklist))
"""
"""A start of a night whose listing takes until it is told to go on."""


@pytest.fixture(params=["local", "s3"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "out") if request.param == "local" else str(request.getfixturevalue("s3"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    (folder := tmp_path_factory.mktemp("tiny") / "model").mkdir()
    return tiny_bundle(folder.parent)


@pytest.fixture
def images(archive: Path, tmp_path: Path) -> Path:
    """Twelve images of this test's own."""
    folder = tmp_path / "images"
    folder.mkdir()
    arrive(archive, folder, 0, 12)
    return folder


def arrive(archive: Path, folder: Path, start: int, end: int) -> None:
    for path in sorted((archive / "images").rglob("*.dcm"))[start:end]:
        shutil.copy2(path, folder / path.name)


def config(output: str, images: Path, bundle: str, **gone: float) -> ScreenConfig:
    spec = GoneSpec.model_validate({"pause_s": 0, **gone})
    return ScreenConfig(
        output=output, source=str(images), bundle=bundle, night="n", gone=spec, cluster=ClusterSpec(executor="local")
    )


def summary_of(output: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(store.read(f"{output}/screen/n/summary.json"))
    return found


def wait_for(path: Path, run: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_starts_while_files_arrive_are_one_night(
    archive: Path, images: Path, bundle: str, output: str, tmp_path: Path
) -> None:
    runs = []
    for number in range(2):
        own = tmp_path / f"start{number}"
        command = [sys.executable, "-c", START, str(own), output, str(images), bundle]
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for(own.with_suffix(".listed"), run)
        assert own.with_suffix(".listed").read_text() == str(12 + 3 * number)
        arrive(archive, images, 12 + 3 * number, 15 + 3 * number)
        runs.append(run)
    (tmp_path / "start1.go").touch()
    while not store.exists(f"{output}/screen/n/inputs.parquet"):
        assert runs[1].poll() is None, runs[1].communicate()
        time.sleep(0.01)
    (tmp_path / "start0.go").touch()  # both score and register at the same time
    answers = [run.communicate(timeout=120) for run in runs]
    assert [out for out, _ in answers] == ["15 15\n", "15 15\n"], answers
    assert len(tables.read_table(f"{output}/screen/n/results")) == 15
    assert screen(config(output, images, bundle)).summary.counts()["inputs"] == summary_of(output)["scored"] == 15


def listed(output: str, images: Path) -> None:
    """What a start leaves that is killed as soon as the night is listed."""
    rows = object_rows(store.list_objects(str(images)))
    assert store.create(f"{output}/screen/n/inputs.parquet", tables.parquet_bytes(rows))


def test_a_deleted_and_a_replaced_object_end_as_gone_and_the_night_is_published(images: Path, bundle: str, output: str) -> None:
    first, second, third = sorted(images.iterdir())[:3]
    listed(output, images)
    first.unlink()
    shutil.copyfile(third, second)
    os.utime(second, (1, 1))
    settings = config(output, images, bundle, most=0.2)
    night = screen(settings)
    assert night.summary.counts() == {"inputs": 12, "scored": 10, "excluded": 0, "quarantined": 0, "failed": 2}
    assert (night.gone, night.summary.reasons) == (2, {"OBJECT_GONE": 2})
    assert (summary_of(output)["gone"], summary_of(output)["failed"]) == (2, 2)
    rows = {str(row["uri"]): (row["state"], row["code"]) for row in tables.read_table(f"{output}/screen/n/results").to_pylist()}
    assert rows[str(first)] == rows[str(second)] == ("FAILED", "OBJECT_GONE")
    assert len(rows) == 12
    assert str(second) not in night.worklist["uri"].to_pylist()
    shutil.copyfile(third, first)
    again = screen(settings)
    assert again.summary == night.summary, "it is the end of them"
    assert again.worklist.equals(night.worklist)


def test_an_object_that_comes_back_in_time_is_scored(images: Path, bundle: str, tmp_path: Path) -> None:
    output = str(tmp_path / "out")
    first = min(images.iterdir())
    listed(output, images)
    first.rename(tmp_path / "away")
    back = threading.Timer(1.0, (tmp_path / "away").rename, [first])
    back.start()
    night = screen(config(output, images, bundle, pause_s=0.5, tries=20))
    back.join()
    assert (night.summary.scored, night.gone) == (12, 0)


def test_a_night_does_not_go_on_with_a_bundle_that_was_changed_and_sealed_again(
    images: Path, bundle: str, tmp_path: Path
) -> None:
    own = shutil.copytree(bundle, tmp_path / "bundle")
    screened = config(str(tmp_path / "out"), images, str(own))
    screen(screened)
    raw = json.loads((own / "bundle.json").read_text())
    raw["decision"]["thresholds"]["positive"]["value"] = 0.9999
    (own / "bundle.json").write_text(json.dumps({**raw, "digest": digest_of(raw)}))
    with pytest.raises(ConfigError, match=r"NIGHT_DIFFERS: the bundle .* has changed since n was started"):
        screen(screened)


def test_an_archive_that_is_not_there_is_no_empty_worklist(images: Path, bundle: str, tmp_path: Path) -> None:
    output, away = str(tmp_path / "out"), tmp_path / "away"
    listed(output, images)
    screened = config(output, images, bundle)
    (away).mkdir()
    for path in sorted(images.iterdir())[:6]:
        path.rename(away / path.name)
    for _ in range(4):
        with pytest.raises(RunError, match="RUN_INPUTS_FAILED: 6 of 12 objects"):
            screen(screened)
    assert (summary_of(output)["gone"], summary_of(output)["reasons"]) == (0, {"STORE_NOT_FOUND": 6})
    assert not store.exists(f"{output}/screen/n/worklist.csv")
    for path in away.iterdir():
        path.rename(images / path.name)
    assert screen(screened).summary.scored == 12


def test_what_fails_for_another_reason_keeps_the_night_open(images: Path, bundle: str, tmp_path: Path) -> None:
    output = str(tmp_path / "out")
    first, second = sorted(images.iterdir())[:2]
    listed(output, images)
    first.unlink()
    second.rename(tmp_path / "away")
    second.mkdir()
    for _ in range(2):
        with pytest.raises(RunError, match="RUN_INPUTS_FAILED: 2 of 12"):
            screen(config(output, images, bundle))
    second.rmdir()
    (tmp_path / "away").rename(second)
    night = screen(config(output, images, bundle))
    assert (night.summary.scored, night.gone) == (11, 1)


def test_the_command_says_what_is_gone(images: Path, bundle: str, tmp_path: Path, medray: Run) -> None:
    output = str(tmp_path / "out")
    listed(output, images)
    min(images.iterdir()).unlink()
    (tmp_path / "screen.yaml").write_text(
        f"{{output: {output}, source: {images}, bundle: {bundle}, night: n, gone: {{tries: 2, pause_s: 0}}}}\n"
    )
    done = medray("screen", "--config", str(tmp_path / "screen.yaml"), "--executor", "local", "--json")
    assert done.returncode == 3, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["gone"], answer["failed"], answer["scored"]) == (1, 1, 11)
    assert "1 of 12 objects of the night are gone (OBJECT_GONE): the worklist is without them" in done.stderr
    assert "OBJECT_GONE 1" in done.stderr
    page = store.read(answer["report"]).decode()
    assert "1 of 12 objects (OBJECT_GONE), deleted or replaced after the night was listed" in page
