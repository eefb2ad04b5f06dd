"""A session of this machine listens on it alone, or does not start."""

from __future__ import annotations

import os
import subprocess
import sys

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
    assert "CLUSTER_RAY_IMPORTED: ray was imported before it was told to listen on this machine alone" in done.stderr
