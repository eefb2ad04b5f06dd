"""``medray serve`` as a command: its sockets and its end on this machine, its token and its life on a cluster of two nodes."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import grpc
import httpx
import pytest
from ray.serve.generated.serve_pb2 import ASGIRequest
from ray.serve.generated.serve_pb2_grpc import ASGIServiceStub
from seaweed import free_ports
from sockets import beyond_this_machine, family, listening
from two_nodes import NETWORKED, cluster_running

Run = Callable[..., "CompletedProcess[str]"]
SECRET = "s3cret-Token"
AS_USERS_HAVE_IT = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MEDRAY_"))}


@contextmanager
def serving(*arguments: str, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """``medray serve`` in a process group of its own, as a terminal starts it."""
    command = [str(Path(sys.executable).parent / "medray"), "serve", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=env, start_new_session=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_an_endpoint_of_this_machine_listens_on_loopback_alone_and_leaves_nothing(trained: Any, tmp_path: Path) -> None:
    """Every socket of Ray's and Serve's processes is read while it serves; then Ctrl-C reaches the whole process group."""
    (port,) = free_ports(1)
    bundle = trained.bundles["svm"].uri
    with serving(bundle, "--port", str(port), env=AS_USERS_HAVE_IT) as process:
        assert first_line(process) == f"serving {bundle} at http://127.0.0.1:{port}", process.communicate()
        found = listening(process.pid)
        assert any(number == port for _, number, _ in found)
        assert len(found) > 8, "GCS, raylet, agents and workers listen"
        beyond = beyond_this_machine(found)
        assert [name for _, _, name in beyond] == ["ray::ServeRepli"], "Serve opens it on every interface: see docs/ports.md"
        assert_refuses_without_the_token_of_ray(beyond[0][1], tmp_path / "made")
        children = family(process.pid) - {process.pid}
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert err == f"medray: {bundle} is no longer served\n"
    assert gone(children, within_s=10)
    assert not answers(port)


class MakesFolder:
    """A pickle of it makes a folder where it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def assert_refuses_without_the_token_of_ray(port: int, made: Path) -> None:
    """Calls between replicas are pickles: one that comes without Ray's token is not read."""
    request = ASGIRequest(pickled_request_metadata=pickle.dumps(MakesFolder(made)))
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError) as caught:
        ASGIServiceStub(channel).HandleRequest(request, timeout=20)
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert not made.exists()


def gone(processes: set[int], within_s: float) -> bool:
    until = time.monotonic() + within_s
    while any(alive(pid) for pid in processes) and time.monotonic() < until:
        time.sleep(0.1)
    return not any(alive(pid) for pid in processes)


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie, which has no command line."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("arguments", [("status",), ("stop",), ("BUNDLE", "--detach")])
def test_what_needs_a_cluster_says_so(trained: Any, medray: Run, arguments: tuple[str, ...]) -> None:
    words = [trained.bundles["svm"].uri if word == "BUNDLE" else word for word in arguments]
    done = medray("serve", *words)
    assert done.returncode == 1
    assert re.fullmatch(r"medray: CONFIG_INVALID: .*an endpoint of this machine alone ends with its command .*\n", done.stderr)


# --- a cluster of two nodes, whose environment knows no token ------------------------------------------------------------------


@pytest.fixture(scope="module")
def ports() -> list[int]:
    """Of the head's proxy, of the other node's, and one more."""
    return free_ports(3)


@pytest.fixture(scope="module")
def cluster(ports: list[int]) -> Iterator[str]:
    """Two nodes of one machine; Serve's proxy on the second one listens on a port of its own, so that each can be asked."""
    with cluster_running({"RAY_SERVE_WORKER_PROXY_HTTP_PORT": str(ports[1])}) as address:
        yield address


@pytest.fixture
def run(cluster: str, medray: Run, tmp_path: Path) -> Run:
    """``medray serve`` on the cluster, with the token in a file."""
    (tmp_path / "token").write_text(f"{SECRET}\n")
    env = {**NETWORKED, "RAY_ADDRESS": cluster, "MEDRAY_SERVE_TOKEN_FILE": str(tmp_path / "token")}
    return lambda *words: medray("serve", *words, env=env)


def score(port: int, dicom: bytes, authorization: str = "") -> httpx.Response:
    headers = {"Authorization": authorization} if authorization else {}
    return httpx.post(f"http://127.0.0.1:{port}/v1/score", files=[("files", ("a.dcm", dicom))], headers=headers, timeout=60)


@pytest.mark.slow
def test_the_token_holds_on_every_node_and_the_endpoint_is_found_and_stopped(
    trained: Any, run: Run, ports: list[int], archive: Path
) -> None:
    dicom = next((archive / "images").rglob("*.dcm")).read_bytes()
    bundle, other = trained.bundles["svm"], trained.bundles["xgb"]
    detached = run(bundle.uri, "--port", str(ports[0]), "--replicas", "2", "--detach")
    assert (detached.returncode, detached.stderr) == (0, "")
    assert detached.stdout.startswith(f"serving {bundle.uri} at http://127.0.0.1:{ports[0]} on ")
    assert detached.stdout.endswith(" with a token\n")

    for port in ports[:2]:
        for header in ("", SECRET, "Bearer wrong", "Bearer", f"Basic {SECRET}"):
            refused = score(port, dicom, header)
            assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer"), (port, header)
        given = score(port, dicom, f"bearer {SECRET}")
        assert (given.status_code, given.json()["model"]) == (200, "tiny-svm")

    status = json.loads(run("status", "--json").stdout)
    assert (status["state"], status["model"], status["token"], status["replicas"]) == ("RUNNING", "tiny-svm", True, 2)
    assert (status["bundle"], status["url"], len(status["nodes"])) == (bundle.uri, f"http://127.0.0.1:{ports[0]}", 2)

    second = run(other.uri, "--port", str(ports[2]))
    assert (second.returncode, second.stdout) == (1, "")
    message = f"this cluster already serves tiny-svm ({bundle.uri}) at http://127.0.0.1:{ports[0]}"
    assert second.stderr.startswith(f"medray: SERVE_RUNNING: {message} (")
    assert second.stderr.count("\n") == 1
    assert not answers(ports[2])
    assert httpx.get(f"http://127.0.0.1:{ports[0]}/healthz", timeout=30).json()["bundle"] == bundle.fingerprint

    stopped = run("stop")
    assert (stopped.returncode, stopped.stdout, stopped.stderr) == (0, "the endpoint is down\n", "")
    assert not any(answers(port) for port in ports)
    for again in ("stop", "status"):
        nothing = run(again)
        assert (nothing.returncode, nothing.stdout) == (1, "")
        assert nothing.stderr.startswith("medray: SERVE_NOT_RUNNING: ")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_takes_the_endpoint_of_a_cluster_down(
    trained: Any, cluster: str, run: Run, ports: list[int], number: signal.Signals
) -> None:
    bundle = trained.bundles["svm"].uri
    env = {**os.environ, **NETWORKED, "RAY_ADDRESS": cluster, "MEDRAY_SERVE_TOKEN": SECRET}
    with serving(bundle, "--port", str(ports[0]), env=env) as process:
        assert first_line(process).startswith(f"serving {bundle} at "), process.communicate()
        assert answers(ports[0])
        os.killpg(process.pid, number)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, f"medray: {bundle} is no longer served\n")
    assert not answers(ports[0])
    assert "SERVE_NOT_RUNNING" in run("status").stderr


@pytest.mark.slow
def test_a_command_whose_endpoint_another_command_stopped_ends(trained: Any, cluster: str, run: Run, ports: list[int]) -> None:
    env = {**os.environ, **NETWORKED, "RAY_ADDRESS": cluster, "MEDRAY_SERVE_TOKEN": SECRET}
    with serving(trained.bundles["svm"].uri, "--port", str(ports[0]), env=env) as process:
        assert first_line(process).startswith("serving "), process.communicate()
        assert run("stop").returncode == 0
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert re.fullmatch(r"medray: SERVE_ENDED: [^\n]*\n", err)
