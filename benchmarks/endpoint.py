"""The endpoint with a network: one file a request, many files a request, many clients; beside the bundle itself, and beside
requests of the same size that nothing is scored of, which is what HTTP alone takes.

python benchmarks/endpoint.py [--images 320] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="benchmarks-0123456789abcdef0123456789abcdef")
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # loopback alone; Ray is imported before the session says so

import cv2
import httpx
from fitted import archive, bundles
from results import publish

from medray.bundles.bundle import Bundle
from medray.distributed.serve import ServeSpec, start
from medray.distributed.session import ClusterSpec, session

PORT, FILES, CLIENTS = 18777, 16, 16


def direct(bundle: Bundle, images: Sequence[bytes], together: int) -> None:
    """Score in this process."""
    for first in range(0, len(images), together):
        bundle.predict(images[first : first + together])


def posted(images: Sequence[bytes], together: int, clients: int = 1) -> None:
    """Score by HTTP."""
    with httpx.Client(timeout=60) as client, ThreadPoolExecutor(clients) as threads:

        def post(first: int) -> None:
            files = [("files", ("a.dcm", data)) for data in images[first : first + together]]
            client.post(f"http://127.0.0.1:{PORT}/v1/score", files=files).raise_for_status()

        list(threads.map(post, range(0, len(images), together)))


def refused(size_bytes: int, requests: int, clients: int) -> None:
    """Send files of this size that are no images."""
    with httpx.Client(timeout=60) as client, ThreadPoolExecutor(clients) as threads:

        def post(_: int) -> None:
            files = [("files", ("a.dcm", bytes(size_bytes)))]
            assert client.post(f"http://127.0.0.1:{PORT}/v1/score", files=files).status_code == 422

        list(threads.map(post, range(requests)))


def report(count: int, rounds: int) -> None:
    """Run everything and publish it."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(prefix="medray-endpoint-") as name:
        archive(Path(name) / "learnt", 200)
        images = [path.read_bytes() for path in archive(Path(name) / "scored", count)]
        model = {"family": "cnn", "input": "image", "params": {"epochs": 1, "members": 5}}
        bundle = bundles(Path(name) / "learnt", {"cnn": model}).bundles["cnn"]
        assert isinstance(bundle, Bundle)
        with session(ClusterSpec(address="local")):
            start(bundle.uri, ServeSpec(port=PORT))
            ways: Mapping[str, Callable[[], None]] = {
                "the bundle, one image at a time": partial(direct, bundle, images, 1),
                f"the bundle, {FILES} at a time": partial(direct, bundle, images, FILES),
                "the endpoint, one file a request, one client": partial(posted, images, 1),
                f"the endpoint, one file a request, {CLIENTS} clients": partial(posted, images, 1, CLIENTS),
                f"the endpoint, {FILES} files a request, one client": partial(posted, images, FILES),
                "HTTP alone, one client": partial(refused, len(images[0]), count, 1),
                f"HTTP alone, {CLIENTS} clients": partial(refused, len(images[0]), count, CLIENTS),
            }
            best = dict.fromkeys(ways, 0.0)
            for _ in range(rounds):
                for way, run in ways.items():
                    started = time.perf_counter()
                    run()
                    best[way] = max(best[way], count / (time.perf_counter() - started))
    lines = [
        "| | images/s, or requests/s, best of the rounds |",
        "|---|---|",
        *(f"| {way} | {rate:.0f} |" for way, rate in best.items()),
    ]
    publish("The endpoint", "python benchmarks/endpoint.py", "\n".join(lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    report(options.images, options.rounds)
