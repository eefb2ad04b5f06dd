"""Real parts for the tests: an S3 server (SeaweedFS), one Ray session, synthetic archives, the BUSI data where it is."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from seaweed import free_ports, s3_environment, s3_running
from task_cases import BINARY, CASES, ENSEMBLES

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_AUTH_TOKEN", "medray-tests-0123456789abcdef0123456789abcdef")
os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # tests import ray before medray does


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of this user's state, where the pseudonym key is made: of the tests alone, and none is in the environment."""
    folder = tmp_path_factory.mktemp("state")
    os.environ["XDG_STATE_HOME"] = str(folder)
    for name in ("MEDRAY_PSEUDONYM_KEY", "MEDRAY_PSEUDONYM_KEY_FILE"):
        os.environ.pop(name, None)
    return folder


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pseudonym key file of a user who has none yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "medray" / "pseudonym.key"


@pytest.fixture
def site(tmp_path: Path) -> str:
    """A pseudonym key file of a site."""
    from site_key import key_file

    return key_file(tmp_path)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how long the tests of each folder took."""
    spent: dict[str, float] = defaultdict(float)
    for report in chain.from_iterable(terminalreporter.stats.values()):
        if isinstance(report, pytest.TestReport):
            spent[str(Path(report.nodeid.partition("::")[0]).parent)] += report.duration
    if spent:
        terminalreporter.section("seconds by folder")
    for folder, seconds in sorted(spent.items(), key=itemgetter(1), reverse=True):
        terminalreporter.write_line(f"{seconds:7.1f} s  {folder}")


@pytest.fixture(name="free_ports")
def free_ports_fixture() -> Callable[[int], list[int]]:
    """Finds ports that nothing listens on."""
    return free_ports


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A SeaweedFS S3 server with keys and the bucket ``imaging``; yields its endpoint URL."""
    with s3_running(tmp_path_factory.mktemp("weed")) as endpoint:
        yield endpoint


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment points at the S3 server; yields a URI in its bucket that is this test's own."""
    for name, value in s3_environment(s3_server).items():
        monkeypatch.setenv(name, value)
    return f"s3://imaging/{time.time_ns()}"


@pytest.fixture(scope="session")
def busi() -> Path:
    """The BUSI data, which is not part of the project."""
    folder = SHARED / "data" / "busi"
    if not folder.is_dir():
        pytest.skip("the BUSI data is not on this machine")
    return folder


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic archive: images/, masks/ and labels.csv, 120 patients of 64 × 64 pixels."""
    from medray.data.synthetic import SyntheticSpec, labels_csv
    from medray.data.synthetic import write_archive as write

    folder = tmp_path_factory.mktemp("archive")

    def put(kind: str, name: str, data: bytes) -> None:
        path = folder / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    spec = SyntheticSpec(patients=120, rows=64, columns=64, difficulty=0.2, seed=7)
    labels = write(spec, partial(put, "images"), put_mask=partial(put, "masks"))
    (folder / "labels.csv").write_bytes(with_lesion(labels_csv(labels)))
    return folder


def with_lesion(labels: bytes) -> bytes:
    """A table of labels with one more: whether there is a lesion, benign or malignant."""
    rows = list(csv.DictReader(io.StringIO(labels.decode())))
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rows[0], "lesion"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "lesion": int(row["finding"] != "normal")} for row in rows)
    return text.getvalue().encode()


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """One local Ray session for every test of this process that needs one."""
    from medray.distributed.session import ClusterSpec, session

    with session(ClusterSpec(address="local", cpus=2)):
        yield


def run_medray(*arguments: str, env: dict[str, str] | None = None, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
    """Run the ``medray`` command as a user does."""
    command = [str(Path(sys.executable).parent / "medray"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, env={**os.environ, **(env or {})})


@pytest.fixture(scope="session")
def medray() -> Callable[..., subprocess.CompletedProcess[str]]:
    """``medray(*arguments, env=…, timeout_s=…)`` runs the command line in a process of its own."""
    return run_medray


@pytest.fixture
def tiny_config(tmp_path: Path) -> Path:
    """A training configuration that fits in seconds; output and catalog are given with --set."""
    path = tmp_path / "tiny.yaml"
    path.write_text(BINARY)
    return path


@pytest.fixture(scope="session")
def catalogued(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A catalog of the synthetic archive with its labels."""
    from medray.cataloguing.ingest import ingest

    catalog = str(tmp_path_factory.mktemp("catalogued") / "catalog")
    keep = ("finding", "malignant", "area_px", "lesion")
    ingest(str(archive / "images"), catalog, str(archive / "labels.csv"), keep=keep)
    return catalog


@pytest.fixture(scope="session")
def train_case(catalogued: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """``train_case(name)`` gives the finished training run of a case (see :mod:`task_cases`), made once in a session."""
    from medray.runs.ensemble import EnsembleConfig, ensemble
    from medray.runs.train import train
    from medray.runs.train_config import TrainConfig

    @cache
    def trained_case(name: str) -> Any:
        output = str(tmp_path_factory.mktemp(name) / "out")
        places = {"output": output, "catalog": catalogued, "cluster": {"executor": "local"}}
        if name in ENSEMBLES:
            case = ENSEMBLES[name]
            members = [trained_case(case["of"]).bundles[model].uri for model in case["models"]]
            return ensemble(EnsembleConfig.model_validate({**places, "members": members, "combine": case["combine"]}))
        return train(TrainConfig.model_validate({**CASES[name], **places}))

    return trained_case


@pytest.fixture(scope="session")
def trained(train_case: Callable[[str], Any]) -> Any:
    """The finished training run of two classes (see :class:`medray.runs.publish.TrainResult`)."""
    return train_case("binary")
