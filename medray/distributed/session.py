"""The Ray session: start one on this machine or join a cluster, never an open one by accident."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from medray.distributed.failures import cause, lost
from medray.distributed.lifetime import ending_with_ray
from medray.errors import ClusterError
from medray.lifeline import last_words
from medray.spec import Spec
from medray.work.environment import WORKER_ENV, environment

_HEALTH = {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2"}
WORKERS = {**WORKER_ENV, **_HEALTH}
"""Environment of Ray's workers."""

DRIVER = {
    **_HEALTH,
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # it would take Ctrl-C for itself
    "RAY_task_oom_retries": "2",  # without end otherwise
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # its C++ core logs a false error for every actor pool, and a line about log settings
}
"""Environment of the command, where it says nothing else."""

JOINED = {"RAY_gcs_rpc_server_reconnect_timeout_s": "10"}
"""Likewise on a cluster, for a GCS that is gone: Ray waits for a minute, as some come back. That of this machine is looked at."""

LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"} | ({"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {})
"""What makes a session of this machine listen on its loopback address alone: where Ray thinks that it can join no other machine,
that is the node's address, and its servers bind to it. Ray has no parameter for it: an address of 127.0.0.1 that is given to it
becomes that of the network. Gloo takes the address of the machine's name, which may be that of the network."""

ACTOR_MEMORY_BYTES = 512 << 20
"""What one actor that reads images is counted for."""


class ClusterSpec(Spec):
    """Where the work is done, and which Ray to use."""

    executor: Literal["auto", "local", "ray"] = Field(
        "auto", description="this machine without Ray, or Ray; auto: Ray for large jobs, and where a cluster is named"
    )

    address: str | None = Field(
        None, description="host:port or 'auto' joins a cluster, 'local' starts one here; default: RAY_ADDRESS, else local"
    )
    cpus: int | None = Field(None, ge=1, description="CPUs of a local session; default: all")
    object_store_bytes: int | None = Field(
        None, ge=80 << 20, description="shared memory of a local session; default: Ray's, 30 % of the machine's"
    )
    allow_open: bool = Field(False, description="join a cluster that runs without token authentication")
    dashboard: bool = Field(False, description="start the dashboard with a local session")

    @model_validator(mode="after")
    def _local_has_no_address(self) -> ClusterSpec:
        if self.executor == "local" and self.address not in (None, "local"):
            raise ValueError(f"executor: local uses no cluster, and address names {self.address}")
        return self


_grows = False
"""Whether the session joined a cluster, which may get more nodes."""


@contextmanager
def session(spec: ClusterSpec) -> Iterator[None]:
    """Connect to Ray for the length of a command; does nothing inside a session that already runs.

    Raises:
        ClusterError: CLUSTER_OPEN, CLUSTER_UNREACHABLE, CLUSTER_START, CLUSTER_LOST; what :func:`cause` makes of Ray's errors.
    """
    if running():
        yield
        return
    address = address_of(spec)
    _authenticate(address, spec.allow_open)
    _import(address, spec.allow_open)
    from ray.exceptions import RayError

    with last_words(str(lost(address))):
        try:
            with ending_with_ray() as started:
                _connect(address, spec)
                started()
                yield
        except RayError as error:
            raise cause(error) from error
        finally:
            _leave()


def _leave() -> None:
    if running():
        import ray

        ray.shutdown()


def running() -> bool:
    """Whether this process is connected to Ray already; does not import it."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def address_of(spec: ClusterSpec) -> str:
    """The address that a spec means: its own, that of the environment, or ``"local"``."""
    return spec.address or os.environ.get("RAY_ADDRESS") or "local"


def is_local(spec: ClusterSpec) -> bool:
    """Whether the session will run on this machine alone."""
    return address_of(spec) == "local"


def _authenticate(address: str, allow_open: bool) -> None:
    """State the authentication mode: what Ray does by itself depends on which command ran first on the machine.

    Ray reads the mode when it is imported, so it is imported after this.
    """
    if "RAY_AUTH_MODE" not in os.environ and "ray" in sys.modules and not allow_open:
        message = "ray was imported before its authentication mode was stated"
        raise ClusterError("CLUSTER_RAY_IMPORTED", message, "set RAY_AUTH_MODE (and RAY_AUTH_TOKEN) first, or import ray later")
    if address == "local":
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        if os.environ["RAY_AUTH_MODE"] == "token":
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    elif os.environ.get("RAY_AUTH_MODE") != "token" and not allow_open:
        raise ClusterError(
            "CLUSTER_OPEN",
            f"the cluster at {address} would be joined without a token",
            "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH), or cluster.allow_open=true to accept it",
        )


def _import(address: str, allow_open: bool) -> None:
    """Import Ray, which reads much of its environment then; slow on a cold disk, so not part of what is timed.

    Raises:
        ClusterError: CLUSTER_RAY_IMPORTED, it was imported before, and would listen on the network.
    """
    for name, value in (DRIVER if address == "local" else DRIVER | JOINED).items():
        os.environ.setdefault(name, value)
    with environment(LOOPBACK if address == "local" else {}):
        import ray

    own = ip_address(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]
    if address == "local" and not own.is_loopback and not allow_open:
        message = "ray was imported before it was told to listen on this machine alone, and would listen on the network"
        hint = "import ray later, or set RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 first, or cluster.allow_open=true to accept it"
        raise ClusterError("CLUSTER_RAY_IMPORTED", message, hint)


def _connect(address: str, spec: ClusterSpec) -> None:
    hanging = str(_not_connected(TimeoutError("it ended, or hangs"), address))
    try:
        with last_words(hanging), _native_stderr_muted(), _sigterm_kept():
            _init(address, spec)
    except Exception as error:  # Ray raises plain ones
        raise _not_connected(error, address) from error
    global _grows
    _grows = address != "local"
    quiet()


def _not_connected(error: Exception, address: str) -> ClusterError:
    detail = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
    if address == "local":
        hint = (
            "run again when the machine is less busy; is there room in /tmp and /dev/shm? /tmp/ray/session_latest/logs says more"
        )
        return ClusterError("CLUSTER_START", f"Ray did not start on this machine: {detail}", hint)
    return ClusterError("CLUSTER_UNREACHABLE", f"cannot use Ray at {address}: {detail}", "check the address and the token")


def _init(address: str, spec: ClusterSpec) -> None:
    """Workers of a local session inherit their environment: those that Ray starts ahead are then used, not replaced."""
    local = address == "local"
    with environment({**WORKERS, **LOOPBACK} if local else {}):
        import ray

        ray.init(
            address=address,
            num_cpus=spec.cpus if local else None,
            object_store_memory=spec.object_store_bytes if local else None,
            include_dashboard=spec.dashboard if local else None,
            runtime_env=None if local else {"env_vars": WORKERS},
            logging_level=logging.ERROR,
            log_to_driver=False,
        )


@contextmanager
def _native_stderr_muted() -> Iterator[None]:
    """Drop what C++ code, and Ray's loggers, print to standard error; what goes wrong is raised as an exception anyway."""
    sys.stderr.flush()
    kept, native = os.dup(2), os.fdopen(2, "w", buffering=1, closefd=False)
    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stderr(native):
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Give SIGTERM back, which Ray takes: its handler exits with 1, and one below it prints the stacks of native code."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def quiet() -> None:
    """Keep Ray's own progress bars and chatter off the terminal; medray shows its own."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in ("ray.train", "ray.tune", "ray.serve"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # it logs what it raises


def cpus() -> int:
    """CPUs of the cluster."""
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]


def pool_size(actors: int | None = None) -> int:
    """The number of actors of one CPU each to start: as asked, or as many as the cluster holds.

    Waits ``MEDRAY_CLUSTER_WAIT_S`` seconds (60) for the nodes of a cluster that was joined, which may grow, and for a free CPU
    where others have taken all; actors that find none later start when one becomes free.

    Raises:
        ClusterError: CLUSTER_TOO_SMALL, the cluster never holds that many; CLUSTER_BUSY, others keep every CPU.
    """
    import ray

    wanted, limit_s = actors or 1, float(os.environ.get("MEDRAY_CLUSTER_WAIT_S", "60"))
    if wanted > _room() and _grows:
        _await_nodes(wanted, limit_s)
    if wanted > (room := _room()):
        message = f"{wanted} actors of one CPU and {ACTOR_MEMORY_BYTES >> 20} MiB each: the cluster has room for {room}"
        hint = "set resources.actors to what it holds, or add nodes (MEDRAY_CLUSTER_WAIT_S waits for them)"
        raise ClusterError("CLUSTER_TOO_SMALL", message, hint)
    until = time.monotonic() + limit_s
    while ray.available_resources().get("CPU", 0) < 1:  # type: ignore[no-untyped-call]
        if time.monotonic() > until:
            message = f"others hold every one of the {cpus()} CPUs of the cluster, and none became free in {limit_s:g} s"
            raise ClusterError("CLUSTER_BUSY", message, "run again later, or set MEDRAY_CLUSTER_WAIT_S to wait for longer")
        time.sleep(0.5)
    return actors or room


def _room() -> int:
    """How many actors the nodes hold that are there now."""
    import ray

    held = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return int(min(held.get("CPU", 0), held.get("memory", 0) // ACTOR_MEMORY_BYTES))


def _await_nodes(actors: int, limit_s: float) -> None:
    """Reserve room for the actors for a moment, so that an autoscaler adds nodes: it goes by what finds no place."""
    from ray.util.placement_group import placement_group, remove_placement_group

    group = placement_group([{"CPU": 1, "memory": ACTOR_MEMORY_BYTES}] * actors)
    group.wait(limit_s)
    remove_placement_group(group)


def gpus() -> int:
    """GPUs of the cluster."""
    import ray

    return int(ray.cluster_resources().get("GPU", 0))  # type: ignore[no-untyped-call]
