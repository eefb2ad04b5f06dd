"""The candidates of the pipeline's benchmark: one core, a process pool, medray, and a pool as people write it."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from streaming_archive import base_files

from medray.distributed.dataset import on_ray
from medray.features.table import FeatureSpec
from medray.imaging.preprocess import PreprocessSpec
from medray.work.extract import ExtractJob
from medray.work.process import process
from medray.work.shard import ShardWriter

CORES = os.cpu_count() or 1
LEVELS, RADII, OUTPUT = 32, (1, 2, 3), 256


def job(name: str, *families: dict[str, Any]) -> ExtractJob:
    steps = [{"op": "window"}, {"op": "resize", "rows": OUTPUT, "columns": OUTPUT}]
    preprocess = PreprocessSpec.model_validate({"steps": steps})
    return ExtractJob(preprocess, FeatureSpec.model_validate({"families": families}), name)


LIGHT = job("light", {"family": "intensity", "grid": 0, "centre": False})
FULL = job("full", {"family": "radiomics", "bin_count": LEVELS}, {"family": "lbp", "radii": RADII})
LENGTHS = {"light": 14_000, "full": 3_600}
"""Images of a run from local disk."""


ACTOR: ShardWriter | None = None


def start_worker(job: ExtractJob, table_uri: str) -> None:
    global ACTOR
    ACTOR = ShardWriter(job, table_uri)


def block_of_pool(block: pa.Table) -> int:
    assert ACTOR is not None
    return int(ACTOR(block)["done"][0].as_py())


def in_chunks(rows: pa.Table, size: int = 64) -> list[pa.Table]:
    blocks = [rows.slice(start, size).combine_chunks() for start in range(0, len(rows), size)]
    return [block.append_column("shard", pa.array([f"part-{n}.parquet"] * len(block))) for n, block in enumerate(blocks)]


@contextmanager
def table() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="medray-pipeline-") as name:
        yield f"{name}/table"


def one_core(job: ExtractJob, rows: pa.Table) -> float:
    """Images a second of the function in this process."""
    with table() as uri:
        actor, blocks = ShardWriter(job, uri), in_chunks(rows)
        actor(blocks[0])
        started = time.perf_counter()
        for block in blocks:
            actor(block)
        return len(rows) / (time.perf_counter() - started)


Marks = list[tuple[int, float]]
"""How many images were done by when, in seconds."""


def by_pool(job: ExtractJob, rows: pa.Table) -> Marks:
    """A process pool."""
    marks = [(0, time.perf_counter())]
    with table() as uri, multiprocessing.get_context("spawn").Pool(CORES, start_worker, (job, uri)) as pool:
        for count in pool.imap_unordered(block_of_pool, in_chunks(rows)):
            marks.append((marks[-1][0] + count, time.perf_counter()))
    assert marks[-1][0] == len(rows)
    return marks


def by_medray(job: ExtractJob, rows: pa.Table) -> Marks:
    """The pipeline inside a Ray session that runs."""
    marks: Marks = []
    with table() as uri:
        process(rows, job, uri, on_ray(), progress=lambda done, _: marks.append((done, time.perf_counter())))
    return marks


def middle(marks: Marks) -> tuple[int, float]:
    """Images and seconds from a quarter to seven eighths of a run: neither start-up nor the end, where cores run dry."""
    total = marks[-1][0]
    first = next(mark for mark in marks if mark[0] >= total / 4)
    last = next(mark for mark in marks if mark[0] >= total * 7 / 8)
    return last[0] - first[0], last[1] - first[1]


def rate_within(run: Callable[[ExtractJob, pa.Table], Marks], job: ExtractJob, rows: pa.Table) -> float:
    """Images a second of the middle of a run."""
    images, seconds = middle(run(job, rows))
    return images / seconds


@dataclass
class Rates:
    """Images a second."""

    one: float = 0.0
    pool: float = 0.0
    medray: float = 0.0

    def line(self, what: str, asked: float) -> str:
        to_pool, to_ideal = self.medray / self.pool, self.medray / (CORES * self.one)
        ratios = f"{to_pool:.2f} ({asked}) | {to_ideal:.2f} (0.90)"
        return f"| {what} | {CORES * self.one:,.0f} | {self.pool:,.0f} | {self.medray:,.0f} | {ratios} |"


def steady(job: ExtractJob, rows: pa.Table, rounds: int) -> Rates:
    """Means over rounds in which the candidates take turns, each of the middle of a run; needs a session."""
    found: dict[str, list[tuple[int, float]]] = {"pool": [], "medray": []}
    alone = []
    for _ in range(rounds):
        alone.append(one_core(job, rows.slice(0, len(rows) // 6)))
        found["pool"].append(middle(by_pool(job, rows)))
        found["medray"].append(middle(by_medray(job, rows)))
    pool, medray = (float(np.divide(*np.sum(found[name], axis=0))) for name in ("pool", "medray"))
    rates = Rates(len(alone) / sum(1 / rate for rate in alone), pool, medray)
    print(job.fingerprint, rates, {name: [round(n / s) for n, s in runs] for name, runs in found.items()}, flush=True)
    return rates


def start_peer() -> None:
    import logging

    import radiomics

    radiomics.logger.setLevel(logging.ERROR)


def peer_features(path: str) -> int:
    """The features of the full job as people compute them."""
    import pydicom
    import radiomics
    import SimpleITK as sitk
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
    from skimage.feature import local_binary_pattern
    from skimage.transform import resize

    found = pydicom.dcmread(path)
    pixels = apply_voi_lut(apply_modality_lut(found.pixel_array, found), found)
    pixels = resize(pixels / pixels.max(), (OUTPUT, OUTPUT), anti_aliasing=True)
    image, mask = sitk.GetImageFromArray(pixels), sitk.GetImageFromArray(np.ones(pixels.shape, np.uint8))
    kinds = [radiomics.getFeatureClasses()[name] for name in ("firstorder", "shape2D", "glcm", "glrlm", "glszm", "ngtdm", "gldm")]
    values = [value for kind in kinds for value in kind(image, mask, binCount=LEVELS).execute().values()]
    for radius in RADII:
        pattern = local_binary_pattern((pixels * 255).astype(np.uint8), 8, radius, "uniform")
        values += (np.bincount(pattern.astype(int).ravel(), minlength=10) / pattern.size).tolist()
    return len(values)


def peer_rate(count: int) -> float:
    """Images a second of a pool of processes that are warm."""
    paths = [str(path) for path in base_files()[:count]]
    with multiprocessing.get_context("spawn").Pool(CORES, start_peer) as pool:
        pool.map(peer_features, paths[: 4 * CORES], chunksize=1)
        started = time.perf_counter()
        pool.map(peer_features, paths, chunksize=8)
        return len(paths) / (time.perf_counter() - started)
