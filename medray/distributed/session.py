"""The Ray session: start one on this machine or join a cluster, never an open one by accident."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import Field

from medray.errors import ClusterError
from medray.spec import Spec

_WORKER_ENV = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
}
"""One library thread per worker: parallelism comes from actors. Fits raise the limit for themselves."""


class ClusterSpec(Spec):
    """Which Ray to use."""

    address: str | None = Field(
        None, description="host:port or 'auto' joins a cluster, 'local' starts one here; default: RAY_ADDRESS, else local"
    )
    cpus: int | None = Field(None, ge=1, description="CPUs of a local session; default: all")
    allow_open: bool = Field(False, description="join a cluster that runs without token authentication")
    dashboard: bool = Field(False, description="start the dashboard with a local session")


@contextmanager
def session(spec: ClusterSpec) -> Iterator[None]:
    """Connect to Ray for the length of a command; does nothing inside a session that already runs.

    Raises:
        ClusterError: CLUSTER_OPEN, CLUSTER_UNREACHABLE.
    """
    address = address_of(spec)
    _authenticate(address, spec.allow_open)
    import ray

    if ray.is_initialized():
        yield
        return
    _connect(address, spec)
    try:
        yield
    finally:
        ray.shutdown()


def address_of(spec: ClusterSpec) -> str:
    """The address that a spec means: its own, that of the environment, or ``"local"``."""
    return spec.address or os.environ.get("RAY_ADDRESS") or "local"


def is_local(spec: ClusterSpec) -> bool:
    """Whether the session will run on this machine alone."""
    return address_of(spec) == "local"


def _authenticate(address: str, allow_open: bool) -> None:
    """State the authentication mode: what Ray does by itself depends on which command ran first on the machine."""
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


def _connect(address: str, spec: ClusterSpec) -> None:
    import ray

    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else Ray Data's every actor pool prints an error that is none
    local = {"num_cpus": spec.cpus, "include_dashboard": spec.dashboard} if address == "local" else {}
    try:
        ray.init(
            address=address,
            runtime_env={"env_vars": _WORKER_ENV},
            logging_level=logging.ERROR,
            log_to_driver=False,
            configure_logging=True,
            **local,
        )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        detail = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise ClusterError("CLUSTER_UNREACHABLE", f"cannot use Ray at {address}: {detail}", "check the address and the token") from error
    quiet()


def quiet() -> None:
    """Keep Ray's own progress bars and chatter off the terminal; medray shows its own."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in ("ray.data", "ray.train", "ray.tune", "ray.serve"):
        logging.getLogger(name).setLevel(logging.ERROR)


def cpus() -> int:
    """CPUs of the cluster."""
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def gpus() -> int:
    """GPUs of the cluster."""
    import ray

    return int(ray.cluster_resources().get("GPU", 0))
