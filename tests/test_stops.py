"""Ctrl-C, SIGTERM and sudden deaths in mid run: one line, the exit code, no process left, and the same command goes on.

``benchmarks/interrupts.py`` does the same at many moments of every command.
"""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml
from interrupted import STOP_CODES, STOP_LINE, Ended, Started, end_of, named, started, stopped
from two_nodes import NETWORKED, cluster_running

from medray.cli.processes import descendants

pytestmark = [pytest.mark.alone, pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")]

Run = Callable[..., "CompletedProcess[str]"]
SLOW = {
    "preprocess": {"steps": [{"op": "percentile"}]},
    "features": {"families": [{"family": "radiomics", "bin_width": 0.02}]},
}
TINY = ["--set", "patients=6000", "--set", "rows=32", "--set", "columns=32", "--executor", "local"]
NETWORK = "models={{cnn: {{family: cnn, input: image, params: {{epochs: {}, width: 16}}, scaling: {{threads: 1}}}}}}"


@pytest.fixture
def extract(catalogued: str, tmp_path: Path) -> list[str]:
    """``medray extract`` of features that take some seconds, in two processes."""
    (tmp_path / "extract.yaml").write_text(yaml.safe_dump({**SLOW, "output": str(tmp_path / "out"), "catalog": catalogued}))
    return ["extract", "--config", str(tmp_path / "extract.yaml"), "--json", "--set", "resources.actors=2"]


@pytest.fixture
def train(catalogued: str, tiny_config: Path, tmp_path: Path) -> list[str]:
    """``medray train`` of a network, without its length."""
    return ["train", str(tiny_config), "--json", "--set", f"catalog={catalogued}", "--set", f"output={tmp_path / 'out'}"]


def some_shards(tmp_path: Path) -> Callable[[], bool]:
    return lambda: len(list(tmp_path.glob("out/features/*/part-*.parquet"))) >= 3


def fitting(run: Started) -> Callable[[], bool]:
    return lambda: "train cnn: step" in run.said()


def assert_stopped(ended: Ended, number: signal.Signals) -> None:
    assert (ended.code, ended.lines, ended.left) == (STOP_CODES[number], [STOP_LINE], [])
    assert ended.seconds < 10


def assert_failed(ended: Ended, code: str) -> None:
    assert (ended.code, len(ended.lines), ended.left) == (1, 1, [])
    assert ended.lines[0].startswith(f"medray: {code}: ")
    assert ended.seconds < 15


@pytest.mark.parametrize(
    ("number", "after_s"), [(signal.SIGINT, 0.1), (signal.SIGTERM, 0.4), (signal.SIGINT, 2.5), (signal.SIGTERM, 2.5)]
)
def test_a_stop_while_ray_starts(number: signal.Signals, after_s: float, extract: list[str], tmp_path: Path) -> None:
    with started([*extract, "--executor", "ray"], tmp_path / "stderr") as run:
        time.sleep(after_s)
        assert_stopped(stopped(run, number, whole_group=number == signal.SIGINT), number)


@pytest.mark.parametrize(("executor", "number"), [("ray", signal.SIGTERM), ("local", signal.SIGINT)])
def test_a_stop_in_mid_extract(executor: str, number: signal.Signals, extract: list[str], tmp_path: Path, medray: Run) -> None:
    command = [*extract, "--executor", executor]
    with started(command, tmp_path / "stderr") as run:
        run.wait_for(some_shards(tmp_path))
        assert_stopped(stopped(run, number, whole_group=True), number)
    done = medray(*extract, "--executor", "local")
    assert done.returncode == 0, done.stderr
    assert '"scored": 120' in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("executor", "number"), [("ray", signal.SIGINT), ("local", signal.SIGTERM)])
def test_a_stop_in_mid_fit(executor: str, number: signal.Signals, train: list[str], tmp_path: Path) -> None:
    with started([*train, "--set", NETWORK.format(500), "--executor", executor], tmp_path / "stderr") as run:
        run.wait_for(fitting(run))
        assert_stopped(stopped(run, number), number)


def test_a_command_that_is_stopped_twice_and_started_again_ends_well(archive: Path, tmp_path: Path, medray: Run) -> None:
    command = ["ingest", str(archive / "images"), "--catalog", str(tmp_path / "catalog"), "--json"]
    for after_s in (0.8, 1.1):
        with started(command, tmp_path / "stderr") as run:
            time.sleep(after_s)
            if run.process.poll() is None:
                assert_stopped(stopped(run, signal.SIGINT, whole_group=True), signal.SIGINT)
    done = medray(*command)
    assert done.returncode == 0, done.stderr
    assert '"images": 120' in done.stdout


def test_ctrl_c_at_a_terminal_gives_the_cursor_back(tmp_path: Path) -> None:
    """The terminal sends it to every process of the command, while bars are shown."""
    executable = str(Path(sys.executable).parent / "medray")
    child, terminal = pty.fork()
    if child == 0:
        os.execv(executable, [executable, "synthesise", str(tmp_path / "out"), *TINY])
    shown = b""
    while b"/6000" not in shown:
        shown += os.read(terminal, 4096)
    os.write(terminal, b"\x03")
    with suppress(OSError):  # the terminal is gone with its last process
        while more := os.read(terminal, 4096):
            shown += more
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130
    assert shown.count(b"medray: ") == 1
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")
    assert shown.rstrip().endswith(STOP_LINE.encode())
    assert b"Traceback" not in shown


def test_a_second_signal_changes_nothing(extract: list[str], tmp_path: Path) -> None:
    with started([*extract, "--executor", "local"], tmp_path / "stderr") as run:
        run.wait_for(some_shards(tmp_path))
        os.kill(run.process.pid, signal.SIGINT)
        os.kill(run.process.pid, signal.SIGTERM)
        ended = end_of(run)
    assert (ended.code, ended.lines, ended.left) in [(code, [STOP_LINE], []) for code in STOP_CODES.values()]


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGKILL, "COMMAND_KILLED"), (signal.SIGSEGV, "COMMAND_CRASHED"), (signal.SIGABRT, "COMMAND_CRASHED")],
)
def test_a_command_that_dies_is_reported(number: signal.Signals, code: str, extract: list[str], tmp_path: Path) -> None:
    with started([*extract, "--executor", "local"], tmp_path / "stderr") as run:
        run.wait_for(some_shards(tmp_path))
        os.kill(worker(run), number)
        assert_failed(end_of(run), code)


def worker(run: Started) -> int:
    """The process that does the work of a command: the child of the one that was started."""
    return next(iter(run.named("medray")))


def test_a_command_ends_with_the_process_that_watches_it(extract: list[str], tmp_path: Path) -> None:
    with started([*extract, "--executor", "local"], tmp_path / "stderr") as run:
        run.wait_for(some_shards(tmp_path))
        run.process.kill()
        assert end_of(run).left == []


@pytest.mark.slow
def test_a_raylet_that_is_killed_in_mid_fit(train: list[str], tmp_path: Path) -> None:
    with started([*train, "--set", NETWORK.format(500), "--executor", "ray"], tmp_path / "stderr") as run:
        run.wait_for(fitting(run))
        kill_only(run, "raylet/raylet")
        assert_failed(end_of(run), "CLUSTER_LOST")


def test_a_gcs_that_is_killed_in_mid_extract(extract: list[str], tmp_path: Path) -> None:
    with started([*extract, "--executor", "ray"], tmp_path / "stderr") as run:
        run.wait_for(some_shards(tmp_path))
        kill_only(run, "gcs/gcs_server")
        assert_failed(end_of(run), "CLUSTER_LOST")


def test_a_gcs_that_hangs_while_ray_starts(extract: list[str], tmp_path: Path) -> None:
    """Once it has said its port: until then Ray waits for half a minute, and lets no other thread look at it."""
    with started([*extract, "--executor", "ray"], tmp_path / "stderr") as run:
        run.wait_for(lambda: bool(run.named("raylet/raylet")))
        (gcs,) = run.named("gcs/gcs_server")
        os.kill(gcs, signal.SIGSTOP)
        assert_failed(end_of(run), "CLUSTER_START")


@pytest.mark.parametrize("name", ["raylet/raylet", "gcs/gcs_server"])
def test_a_ray_that_dies_while_it_starts(name: str, extract: list[str], tmp_path: Path) -> None:
    with started([*extract, "--executor", "ray"], tmp_path / "stderr") as run:
        run.wait_for(lambda: bool(run.named(name)))
        time.sleep(0.6)  # seen by the command
        kill_only(run, name)
        assert_failed(end_of(run), "CLUSTER_START")


def kill_only(run: Started, name: str) -> None:
    (process,) = run.named(name)
    os.kill(process, signal.SIGKILL)


def test_a_gcs_of_a_cluster_that_is_killed(extract: list[str], tmp_path: Path) -> None:
    """Nodes whose GCS never comes back; the command ends long before they do."""
    before = set(named("gcs/gcs_server"))
    with cluster_running({}) as address:
        (gcs,) = set(named("gcs/gcs_server")) - before
        env = {**NETWORKED, "RAY_ADDRESS": address}
        with started([*extract, "--executor", "ray"], tmp_path / "stderr", env) as run:
            run.wait_for(some_shards(tmp_path))
            os.kill(gcs, signal.SIGKILL)
            ended = end_of(run)
    assert_failed(ended, "CLUSTER_LOST")
    assert address in ended.lines[0]


def test_processes_are_found_whatever_others_are_called() -> None:
    """The kernel cuts a name after 15 bytes, in the middle of a character, too."""
    renamed = "import ctypes, sys; ctypes.CDLL(None).prctl(15, b'\\xff', 0, 0, 0); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", renamed], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        other.stdout.readline()
        assert other.pid in descendants(os.getpid())
        other.stdin.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "none", str(folder)], capture_output=True).returncode:
        pytest.skip("mounts nothing")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_fills_under_workers_of_ray(small_disk: Path, extract: list[str], tmp_path: Path) -> None:
    with started([*extract, "--executor", "ray", "--set", f"output={small_disk}/out"], tmp_path / "stderr") as run:
        run.wait_for(lambda: (small_disk / "out").exists())
        ended = end_of(run)
    assert (ended.code, len(ended.lines), ended.left) == (1, 1, [])
    assert ended.lines[0].startswith(f"medray: DISK_FULL: no space is left at {small_disk}/out/")
