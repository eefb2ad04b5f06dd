"""deploy/Dockerfile installs from the locks alone, as nobody in particular, and copies what is there; Docker is not needed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", (ROOT / "deploy" / "Dockerfile").read_text(), flags=re.MULTILINE)).splitlines()
STEPS = [(word, rest.split()) for word, _, rest in (line.partition(" ") for line in LINES if line)]


def copied() -> list[str]:
    """What comes from the repository."""
    return [source for word, rest in STEPS if word == "COPY" and not rest[0].startswith("--from=") for source in rest[:-1]]


def test_it_installs_from_the_locks_by_hash_and_then_medray_alone() -> None:
    installs = [" ".join(rest) for word, rest in STEPS if word == "RUN" and "install" in rest]
    assert len(installs) == 2
    assert all("--no-deps" in one for one in installs)
    assert "--require-hashes" in installs[0]
    assert re.findall(r"-r \"?(\S+?)\"?(?= |$)", installs[0]) == [
        "locks/build.txt",
        "locks/runtime.txt",
        "locks/torch-$TORCH.txt",
    ]
    assert installs[1].endswith("--no-build-isolation .")
    assert not [line for line in LINES if re.search(r"\b(apt(-get)?|curl|wget|git|ADD)\b|trusted-host", line)]


def test_the_build_of_pytorch_is_an_argument_and_each_has_its_lock() -> None:
    assert ("ARG", ["TORCH=cuda"]) in STEPS
    for torch in ("cpu", "cuda"):
        assert (ROOT / "locks" / f"torch-{torch}.txt").is_file()


def test_the_image_is_slim_and_of_the_python_whose_cpu_build_is_locked() -> None:
    (base,) = [rest[0] for word, rest in STEPS if word == "ARG" and rest[0].startswith("BASE=")]
    assert base == "BASE=python:3.11-slim"
    assert {rest[0] for word, rest in STEPS if word == "FROM"} == {"${BASE}"}


def test_it_runs_without_root_and_holds_no_secrets() -> None:
    last = max(index for index, (word, _) in enumerate(STEPS) if word == "FROM")
    assert [rest for word, rest in STEPS[last:] if word == "USER"] == [["10001"]]
    assert [word for word, _ in STEPS[last:]].index("USER") < [word for word, _ in STEPS[last:]].index("ENTRYPOINT")
    given = [rest[0] for word, rest in STEPS if word in ("ARG", "ENV")]
    assert not [one for one in given if re.search(r"TOKEN|KEY|SECRET|PASSWORD", one.upper())]


def test_only_what_it_copies_is_sent_to_docker() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert ignored[0] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied())


@pytest.mark.slow
def test_what_it_copies_is_there_and_enough_to_build_medray(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    for name in copied():
        source, target = ROOT / name, tmp_path / "source" / name
        shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        str(tmp_path),
        ".",
    ]
    subprocess.run(build, cwd=tmp_path / "source", check=True)
    (wheel,) = tmp_path.glob("medray-*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("medray/")}
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "medray").rglob("*")
        if path.suffix in (".py", ".html", ".yaml", ".typed")
    }
    assert packed == wanted
