"""What killed runs leave: found by name, age and lock; what a run uses, and what is not medray's, stays."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pyarrow as pa
import pytest

from medray.data import leftovers, store, tables, temporary
from medray.data.sorted_table import SortedTable

Run = Callable[..., "CompletedProcess[str]"]
HOLD = """
import sys
from medray.data import temporary
with temporary.folder("work") as folder:
    (folder / "scores").write_bytes(bytes(1000))
    print(folder.parent, flush=True)
    sys.stdin.read()
"""
SCHEMA = pa.schema([("key", pa.string()), ("then", pa.string())])
DAY = 86400


@pytest.fixture
def tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's processes keep temporary files."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path / "tmp"


@pytest.fixture
def holder(tmp: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process at work, and its temporary folder."""
    run = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    yield run, Path(run.stdout.readline().strip())
    run.kill()
    run.wait()


def killed(run: subprocess.Popen[str]) -> None:
    run.send_signal(signal.SIGKILL)
    run.wait()


def test_a_folder_is_there_for_its_block_only(tmp: Path) -> None:
    with temporary.folder("work") as folder:
        assert folder.is_dir()
        assert temporary.sweep() == []
    assert list(tmp.iterdir()) == []


def test_the_next_start_removes_the_folders_of_killed_processes_alone(
    tmp: Path, holder: tuple[subprocess.Popen[str], Path]
) -> None:
    run, folder = holder
    (own := tmp / "medray-work-mine1234").mkdir(0o700)
    (own / "thesis.txt").write_text("not medray's")
    (tmp / "medray-work-link1234").symlink_to(own)
    assert temporary.sweep() == []
    killed(run)
    assert temporary.sweep() == [folder]
    assert sorted(path.name for path in tmp.iterdir()) == ["medray-work-link1234", "medray-work-mine1234"]


def test_a_command_removes_them_when_it_starts(
    tmp: Path, holder: tuple[subprocess.Popen[str], Path], medray: Run, tmp_path: Path
) -> None:
    run, folder = holder
    command = ["synthesise", str(tmp_path / "a"), "--set", "patients=1", "--executor", "local"]
    assert medray(*command).returncode == 0
    assert folder.is_dir(), "its process lives"
    killed(run)
    done = medray(*command)
    assert done.returncode == 0, done.stderr
    assert "removed 1 temporary folders that killed runs left" in done.stderr
    assert not folder.exists()


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "root") if request.param == "local" else str(request.getfixturevalue("s3"))


def catalogued(root: str) -> set[str]:
    """A table of two versions; returns the names of its files, one of which only the older version has."""
    table = SortedTable(f"{root}/catalog", SCHEMA, "key", "then")
    for value in ("1", "2"):
        table.replace(pa.table({"key": ["a"], "then": [value]}), {"a"})
    return {name for name in store.names(f"{root}/catalog") if name.endswith(".parquet")}


ORPHANS = (f"part-{'0' * 32}.parquet", f"part-00003-{'a' * 16}-{4:x}-{'b' * 16}.parquet", f"part-00003-{'a' * 16}.samples")
OTHERS = (
    "part-00000-8e0c3a4e-0000-4000-8000-000000000000-c000.snappy.parquet",
    "notes.txt",
    "part-1.parquet",
    ".a.partial",
)


def littered(root: str) -> list[str]:
    """Names of what a killed run left, in a folder with files of others."""
    for name in (*ORPHANS, *OTHERS):
        store.write(f"{root}/catalog/{name}", b"left")
    store.write(f"{root}/elsewhere/{ORPHANS[0]}", b"no table is here")
    partial = ".x.dcm.0123abcd.partial"
    store.write(f"{root}/images/{partial}", b"half")
    return sorted([*ORPHANS, partial])


def test_no_age_is_no_leave_to_remove(tmp_path: Path) -> None:
    catalogued(str(tmp_path))
    littered(str(tmp_path))
    assert leftovers.leftovers(str(tmp_path), float("nan")) == []


def test_temporary_folders_are_made_in_one_place() -> None:
    """Or those of killed runs would not be found."""
    package = Path(temporary.__file__).parents[1]
    makers = {path.name for path in package.rglob("*.py") if re.search(r"TemporaryDirectory|mkdtemp", path.read_text())}
    assert makers == {"temporary.py"}


def names(found: list[leftovers.Leftover]) -> list[str]:
    return sorted(one.uri.rsplit("/", 1)[-1] for one in found)


def test_files_that_no_version_names_are_left_over(root: str) -> None:
    versions = catalogued(root)
    assert len(versions) == 2
    left = littered(root)
    assert leftovers.leftovers(root, DAY) == [], "too young"
    found = leftovers.leftovers(root, -60)
    assert names(found) == left
    assert {one.size_bytes for one in found} == {4}
    leftovers.remove(found)
    assert leftovers.leftovers(root, -60) == []
    assert {*store.names(f"{root}/catalog"), "_delta_log"} == {*versions, *OTHERS, "_delta_log"}
    assert store.exists(f"{root}/elsewhere/{ORPHANS[0]}")
    for version in (1, 2):
        assert tables.read_table(f"{root}/catalog", version)["then"].to_pylist() == [str(version)]


def old(*paths: Path) -> None:
    for path in paths:
        os.utime(path, (time.time() - 3 * DAY,) * 2)


def test_a_run_at_work_keeps_old_files_too(tmp_path: Path) -> None:
    """What a killed run finished is registered by the next one."""
    root = str(tmp_path)
    catalogued(root)
    littered(root)
    old(*(tmp_path / "catalog" / name for name in ORPHANS))
    with leftovers.at_work(f"{root}/catalog"):
        assert leftovers.leftovers(root, DAY) == []
    assert names(leftovers.leftovers(root, DAY)) == sorted(ORPHANS)
    fresh = tmp_path / "catalog" / ORPHANS[0].replace("0", "1")
    fresh.write_bytes(b"another run writes")
    assert leftovers.leftovers(root, DAY) == []
    old(fresh)
    mark = tmp_path / "catalog" / f".{'c' * 32}.run"
    mark.write_bytes(b"of a run that was killed")
    old(mark)
    assert names(leftovers.leftovers(root, DAY)) == sorted([*ORPHANS, fresh.name, mark.name])


def test_a_table_whose_log_is_broken_is_not_touched(tmp_path: Path, medray: Run) -> None:
    catalogued(str(tmp_path))
    littered(str(tmp_path))
    (tmp_path / "catalog" / "_delta_log" / f"{1:020}.json").write_bytes(b"")
    (tmp_path / "catalog" / "_delta_log" / f"{2:020}.json").write_bytes(b'{"add"')
    before = sorted(tmp_path.rglob("*"))
    done = medray("vacuum", str(tmp_path), "--older-than", "0", "--delete")
    assert done.returncode == 1
    assert "TABLE_BROKEN" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_the_command_lists_first_and_removes_when_told(
    tmp: Path, holder: tuple[subprocess.Popen[str], Path], medray: Run
) -> None:
    run, folder = holder
    root = tmp.parent / "out"
    catalogued(str(root))
    littered(str(root))
    live = temporary.folder("work")
    killed(run)
    with live as used:
        listed = json.loads(medray("vacuum", str(root), "--older-than", "0", "--json").stdout)
        assert (listed["deleted"], listed["count"]) == (False, 5)
        assert listed["size_bytes"] == 1000 + 4 * 4
        assert folder.is_dir()
        shown = medray("vacuum", str(root), str(root / "catalog"), "--older-than", "0")  # each thing once
        assert shown.stdout.splitlines()[-1] == "5 to remove (--delete removes them), 1016 bytes"
        assert medray("vacuum", str(root), "--older-than", "0", "--delete").returncode == 0
        assert used.is_dir()
    assert not folder.exists()
    assert medray("vacuum", str(root), "--older-than", "0").stdout == "0 removed, 0 bytes\n"
    assert medray("vacuum").stdout == "0 removed, 0 bytes\n"
    shutil.rmtree(root)


def test_an_upload_that_never_ended_is_ended(s3: str) -> None:
    fs, path = store.filesystem(s3)
    bucket, _, key = path.partition("/")
    store.write(f"{s3}/a.txt", b"there")
    for name in (f"{key}/big.samples", f"{key}-more/other"):
        started = fs.call_s3("create_multipart_upload", Bucket=bucket, Key=name)
        fs.call_s3("upload_part", Bucket=bucket, Key=name, UploadId=started["UploadId"], PartNumber=1, Body=bytes(100))
    assert leftovers.leftovers(s3, DAY) == []
    found = leftovers.leftovers(s3, -60)
    assert [(one.uri, one.kind) for one in found] == [(f"{s3}/big.samples", "upload")]
    leftovers.remove(found)
    assert leftovers.leftovers(s3, -60) == []
