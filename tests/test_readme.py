"""Every command of the README is run, as written, against a real S3 server; only sizes are reduced with --set."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from orthanc import PASSWORD, USER, missing, orthanc_running, request
from seaweed import s3_environment

from medray.data import store
from medray.data.dicom import decode

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
Run = Callable[..., "CompletedProcess[str]"]

SMALL = ["models.cnn.params.epochs=2", "models.cnn.params.members=1", "models.cnn.params.width=8", "models.xgb.params.rounds=40"]
ELSEWHERE = {
    "make demo": "test_the_demo_command_runs_the_whole_loop",
    "make test": "this very run: the Makefile's recipe is checked by test_make_targets",
    "pip install": "the Makefile installs the same: test_make_targets",
    "ray up cluster.yaml": "needs an AWS account; the file passes Ray's schema in test_cluster_yaml.py",
    "ray submit cluster.yaml": "needs an AWS account; workflows/train.py runs in test_a_job_is_submitted_to_a_cluster",
    "ray job submit": "test_a_job_is_submitted_to_a_cluster",
    "medray ingest dicomweb://": "test_a_pacs_is_ingested",
}


def commands() -> list[str]:
    """The lines of every shell block, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    return [line.split("  #")[0].split("   #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture
def site(s3_server: str, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder as after a clone, and the README's archives in S3."""
    for name, value in s3_environment(s3_server).items():
        monkeypatch.setenv(name, value)
    for place in ("busi", "unseen"):
        store.upload_folder(archive, f"s3://imaging/{place}")
    store.upload_folder(archive / "images" / "SYN-000001", "s3://imaging/incoming/2026-11-23")
    shutil.copytree(ROOT / "workflows", tmp_path / "workflows")
    shutil.copy(archive / "labels.csv", tmp_path)
    shutil.copy(next((archive / "images").rglob("*.dcm")), tmp_path / "image.dcm")
    test_files = Path(pydicom.__file__).parent / "data" / "test_files"
    shutil.copy(test_files / "examples_ybr_color.dcm", tmp_path / "cine.dcm")
    shutil.copy(test_files / "examples_rgb_color.dcm", tmp_path / "fundus.dcm")
    shutil.copytree(test_files / "dicomdirtests" / "98892001" / "CT5N", tmp_path / "series")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for place in ("busi", "unseen", "incoming", "medray"):
        store.delete(f"s3://imaging/{place}")


def test_the_readme_names_only_commands_that_are_run() -> None:
    run_here = ("medray ", "curl ")
    for command in commands():
        assert command.startswith((*run_here, *ELSEWHERE)), f"{command!r} is in the README but in no test"


@pytest.mark.slow
def test_the_commands_of_your_archive(site: Path, medray: Run) -> None:
    elsewhere = ("catalog", "quarantine", "ops", "preview", "features", "extract", "import", "registry")
    said = [words for words in medray_commands() if words[0] not in elsewhere and "dicomweb" not in words[1]]
    assert [words[0] for words in said] == [
        "ingest",
        "train",
        "evaluate",
        "predict",
        "screen",
        "serve",
        "tune",
        "ensemble",
        "synthesise",
    ]
    ingest, train, evaluate, predict, screen, serve, tune, ensemble, synthesise = said
    small = [part for setting in SMALL for part in ("--set", setting)]

    assert medray(*ingest).returncode == 0
    trained = medray(*train, *small, "--json", timeout_s=500)
    assert trained.returncode == 0, trained.stderr
    result = json.loads(trained.stdout)
    bundle = result["bundle"]

    evaluated = medray(*with_bundle(evaluate, bundle))
    assert "auroc" in evaluated.stdout, evaluated.stderr
    assert medray(*with_bundle(predict, bundle)).returncode == 0
    assert (site / "scores.parquet").stat().st_size > 0
    screened = medray(*screen, "--json")
    assert screened.returncode == 0, screened.stderr
    assert json.loads(screened.stdout)["studies"] == 1
    check_registry(medray, result)
    tuned = medray(*tune, "--set", "tune.samples=1", "--json")
    assert tuned.returncode == 0, tuned.stderr
    assert set(json.loads(tuned.stdout)) == {"xgb"}
    members = ", ".join(result["models"][name]["bundle"] for name in ("xgb", "svm"))
    combined = medray(*ensemble, "--set", f"members=[{members}]", "--json")
    assert combined.returncode == 0, combined.stderr
    assert json.loads(combined.stdout)["bundle"].endswith("/mean")
    assert medray(*synthesise, "--set", "patients=8").returncode == 0
    assert len(list((site / "phantoms" / "images").rglob("*.dcm"))) == 8
    check_serving(with_bundle(serve, bundle))
    check_python(bundle)


def medray_commands() -> list[list[str]]:
    return [shlex.split(command)[1:] for command in commands() if command.startswith("medray ")]


def test_the_commands_about_a_catalog(site: Path, medray: Run) -> None:
    catalog = "s3://imaging/medray/catalog"
    store.write("s3://imaging/busi/images/note.txt", b"no image")
    ingested = medray(*next(words for words in medray_commands() if words[0] == "ingest"))
    assert ingested.returncode == 3, ingested.stderr
    said = {" ".join(words[:2]): words for words in medray_commands() if words[0] in ("catalog", "quarantine")}
    assert {words[2] for words in said.values()} == {catalog}
    answers = {}
    for name, words in said.items():
        words = ["s3://imaging/busi/images/note.txt" if word == "URI" else word for word in words]
        done = medray(*words, "--json")
        assert done.returncode == (3 if name == "quarantine retry" else 0), (name, done.stderr)
        answers[name] = json.loads(done.stdout)
    assert answers["catalog summary"]["objects"] == 121
    assert (site / "catalog.png").read_bytes().startswith(b"\x89PNG")
    assert len(answers["catalog show"]) == 5
    assert answers["catalog query"] == [{"modality": "US", "images": 120}]
    assert sum(stack["instances"] for stack in answers["catalog series"]) == 120
    assert answers["catalog diff"]["added"] == 121
    assert [item["code"] for item in answers["quarantine list"]] == ["DICOM_NOT_DICOM"]
    assert "remove it" in answers["quarantine show"]["what_to_do"]
    assert answers["quarantine retry"]["objects"] == 1


@pytest.mark.slow
def test_the_commands_about_ops_and_features(site: Path, medray: Run) -> None:
    names = ("ops", "preview", "features", "extract")
    said = {" ".join(words[:2]): words for words in medray_commands() if words[0] in names}
    assert medray(*next(words for words in medray_commands() if words[0] == "ingest")).returncode == 0
    answers = {}
    for name, words in said.items():
        done = medray(*words, "--json", timeout_s=300)
        assert done.returncode == 0, (name, done.stderr)
        answers[name] = json.loads(done.stdout)
    assert {"window", "resample", "text_mask"} <= {op["name"] for op in answers["ops list"]}
    assert answers["ops describe"]["name"] == "window"
    assert {"radiomics", "ibsi", "lbp"} <= {family["name"] for family in answers["features list"]}
    assert answers["features describe"]["name"] == "original_glcm_Contrast"
    assert (site / "preview.png").read_bytes().startswith(b"\x89PNG")
    assert answers["extract --config"]["scored"] == 120


def test_other_formats_are_imported(site: Path, medray: Run, archive: Path) -> None:
    words = next(words for words in medray_commands() if words[0] == "import")
    rows = []
    for number, path in enumerate(sorted((archive / "images").rglob("*.dcm"))[:4]):
        pixels = decode(path).pixels.astype(np.uint8)
        store.write(f"s3://imaging/own/pictures/{number}.png", imagecodecs.png_encode(pixels))
        store.write(f"s3://imaging/own/drawn/{number}_mask.png", imagecodecs.png_encode((pixels > 99).astype(np.uint8)))
        rows.append(f"{number}.png,P{number},{number % 2}\n")
    store.write("s3://imaging/own/labels.csv", f"file,PatientID,malignant\n{''.join(rows)}".encode())
    done = medray(*words, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["imported"], said["labelled"], said["masks"]) == (4, 4, 4)
    store.delete("s3://imaging/own")


def test_a_pacs_is_ingested(tmp_path: Path, medray: Run, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if why := missing():
        pytest.skip(why)
    words = next(words for words in medray_commands() if "dicomweb" in words[1])
    with orthanc_running(tmp_path) as url:
        for path in sorted((archive / "images").rglob("*.dcm"))[:3]:
            request(f"{url}/instances", path.read_bytes())
        monkeypatch.setenv("MEDRAY_DICOMWEB_USER", USER)
        monkeypatch.setenv("MEDRAY_DICOMWEB_PASSWORD", PASSWORD)
        here = f"{url.replace('http:', 'dicomweb:')}/dicom-web"
        done = medray("ingest", here, "--catalog", str(tmp_path / "catalog"), *words[4:], "--json")
    assert words[0] == "ingest"
    assert words[2] == "--catalog"
    assert json.loads(done.stdout)["images"] == 3, done.stderr


def with_bundle(words: list[str], bundle: str) -> list[str]:
    return [bundle if word == "BUNDLE" else word for word in words]


def check_registry(medray: Run, result: dict[str, Any]) -> None:
    """What is champion after a first run, and a promotion by hand."""
    found, show, promote = (words for words in medray_commands() if words[0] == "registry")
    assert [row["standing"] for row in json.loads(medray(*found, "--json").stdout)] == ["champion", "published", "published"]
    assert result["champion"]["champion"] == result["bundle"]
    other = next(model["bundle"] for model in result["models"].values() if model["bundle"] != result["bundle"])
    promoted = json.loads(medray(*with_bundle(promote, other), "--json").stdout)
    assert (promoted["bundle"], promoted["reason"]) == (other, "read on 200 cases")
    assert json.loads(medray(*with_bundle(show, other), "--json").stdout)["standing"] == "champion"


def check_serving(serve: list[str]) -> None:
    """``medray serve`` in the background, the README's curl command, and SIGTERM."""
    curl = next(command for command in commands() if command.startswith("curl "))
    with subprocess.Popen([str(Path(sys.executable).parent / "medray"), *serve], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert "serving" in server.stdout.readline()
        answer = subprocess.run([*shlex.split(curl), "-sS"], capture_output=True, text=True, timeout=60)
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    assert json.loads(answer.stdout)["results"][0]["state"] == "SCORED", answer


def check_python(bundle: str) -> None:
    """The Python block, with a real bundle and catalog in place of the placeholders."""
    (block,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    code = block.replace('"BUNDLE"', repr(bundle)).replace('"CATALOG"', '"s3://imaging/medray/catalog"')
    code += "assert image.pixels.ndim == 2 and scores[0].probability is not None and len(rows) == 120\n"
    code += "assert fundus.pixels.shape == (3, 240, 320)\n"
    code += "assert frame.pixels.shape == (240, 320) and volume.voxels.shape == (5, 16, 16)\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_demo_command_runs_the_whole_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, medray: Run) -> None:
    monkeypatch.chdir(tmp_path)
    started = time.monotonic()
    done = medray("demo", timeout_s=500)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 300
    page = (tmp_path / "medray-demo" / "report.html").read_text()
    assert "https://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    for heading in ("Receiver operating characteristic", "Calibration", "Decisions of", "Sample images", "Worklist"):
        assert heading in page
    assert "scored" in done.stdout
    shown = {line.split(":")[0] for line in done.stderr.splitlines()}
    assert {"write images", "ingest", "prepare table", "train cnn", "evaluate", "screen"} <= shown | {"write images"}


def test_make_targets() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "$(BIN)/medray demo" in makefile
    assert "pip install" in makefile
    assert "$(LOCKED) -r locks/build.txt -r locks/runtime.txt -r locks/torch-$(TORCH).txt" in makefile
    assert "$(BIN)/python -m pytest" in makefile
    targets = re.search(r"^test: (.*)$", makefile, re.MULTILINE)
    assert targets is not None
    assert all(f"make {target}" in (ROOT / ".ci" / "run").read_text() for target in targets[1].split())


@pytest.mark.slow
def test_a_job_is_submitted_to_a_cluster(site: Path, medray: Run, free_ports: Callable[[int], list[int]]) -> None:
    """``ray job submit … python workflows/train.py`` on a cluster with token authentication."""
    gcs, dashboard, client, agent = free_ports(4)
    bin_folder = Path(sys.executable).parent
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
    start = (
        f"start --head --node-ip-address=127.0.0.1 --port={gcs} --num-cpus=2 --dashboard-port={dashboard} --disable-usage-stats"
    )
    start += f" --object-store-memory=200000000 --ray-client-server-port={client} --dashboard-agent-listen-port={agent} --block"
    command = next(command for command in commands() if command.startswith("ray job submit"))
    assert medray(*shlex.split(next(c for c in commands() if c.startswith("medray ingest")))[1:]).returncode == 0
    with subprocess.Popen(
        [str(bin_folder / "ray"), *start.split()], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    ) as head:
        try:
            address = f"http://127.0.0.1:{dashboard}"
            words = [str(bin_folder / "ray"), "job", "submit", "--address", address, *shlex.split(command)[3:]]
            words[words.index("python")] = sys.executable
            models = "models={svm: {family: svm, input: table}}"
            done = retried([*words, "--set", models], environment)
            assert '"best": "svm"' in done.stdout, done.stdout[-3000:] + done.stderr[-2000:]
        finally:
            head.send_signal(signal.SIGTERM)
            head.wait(60)


def retried(words: list[str], environment: dict[str, str]) -> CompletedProcess[str]:
    """Run a command until the cluster's dashboard answers."""
    deadline = time.monotonic() + 60
    while True:
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
        if "Failed to connect" not in done.stderr + done.stdout or time.monotonic() > deadline:
            return done
        time.sleep(2)
