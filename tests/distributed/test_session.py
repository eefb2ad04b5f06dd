"""A session of this machine listens on it alone, or does not start; an open cluster is not joined by accident."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

IMPORTED_BEFORE = """
import ipaddress, ray
if ipaddress.ip_address(ray.util.get_node_ip_address()).is_loopback:
    raise SystemExit("no network")
from medray.distributed.session import ClusterSpec, session
from medray.errors import ClusterError
try:
    with session(ClusterSpec(address="local")):
        raise SystemExit("it started")
except ClusterError as error:
    raise SystemExit(str(error))
"""


def test_a_ray_that_would_listen_on_the_network_is_not_started() -> None:
    env = {name: value for name, value in os.environ.items() if name != "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"}
    done = subprocess.run([sys.executable, "-c", IMPORTED_BEFORE], env=env, capture_output=True, text=True, timeout=120)
    if "no network" in done.stderr:
        pytest.skip("this machine has no network")
    said = "CLUSTER_RAY_IMPORTED: ray was imported before it was told to listen on this machine alone"
    assert done.stderr.splitlines()[-1].startswith(said)
    assert "(import ray later, " in done.stderr


def test_an_open_cluster_is_not_joined_by_accident(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH_")}
    command = [sys.executable, "-c", "from medray.cli import main; main()", "serve", "stop", "--address", "127.0.0.1:9"]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "CLUSTER_OPEN: the cluster at 127.0.0.1:9 would be joined without a token" in done.stderr
    assert done.stderr.count("\n") == 1
