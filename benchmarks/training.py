"""Training a network on samples in files: beside the same loop in memory, a plain PyTorch loop, and on more than memory holds.

    python benchmarks/training.py [--rounds 6] [--images 648] [--limit-mib 1024]

A child process is limited by RLIMIT_DATA: memory that it allocates counts, pages of mapped files do not, as the kernel takes them
back whenever others need them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from results import publish
from torch import nn

from medray.data import tables
from medray.distributed.session import ClusterSpec, session
from medray.distributed.train import fit_all
from medray.imaging.augment import augment
from medray.models.cnn.family import CNN
from medray.models.cnn.network import build_network
from medray.models.cnn.params import CnnParams
from medray.models.deep.batches import torch_threads
from medray.models.deep.loop import learning_rate
from medray.models.family import ArraySamples, FitData, LocalContext
from medray.tasks.binary import Binary
from medray.types import State, UInt8
from medray.work.chunk_file import placed, set_apart
from medray.work.fit import FitJob, Scaling, fit_data
from medray.work.outcome import OUTCOME
from medray.work.record import Record

TASK = Binary(target="malignant")
SIDE, EPOCHS, EPOCHS_ON_RAY = 128, 3, 12  # reports of Ray's workers arrive with up to half a second of delay
PARAMS = CnnParams(members=1, epochs=EPOCHS)
LARGE_SIDE, LARGE = 512, CnnParams(members=1, width=4, epochs=1, batch_size=32)
TIMES = 5
SPARING = {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", "ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Allocators that reserve no memory beyond what they use, which would count."""


def write_set(folder: Path, count: int, side: int, per_file: int = 256, dtype: str = "uint8") -> FitJob:
    """Random samples, every second one with a bright square, as the job of preparing writes them; all but 8 are learnt from."""
    record = Record(dtype, (side, side))
    schema = pa.schema([*OUTCOME, pa.field("sample", pa.binary(record.size))])
    uri = str(folder / "table")
    tables.create(uri, placed(schema))
    made = []
    for start in range(0, count, per_file):
        rows = [_row(index, record) for index in range(start, min(start + per_file, count))]
        name = f"part-{start:07d}.parquet"
        data = tables.parquet_bytes(set_apart(pa.Table.from_pylist(rows, schema=schema), uri, f"part-{start:07d}"))
        (folder / "table" / name).write_bytes(data)
        made.append((name, len(data), tables.count_only(len(rows))))
    tables.swap(tables.open_table(uri), made, [])
    names = [f"image-{index:07d}" for index in range(count)]
    split = ["val" if index < 8 else "train" for index in range(count)]
    samples = {"uri": names, "etag": ["1"] * count, "target": np.arange(count) % 2, "group": names, "split": split}
    pq.write_table(pa.table(samples), folder / "samples.parquet")
    return FitJob("cnn", "cnn", {}, TASK, str(folder / "samples.parquet"), uri, record, (), str(folder / "fit"), 0)


def _row(index: int, record: Record) -> dict[str, Any]:
    outcome = dict.fromkeys((field.name for field in OUTCOME), "")
    image = _image(index, record.shape[0])
    return {
        **outcome,
        "uri": f"image-{index:07d}",
        "etag": "1",
        "state": State.SCORED.value,
        "sample": record.packed(image.astype(record.dtype)),
    }


def _image(index: int, side: int) -> UInt8:
    image = np.random.default_rng(index).integers(0, 128, (side, side), dtype=np.uint8)
    if index % 2:
        image[side // 4 : side // 2, side // 4 : side // 2] += np.uint8(100)
    return image


class Epochs:
    """When each epoch ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def __call__(self, *report: object) -> None:
        self.ends.append(time.perf_counter())

    def seconds(self) -> float:
        """Of an epoch after the first."""
        return (self.ends[-1] - self.ends[0]) / (len(self.ends) - 1)


def fitted(data: FitData) -> float:
    """Seconds of an epoch of medray's loop in this process."""
    epochs = Epochs()
    CNN.fit(data, TASK, PARAMS, LocalContext(on_report=epochs))
    return epochs.seconds()


def plain(data: FitData, together: int) -> float:
    """Seconds of an epoch of a plain PyTorch loop: shuffled batches, augmented alike, so many images passing at a time."""
    images, y = data.train.batch(np.arange(len(data.train))).x, torch.from_numpy(data.train.y)
    rng = np.random.default_rng(0)
    network = build_network(PARAMS, 1, 2)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    epochs, steps, step = Epochs(), len(y) // PARAMS.batch_size, 0
    with torch_threads(1):
        for _ in range(EPOCHS):
            network.train()
            for chosen in torch.randperm(len(y))[: steps * PARAMS.batch_size].reshape(steps, -1):
                optimizer.zero_grad()
                for group in chosen.split(together):
                    x = torch.from_numpy(augment(images[group.numpy()], PARAMS.augment, rng))
                    logits = network(x[:, None])
                    (nn.functional.cross_entropy(logits.flatten(0, 1), y[group]) * len(group) / len(chosen)).backward()
                nn.utils.clip_grad_norm_(network.parameters(), PARAMS.clip_norm)
                optimizer.param_groups[0]["lr"] = learning_rate(PARAMS, step / (EPOCHS * steps))
                optimizer.step()
                step += 1
            epochs()
    return epochs.seconds()


def on_ray(job: FitJob, folder: Path) -> float:
    """Seconds of an epoch of Ray Train with one worker, as they reach this process."""
    epochs = Epochs()
    params = PARAMS.model_dump(mode="json") | {"epochs": EPOCHS_ON_RAY}
    fit_all([(replace(job, params=params, fit_uri=str(folder)), Scaling(workers=1, threads=1))], epochs)
    return epochs.seconds()


@contextmanager
def watched() -> Iterator[list[tuple[float, float]]]:
    """(seconds since the start, MiB of memory of this process that is not of files), several times a second."""
    found: list[tuple[float, float]] = []
    done = threading.Event()
    started = time.monotonic()

    def watch() -> None:
        while not done.wait(0.25):
            status = Path("/proc/self/status").read_text()
            kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))
            found.append((time.monotonic() - started, kib / 1024))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


def limited(folder: Path, count: int, limit: int) -> None:
    """In a child: one epoch over the set under the limit; prints what was measured as JSON."""
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    job = describe(folder)
    started = time.perf_counter()
    with watched() as memory, fit_data(job) as data:
        CNN.fit(data, TASK, LARGE, LocalContext())
    seconds = time.perf_counter() - started
    parts = [max(mib for at, mib in memory if low * seconds <= at <= (low + 0.25) * seconds) for low in (0, 0.25, 0.5, 0.75)]
    print(json.dumps({"seconds": seconds, "peaks_mib": parts, "images": count - 8}))


def describe(folder: Path) -> FitJob:
    """The job of the large set."""
    record = Record("float32", (LARGE_SIDE, LARGE_SIDE))
    return FitJob("cnn", "cnn", {}, TASK, str(folder / "samples.parquet"), str(folder / "table"), record, (), "", 0)


def beyond_memory(folder: Path, limit: int) -> dict[str, Any]:
    """Train on five times the limit."""
    count = TIMES * limit // (4 * LARGE_SIDE**2)
    write_set(folder, count, LARGE_SIDE, 64, "float32")
    command = [sys.executable, __file__, "--child", str(folder), "--images", str(count), "--limit-mib", str(limit >> 20)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **SPARING})
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def in_memory(data: FitData) -> FitData:
    """The same samples as arrays."""
    sides = ((side, side.batch(np.arange(len(side)))) for side in (data.train, data.valid))
    return FitData(*(ArraySamples(batch.x, batch.y, side.groups) for side, batch in sides))


def report(rounds: int, images: int, limit: int) -> None:
    """Run everything and publish it."""
    with tempfile.TemporaryDirectory(prefix="medray-training-") as name:
        large = beyond_memory(Path(name) / "large", limit)
        print(large, flush=True)
    found: dict[str, list[float]] = {"whole": [], "plain": [], "memory": [], "files": [], "ray": []}
    with tempfile.TemporaryDirectory(prefix="medray-training-") as name, session(ClusterSpec(address="local")):
        (Path(name) / "set").mkdir()
        job = write_set(Path(name) / "set", images, SIDE)
        with fit_data(job) as data:
            arrays = in_memory(data)
            ways: Mapping[str, Callable[[int], float]] = {
                "whole": lambda _: plain(arrays, PARAMS.batch_size),
                "plain": lambda _: plain(arrays, PARAMS.group_size),
                "memory": lambda _: fitted(arrays),
                "files": lambda _: fitted(data),
                "ray": lambda number: on_ray(job, Path(name) / f"fit-{number}"),
            }
            for number in range(rounds):
                for way in list(ways)[:: 1 if number % 2 else -1]:
                    found[way].append(ways[way](number))
                print({way: round(values[-1], 2) for way, values in found.items()}, flush=True)
    seconds = {way: min(values) for way, values in found.items()}

    def ratio(one: str, other: str) -> float:
        return seconds[one] / seconds[other]

    lines = [
        f"{images - 8} images of {SIDE} × {SIDE}, one thread; seconds of an epoch after the first, best of {rounds} rounds.",
        "",
        "| | s | ratio (asked) |",
        "|---|---|---|",
        f"| plain PyTorch loop, images in memory, batches of {PARAMS.batch_size} at once | {seconds['whole']:.2f} | |",
        f"| the same, in groups of {PARAMS.group_size}, as medray's statistics are taken | {seconds['plain']:.2f} | |",
        f"| medray's loop, images in memory | {seconds['memory']:.2f} | {ratio('memory', 'plain'):.2f} × plain in groups |",
        f"| medray's loop, images in files | {seconds['files']:.2f} | {ratio('memory', 'files'):.3f} of in memory (.95) |",
        f"| Ray Train, one worker, images in files | {seconds['ray']:.2f} | "
        f"{ratio('ray', 'plain'):.2f} × plain in groups (1.10), {ratio('ray', 'whole'):.2f} × at once |",
        "",
        f"A set of {TIMES * limit / 2**30:.1f} GiB under a limit of {limit / 2**30:.1f} GiB: {large['images']} images in "
        f"{large['seconds']:.0f} s; most memory of each quarter: {', '.join(f'{mib:.0f}' for mib in large['peaks_mib'])} MiB.",
    ]
    publish("Training on samples in files", "python benchmarks/training.py", "\n".join(lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--images", type=int, default=648)
    parser.add_argument("--limit-mib", type=int, default=1024)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        limited(options.child, options.images, options.limit_mib << 20)
    else:
        report(options.rounds, options.images, options.limit_mib << 20)
