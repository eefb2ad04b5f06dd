"""Kill -9 the driver in mid training: the second start goes on from the checkpoint and ends with the same model."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from task_cases import BINARY

Run = Callable[..., "CompletedProcess[str]"]
KILL_AFTER = 5


def steps(stderr: str) -> list[int]:
    return [int(step) for step in re.findall(r"train cnn: step (\d+)", stderr)]


@pytest.fixture(scope="module")
def command(catalogued: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """``medray train`` of the network alone, long enough to be killed on the way."""
    config = tmp_path_factory.mktemp("resume") / "tiny.yaml"
    config.write_text(BINARY)
    model = "models={cnn: {family: cnn, input: image, params: {epochs: 14, width: 16}, scaling: {threads: 1}}}"
    return ["train", str(config), "--json", "--set", f"catalog={catalogued}", "--set", model]


@pytest.fixture(scope="module")
def whole(command: list[str], medray: Run, tmp_path_factory: pytest.TempPathFactory) -> CompletedProcess[str]:
    """The run that nothing broke off."""
    done = medray(*command, "--set", f"output={tmp_path_factory.mktemp('whole')}", "--executor", "local")
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [("ray", "local"), ("local", "ray")])
def test_a_killed_run_resumes_and_ends_with_the_same_model(
    first: str, second: str, command: list[str], whole: CompletedProcess[str], tmp_path: Path, medray: Run
) -> None:
    killed = [*command, "--set", f"output={tmp_path / 'killed'}"]
    reached = kill_in_training([*killed, "--executor", first])
    assert KILL_AFTER <= reached < 14
    resumed = medray(*killed, "--executor", second)
    assert resumed.returncode == 0, resumed.stderr
    assert min(steps(resumed.stderr)) >= reached - 1, "it began again instead of resuming"

    manifests = [json.loads((Path(bundle_of(done)) / "bundle.json").read_text()) for done in (whole, resumed)]
    assert manifests[0]["files"] == manifests[1]["files"]
    assert manifests[0]["threshold"] == manifests[1]["threshold"]


def bundle_of(done: CompletedProcess[str]) -> str:
    return str(json.loads(done.stdout)["bundle"])


def kill_in_training(arguments: list[str]) -> int:
    """Start the command, kill -9 its process once some epochs are done; returns the last epoch that it told of."""
    executable = str(Path(sys.executable).parent / "medray")
    with subprocess.Popen(
        [executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if (found := steps(line)) and found[-1] >= KILL_AFTER:
                process.send_signal(signal.SIGKILL)
                break
        else:
            pytest.fail("the run ended before it could be killed")
    time.sleep(3)  # Ray notices that its driver is gone
    return found[-1]


@pytest.mark.parametrize("where", ["ray", "local"])
def test_ctrl_c_stops_in_one_line(where: str, tmp_path: Path) -> None:
    executable = str(Path(sys.executable).parent / "medray")
    command = [executable, "synthesise", str(tmp_path / "big"), "--set", "patients=20000", "--executor", where]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "write big" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert [line for line in rest.splitlines() if line.startswith("medray: ")] == [
        "medray: stopped; the same command goes on where it was"
    ]
    assert "Traceback" not in rest
