"""The life of the endpoint on a cluster: what runs there, starting it, taking it down."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import ray
from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve import RunTarget
from ray.serve.exceptions import RayServeException
from ray.serve.schema import ServeStatus

from medray.errors import ClusterError
from medray.spec import Spec

if TYPE_CHECKING:
    from medray.distributed.serve import ServeSpec

APPLICATION = "medray"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
EVERY_INTERFACE = ("0.0.0.0", "::")
_ANSWER_S, _PROXIES_S = 10.0, 30.0


class Facts(Spec):
    """What an endpoint says of itself."""

    deployment: str = ""
    bundle: str = ""
    model: str = ""
    bundle_fingerprint: str = ""
    host: str = ""
    port: int = 0
    everywhere: bool = False
    request_timeout_s: float = 0.0
    token: bool = True

    @property
    def url(self) -> str:
        """Where it listens, on each of its nodes."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


class Endpoint(Spec):
    """An endpoint that is on the cluster; ``facts`` is None while none of its replicas answers."""

    state: str
    replicas: int
    nodes: tuple[str, ...]
    facts: Facts | None


def running() -> Endpoint | None:
    """The endpoint of the cluster that this process is connected to, if there is one."""
    status = _status()
    found = status.applications.get(APPLICATION)
    if found is None:
        return None
    states = [item for deployment in found.deployments.values() for item in deployment.replica_states.items()]
    replicas = sum(count for state, count in states if state == "RUNNING")
    facts = _facts() if replicas else None
    return Endpoint(state=found.status.value, replicas=replicas, nodes=_nodes(status, "HEALTHY"), facts=facts)


def there(deployment: str) -> bool:
    """Whether the endpoint is still this deployment: nobody stopped or replaced it, as far as it answers."""
    found = running()
    return found is not None and (found.facts is None or found.facts.deployment == deployment)


def _status() -> ServeStatus:
    try:
        return serve.status()
    except RayActorError:  # another process has stopped Serve
        return ServeStatus()


def _facts() -> Facts | None:
    try:
        return Facts(**serve.get_app_handle(APPLICATION).facts.remote().result(timeout_s=_ANSWER_S))
    except (TimeoutError, RayError, RayServeException):
        return None


def _nodes(status: ServeStatus, *proxies: str) -> tuple[str, ...]:
    """Addresses of the nodes whose proxy is in one of these states."""
    addresses = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes()}  # type: ignore[no-untyped-call]
    return tuple(sorted(addresses.get(name, name) for name, proxy in status.proxies.items() if proxy.value in proxies))


def alone() -> bool:
    """Whether every node of the cluster is this machine."""
    addresses = {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}  # type: ignore[no-untyped-call]
    return addresses <= {ray.util.get_node_ip_address()}  # type: ignore[no-untyped-call]


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """For one command of the cluster: of two that start an endpoint at once, one would say that it serves where nothing listens.

    Raises:
        ClusterError: SERVE_RUNNING, another is starting one.
    """

    class Turn:
        """An actor whose name only one can have; it ends with its command."""

    try:
        turn: Any = ray.remote(num_cpus=0)(Turn).options(name="medray-serve-start", namespace=APPLICATION).remote()
    except ValueError as error:
        message = "another command is starting an endpoint on this cluster"
        raise ClusterError("SERVE_RUNNING", message, "`medray serve status` shows it once it runs") from error
    try:
        yield
    finally:
        ray.kill(turn)


def make_way(spec: ServeSpec, everywhere: bool, replace: bool) -> None:
    """Leave Serve as it is for a new model at the same place, or stopped.

    Args:
        spec: where the new one listens.
        everywhere: as :func:`deploy` takes it.
        replace: whether an endpoint that is there may go.

    Raises:
        ClusterError: SERVE_RUNNING, an endpoint or another application is there; SERVE_PORT, the port is taken.
    """
    _quiet()
    if others := sorted(set(_status().applications) - {APPLICATION}):
        message = f"Ray Serve runs {', '.join(others)} on this cluster, and the endpoint would share its address and limits"
        raise ClusterError("SERVE_RUNNING", message, "use a cluster of its own, or stop them")
    found = running()
    if found and not replace:
        hint = "stop it with `medray serve stop`, or put this model in its place with --replace"
        raise ClusterError("SERVE_RUNNING", f"this cluster already serves {_described(found)}", hint)
    place = {"host": spec.host, "port": spec.port, "everywhere": everywhere, "request_timeout_s": spec.request_timeout_s}
    if not (found and found.facts and found.facts.model_dump(include=set(place)) == place):
        serve.shutdown()  # type: ignore[no-untyped-call]
        if alone():
            _check_port(spec)


def _quiet() -> None:
    """Keep what Serve says of itself off the terminal; importing it sets its own level."""
    logging.getLogger("ray.serve").setLevel(logging.ERROR)


def _described(found: Endpoint) -> str:
    """An endpoint in words."""
    if found.facts is None:
        return f"an endpoint that does not answer ({found.state})"
    return f"{found.facts.model} ({found.facts.bundle}) at {found.facts.url}"


def _check_port(spec: ServeSpec) -> None:
    """Proxies of Serve share a port with any other of the same user, so that two models would answer by turns."""
    family = socket.AF_INET6 if ":" in spec.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((spec.host, spec.port))
        except OSError as error:
            message = f"cannot listen at {spec.host}:{spec.port}: {error.strerror}"
            raise ClusterError("SERVE_PORT", message, "choose another --port, or a --host of this machine") from error


def deploy(application: Any, spec: ServeSpec, everywhere: bool, stop: threading.Event) -> None:
    """Deploy an application and return once every proxy answers, or ``stop`` is set.

    Args:
        application: what Serve runs.
        spec: where it listens.
        everywhere: a proxy on every node with a replica; else on the head node alone.
        stop: ends the wait.

    Raises:
        ClusterError: SERVE_FAILED, SERVE_PORT.
    """
    options = {"host": spec.host, "port": spec.port, "request_timeout_s": spec.request_timeout_s}
    logs = {"log_level": "ERROR", "enable_access_log": False}
    try:
        serve.start("EveryNode" if everywhere else "HeadOnly", http_options=options, logging_config=logs)
        serve.run_many([RunTarget(application, name=APPLICATION)], wait_for_applications_running=False)
    except (RuntimeError, TimeoutError, RayError, RayServeException) as error:
        raise _failed(str(error)) from error
    _await_application(stop)
    _await_proxies(spec, stop)


def _failed(why: str) -> ClusterError:
    last = why.strip().splitlines()[-1][:200] if why.strip() else "Ray Serve says nothing"
    return ClusterError("SERVE_FAILED", f"the endpoint did not start: {last}", "run again with --debug")


def _await_application(stop: threading.Event) -> None:
    while not stop.wait(0.1):
        found = _status().applications.get(APPLICATION)
        if found is None:
            raise _failed("another command stopped it")
        if found.status.value == "DEPLOY_FAILED":
            raise _failed("\n".join([found.message, *(deployment.message for deployment in found.deployments.values())]))
        if found.status.value == "RUNNING":
            return


def _await_proxies(spec: ServeSpec, stop: threading.Event) -> None:
    until = time.monotonic() + _PROXIES_S
    while not stop.wait(0.1):
        status = _status()
        waiting = _nodes(status, "STARTING", "UNHEALTHY")
        if not waiting and _nodes(status, "HEALTHY"):
            return
        if time.monotonic() > until:
            message = f"nothing listens at {spec.host}:{spec.port} on {', '.join(waiting) or 'any node'} after {_PROXIES_S:g} s"
            raise ClusterError("SERVE_PORT", message, "choose another --port")


def take_down(deployment: str = "") -> bool:
    """Delete the endpoint, with Serve where nothing else runs on it; requests that are being scored end first.

    Args:
        deployment: only if the endpoint is still this one, and nobody replaced it.

    Returns:
        Whether there was one to delete.
    """
    _quiet()
    if deployment and not there(deployment):
        return False
    applications = set(_status().applications)
    if applications <= {APPLICATION}:
        serve.shutdown()  # type: ignore[no-untyped-call]
    else:
        serve.delete(APPLICATION)
    return APPLICATION in applications
