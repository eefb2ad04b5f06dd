"""Serve a bundle until stopped: ``medray serve``."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

from pydantic import ValidationError

from medray import lifeline
from medray.bundles.manifest import read_manifest
from medray.data import store
from medray.distributed import session
from medray.distributed.session import ClusterSpec
from medray.errors import ConfigError
from medray.explain import explain


def serve_until_stopped(
    bundle_uri: str, cluster: ClusterSpec, host: str, port: int, replicas: int, on_ready: Callable[[str], None]
) -> None:
    """Start the endpoint, call ``on_ready`` with its URL, and stay until SIGINT or SIGTERM.

    Raises:
        ConfigError: CONFIG_INVALID; ClusterError; BundleError.
    """
    read_manifest(bundle_uri)  # report a wrong path before Ray starts
    stop = threading.Event()
    with session.session(cluster):
        _start(store.normalise(bundle_uri), host, port, replicas)
        for name in (signal.SIGINT, signal.SIGTERM):  # after Ray, which sets handlers of its own
            signal.signal(name, lambda *_: stop.set())
        lifeline.stops_itself()
        on_ready(f"http://{host}:{port}")
        stop.wait()


def _start(bundle_uri: str, host: str, port: int, replicas: int) -> None:
    from medray.distributed.serve import ServeSpec, start

    try:
        spec = ServeSpec(host=host, port=port, replicas=replicas)
    except ValidationError as error:
        raise ConfigError("CONFIG_INVALID", explain(error, ServeSpec)) from error
    start(bundle_uri, spec)
