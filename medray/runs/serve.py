"""Serve a bundle until stopped, and find and stop what a cluster serves: ``medray serve``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import ValidationError

from medray.bundles.manifest import read_manifest
from medray.bundles.registry import recorded
from medray.data import store
from medray.distributed import session
from medray.distributed.access import stated_token
from medray.distributed.session import ClusterSpec
from medray.errors import ClusterError, ConfigError
from medray.explain import explain
from medray.runs.stopping import stopped_by_signals

if TYPE_CHECKING:
    from medray.distributed.serve import ServeSpec
    from medray.distributed.serving import Endpoint

_LOOK_S = 5.0


def serve_until_stopped(
    bundle_uri: str,
    cluster: ClusterSpec,
    host: str,
    port: int,
    replicas: int,
    on_ready: Callable[[Endpoint], None],
    *,
    detach: bool = False,
    replace: bool = False,
) -> bool:
    """Start the endpoint, call ``on_ready`` with it, stay until SIGINT or SIGTERM, and take it down again.

    Args:
        bundle_uri: a bundle.
        cluster: where it is served.
        host: address to listen on.
        port: port to listen on.
        replicas: copies of the model.
        on_ready: called once every node that serves answers.
        detach: return after that, and leave the endpoint on the cluster.
        replace: take the place of the endpoint that is there.

    Returns:
        Whether it served; False where it was stopped before.

    Raises:
        ConfigError: CONFIG_INVALID, SERVE_TOKEN; ClusterError; BundleError.
    """
    known = read_manifest(bundle_uri, recorded(bundle_uri)).fingerprint()  # report a wrong path, or token, before Ray starts
    stated_token()
    if detach and session.is_local(cluster):
        message = "an endpoint of this machine alone ends with its command"
        raise ConfigError("CONFIG_INVALID", message, "name a cluster (--address or RAY_ADDRESS), or leave --detach out")
    with (
        session.session(cluster),
        stopped_by_signals() as stop,  # after Ray, which sets handlers of its own
        _deployed(store.normalise(bundle_uri), known, _spec(host, port, replicas), replace, detach, stop) as deployment,
    ):
        if stop.is_set():
            return False
        on_ready(_found(cluster))
        if not detach:
            _stay(deployment, stop)
        return True


def _spec(host: str, port: int, replicas: int) -> ServeSpec:
    from medray.distributed.serve import ServeSpec

    try:
        return ServeSpec(host=host, port=port, replicas=replicas)
    except ValidationError as error:
        raise ConfigError("CONFIG_INVALID", explain(error, ServeSpec)) from error


@contextmanager
def _deployed(
    bundle_uri: str, fingerprint: str, spec: ServeSpec, replace: bool, detach: bool, stop: threading.Event
) -> Iterator[str]:
    """A deployment for the length of the block, or until ``stop``; ``detach`` leaves it after the block."""
    from medray.distributed import serving
    from medray.distributed.serve import start

    deployment = start(bundle_uri, spec, fingerprint, replace=replace, stop=stop)
    try:
        yield deployment
    finally:
        if stop.is_set() or not detach:
            serving.take_down(deployment)


def _stay(deployment: str, stop: threading.Event) -> None:
    """Until ``stop``.

    Raises:
        ClusterError: SERVE_ENDED, the endpoint is no longer this deployment.
    """
    from medray.distributed import serving

    while not stop.wait(_LOOK_S):
        if not serving.there(deployment):
            message = "another command stopped the endpoint, or put a model in its place"
            raise ClusterError("SERVE_ENDED", message, "`medray serve status` shows what runs")


def served(cluster: ClusterSpec) -> Endpoint:
    """What the cluster serves.

    Raises:
        ClusterError: SERVE_NOT_RUNNING, CLUSTER_OPEN, CLUSTER_UNREACHABLE; ConfigError: CONFIG_INVALID.
    """
    with _joined(cluster):
        return _found(cluster)


def stop_serving(cluster: ClusterSpec) -> None:
    """Take the cluster's endpoint down, whoever started it.

    Raises:
        As :func:`served`.
    """
    with _joined(cluster):
        from medray.distributed import serving

        found = serving.take_down()
    if not found:
        raise _not_running(cluster)


@contextmanager
def _joined(cluster: ClusterSpec) -> Iterator[None]:
    if session.is_local(cluster):
        message = "no cluster is named, and an endpoint of this machine alone ends with its command"
        raise ConfigError("CONFIG_INVALID", message, "give --address, or set RAY_ADDRESS")
    with session.session(cluster):
        yield


def _found(cluster: ClusterSpec) -> Endpoint:
    from medray.distributed import serving

    found = serving.running()
    if found is None:
        raise _not_running(cluster)
    return found


def _not_running(cluster: ClusterSpec) -> ClusterError:
    message = f"the cluster at {session.address_of(cluster)} serves nothing"
    return ClusterError("SERVE_NOT_RUNNING", message, "start it with `medray serve BUNDLE --address …`")
