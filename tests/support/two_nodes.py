"""A Ray cluster of two nodes on this machine, in a process of its own: ``python two_nodes.py`` prints its address.

It ends when standard input is closed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

NETWORKED = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"}
"""In the environment of the nodes and of those who join them: the nodes are on the network, as those of a real cluster."""


@contextmanager
def cluster_running(variables: Mapping[str, str]) -> Iterator[str]:
    """The address of a cluster whose nodes have these variables in their environment."""
    environment = {**os.environ, **NETWORKED, **variables}
    command = [sys.executable, __file__]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait(60)


def main() -> None:
    """Start the nodes, and stop them at the end of standard input."""
    from ray.cluster_utils import Cluster

    node: dict[str, Any] = {"num_cpus": 1, "memory": 4 << 30, "object_store_memory": 80 << 20}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    cluster.add_node(**node)
    print(cluster.address, flush=True)
    sys.stdin.read()
    cluster.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
