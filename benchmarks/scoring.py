"""Scoring an archive with a network: medray on Ray and without it, beside a plain loop of the same work on one core.

    python benchmarks/scoring.py [--images 12000] [--rounds 3]

The loop decodes, preprocesses and computes in the same batches; it fetches from the page cache and writes nothing. Run on every
core at once it says how much the cores are worth together.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from medray.work.environment import WORKER_ENV

if __name__ == "__main__" and not WORKER_ENV.keys() <= os.environ.keys():  # the C library reads some of it when a process starts
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **WORKER_ENV})

import cv2
import numpy as np
import pyarrow as pa
from fitted import archive, bundles
from results import publish
from streaming_runs import CORES, Marks, middle

from medray.bundles.bundle import Bundle, open_bundle
from medray.data import store
from medray.data.dicom import decode
from medray.distributed.dataset import on_ray
from medray.distributed.session import ClusterSpec, session
from medray.runs.score import object_rows
from medray.work.local import on_this_machine
from medray.work.process import RunBlocks, process
from medray.work.score import score_job

BATCH = 8
ASKED = 0.85


def plain(bundle: Bundle, paths: list[Path], batch: int = BATCH) -> float:
    """Images a second of a loop in this process."""
    started = time.perf_counter()
    for start in range(0, len(paths), batch):
        images = [decode(path.read_bytes()) for path in paths[start : start + batch]]
        bundle.model.predict(np.stack([bundle.input.apply(image) for image in images]))
    return len(paths) / (time.perf_counter() - started)


def plain_of(uri: str, paths: list[Path]) -> float:
    """Images a second of a loop in a process of its own."""
    cv2.setNumThreads(1)
    bundle = open_bundle(uri)
    assert isinstance(bundle, Bundle)
    plain(bundle, paths[:64])
    return plain(bundle, paths)


def together(uri: str, paths: list[Path]) -> float:
    """Images a second of as many loops as there are cores, side by side."""
    with multiprocessing.get_context("spawn").Pool(CORES) as pool:
        return sum(pool.starmap(plain_of, [(uri, paths)] * CORES, chunksize=1))


def rate(rows: pa.Table, uri: str, run: RunBlocks) -> float:
    """Images a second of the middle of a run."""
    marks: Marks = []
    with tempfile.TemporaryDirectory(prefix="medray-scoring-") as name:
        process(rows, score_job({"": uri}), f"{name}/table", run, lambda done, _: marks.append((done, time.perf_counter())))
    images, seconds = middle(marks)
    return images / seconds


def report(count: int, rounds: int) -> None:
    """Run everything and publish it."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(prefix="medray-scoring-") as name:
        archive(Path(name) / "learnt", 200)
        paths = archive(Path(name) / "scored", count)
        model = {"family": "cnn", "input": "image", "params": {"epochs": 1, "members": 1}}
        bundle = bundles(Path(name) / "learnt", {"cnn": model}).bundles["cnn"]
        assert isinstance(bundle, Bundle)
        rows = object_rows(store.list_objects(str(Path(name) / "scored" / "images")))
        found: dict[str, list[float]] = {"loop": [], "together": [], "one by one": [], "local": [], "ray": []}
        with session(ClusterSpec(address="local")):
            plain(bundle, paths[:64])
            for _ in range(rounds):
                found["loop"].append(plain(bundle, paths[: count // 8]))
                found["together"].append(together(bundle.uri, paths[: count // 8]))
                found["one by one"].append(plain(bundle, paths[: count // 48], 1))
                found["local"].append(rate(rows, bundle.uri, on_this_machine(CORES)))
                found["ray"].append(rate(rows, bundle.uri, on_ray(CORES)))
                print({name: round(values[-1]) for name, values in found.items()}, flush=True)
    rates = {name: median(values) for name, values in found.items()}
    ideal = CORES * rates["loop"]
    lines = [
        "| | images/s | of cores × the loop (asked) |",
        "|---|---|---|",
        f"| plain loop, one core, batches of {BATCH} | {rates['loop']:.0f} | |",
        f"| plain loops, one on each core at once | {rates['together']:.0f} | {rates['together'] / ideal:.2f} |",
        f"| plain loop, one core, one by one in padded batches | {rates['one by one']:.0f} | |",
        f"| medray on Ray, {CORES} actors | {rates['ray']:.0f} | {rates['ray'] / ideal:.2f} ({ASKED}) |",
        f"| medray without Ray, {CORES} processes | {rates['local']:.0f} | {rates['local'] / ideal:.2f} ({ASKED}) |",
    ]
    publish("Scoring with a network", "python benchmarks/scoring.py", "\n".join(lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=12_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    report(options.images, options.rounds)
