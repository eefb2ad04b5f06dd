"""Rows of a catalog → fetch → decode → preprocess → features → table: the streaming pipeline beside a process pool.

    python benchmarks/pipeline.py [--only disk s3 peer minute latency memory same]

``one core`` is the function that an actor runs, in this process; ``pool`` is the same function in multiprocessing, a process a
core, in chunks of 64; ``medray`` is medray.distributed.dataset.process. Steady rates are those of the middle of a run, where
neither start-up nor the end counts, over rounds in which the candidates take turns. (A slope between two run lengths is also the
difference of two start-ups, which vary by more than what is asked.) The peer is a pool as people write it: pydicom, scikit-image
and pyradiomics. The files are links to 500, which lie in the page cache. With --only nothing is published.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import multiprocessing
import multiprocessing.connection
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="benchmarks-0123456789abcdef0123456789abcdef")
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks")]

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402

from medray.data import store  # noqa: E402
from medray.distributed.actor import BlockActor  # noqa: E402
from medray.distributed.dataset import process  # noqa: E402
from medray.distributed.extraction import ExtractJob  # noqa: E402
from medray.distributed.session import ClusterSpec, session  # noqa: E402
from medray.features.table import FeatureSpec  # noqa: E402
from medray.imaging.preprocess import PreprocessSpec  # noqa: E402

CORES = os.cpu_count() or 1
SIDE, FILES = 364, 500
LEVELS, RADII, OUTPUT = 32, (1, 2, 3), 256
CACHE = Path(tempfile.gettempdir()) / "medray-pipeline"
PLOT = Path(__file__).with_suffix(".png")
LATENCY_S = 0.02
STORE_BYTES = 120 << 20


def job(name: str, *families: dict[str, Any]) -> ExtractJob:
    steps = [{"op": "window"}, {"op": "resize", "rows": OUTPUT, "columns": OUTPUT}]
    preprocess = PreprocessSpec.model_validate({"steps": steps})
    return ExtractJob(preprocess, FeatureSpec.model_validate({"families": families}), name)


LIGHT = job("light", {"family": "intensity", "grid": 0, "centre": False})
FULL = job("full", {"family": "radiomics", "bin_count": LEVELS}, {"family": "lbp", "radii": RADII})
LENGTHS = {"light": 14_000, "full": 3_600}
"""Images of a run from local disk."""


# --- the archive ---------------------------------------------------------------------------------------------------------------


def base_files() -> list[Path]:
    """Slices like CT, 16 bits, uncompressed, 266 KB each; made once."""
    folder = CACHE / f"ct-{SIDE}-{FILES}"
    if not folder.is_dir():
        unfinished = folder.with_suffix(".partial")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for number in range(FILES):
            (unfinished / f"{number:06d}.dcm").write_bytes(slice_file(number))
        unfinished.rename(folder)
    return sorted(folder.glob("*.dcm"))


def slice_file(number: int) -> bytes:
    """A DICOM file with its own UID and noise, behind the header of a real CT."""
    import pydicom
    from pydicom.data import get_testdata_file
    from pydicom.uid import generate_uid

    rng = np.random.default_rng(number)
    row, column = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    body = (column**2 / 0.7 + row**2 / 0.5 < 1) * (1000 + 60 * np.sin(9 * column + number) * np.cos(7 * row))
    lung = ((column + 0.35) ** 2 + row**2 < 0.05) * -700
    pixels = np.clip(body + lung + rng.normal(0, 12, body.shape), 0, 4095).astype(np.uint16)
    found = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    for keyword in ("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue"):
        if keyword in found:
            delattr(found, keyword)
    found.SOPInstanceUID = found.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["medray", str(number)])
    found.Rows, found.Columns = pixels.shape
    found.PixelRepresentation, found.BitsStored, found.HighBit = 0, 12, 11
    found.WindowCenter, found.WindowWidth = 40, 1500
    found.PixelData = pixels.tobytes()
    buffer = io.BytesIO()
    found.save_as(buffer)
    return buffer.getvalue()


def local_rows(count: int) -> pa.Table:
    """Rows of ``count`` files, which are links to the 500."""
    files, links = base_files(), CACHE / "links"
    links.mkdir(exist_ok=True)
    paths = [links / f"{number:07d}.dcm" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.exists():
            path.hardlink_to(files[number % FILES])
    stats = [path.stat() for path in files]
    sizes, etags = [info.st_size for info in stats], [str(info.st_mtime) for info in stats]
    columns = {"etag": [etags[n % FILES] for n in range(count)], "size_bytes": [sizes[n % FILES] for n in range(count)]}
    return pa.table({"uri": [str(path) for path in paths], **columns})


@contextmanager
def s3_rows(count: int) -> Iterator[tuple[str, pa.Table]]:
    """A SeaweedFS server on loopback with ``count`` objects; yields its endpoint and their rows."""
    from multiprocessing.pool import ThreadPool

    from seaweed import s3_environment, s3_running

    place, contents = CACHE / "weed", [path.read_bytes() for path in base_files()]
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    with s3_running(place) as endpoint:
        os.environ.update(s3_environment(endpoint))
        with ThreadPool(8) as threads:
            threads.map(lambda n: store.write(f"s3://imaging/ct/{n:06d}.dcm", contents[n % FILES]), range(count))
        infos = store.list_objects("s3://imaging/ct")
        columns = {name: [getattr(info, name) for info in infos] for name in ("uri", "etag", "size")}
        yield endpoint, pa.table(columns).rename_columns(["uri", "etag", "size_bytes"])
    shutil.rmtree(place, ignore_errors=True)


# --- the candidates ------------------------------------------------------------------------------------------------------------

ACTOR: BlockActor | None = None


def start_worker(job: ExtractJob, table_uri: str) -> None:
    global ACTOR
    ACTOR = BlockActor(job, table_uri)


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
        actor, blocks = BlockActor(job, uri), in_chunks(rows)
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
        process(rows, job, uri, progress=lambda done, _: marks.append((done, time.perf_counter())))
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


# --- the peer ------------------------------------------------------------------------------------------------------------------


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


# --- what is asked -------------------------------------------------------------------------------------------------------------


def local_rates() -> tuple[list[str], dict[str, Rates]]:
    """Steady rates from local disk."""
    rates = {}
    with session(ClusterSpec(address="local", cpus=CORES)):
        for job in (LIGHT, FULL):
            rates[job.fingerprint] = steady(job, local_rows(LENGTHS[job.fingerprint]), 3)
    return [rates["light"].line("light, disk", 0.98), rates["full"].line("full, disk", 0.95)], rates


def s3_rates() -> tuple[list[str], dict[str, Rates]]:
    """Steady rates from S3 on loopback, whose server shares the cores."""
    rates = {}
    with s3_rows(6_000) as (_, rows), session(ClusterSpec(address="local", cpus=CORES)):
        rates["light"] = steady(LIGHT, rows, 3)
        rates["full"] = steady(FULL, rows.slice(0, 1_800), 3)
    return [rates["light"].line("light, S3", 0.98), rates["full"].line("full, S3", 0.95)], rates


def slow_proxy(target: str, control: multiprocessing.connection.Connection) -> None:
    """A proxy in a process of its own; what it receives is its latency from now on."""
    from faults import faulty

    with faulty(target) as proxy:
        control.send(proxy.url)
        while (latency_s := control.recv()) is not None:
            proxy.latency_s = latency_s
            control.send(latency_s)


def latency() -> list[str]:
    """The light and the full job through a proxy, without and with a delay of every answer."""
    best: dict[tuple[str, float], float] = {}
    with s3_rows(4_000) as (endpoint, rows):
        here, there = multiprocessing.Pipe()
        proxy = multiprocessing.get_context("spawn").Process(target=slow_proxy, args=(endpoint, there), daemon=True)
        proxy.start()
        os.environ["AWS_ENDPOINT_URL"] = here.recv()
        with session(ClusterSpec(address="local", cpus=CORES)):
            for job, count in ((LIGHT, len(rows)), (FULL, 1_500)):
                for delay_s in (0.0, LATENCY_S) * 3:
                    here.send(delay_s)
                    here.recv()
                    key = (job.fingerprint, delay_s)
                    best[key] = max(best.get(key, 0.0), rate_within(by_medray, job, rows.slice(0, count)))
        here.send(None)
        proxy.join(10)
    lines = []
    for name in ("light", "full"):
        without, with_ = best[name, 0.0], best[name, LATENCY_S]
        change = f"{without:,.0f} → {with_:,.0f} images/s, {100 * (with_ / without - 1):+.1f} % (asked: less than 5 % lost)"
        lines.append(f"| {name}, {1e3 * LATENCY_S:.0f} ms before every answer of S3 | {change} |")
    return lines


def minute(rates: dict[str, Rates]) -> list[str]:
    """Runs of a minute, everything included."""
    lines = []
    for job in (LIGHT, FULL):
        pool = rates[job.fingerprint].pool
        rows = local_rows(int(pool * 55))
        started = time.perf_counter()
        with session(ClusterSpec(address="local", cpus=CORES)):
            ready = time.perf_counter()
            by_medray(job, rows)
            done = time.perf_counter()
        whole, inside = (len(rows) / (done - since) / pool for since in (started, ready))
        what = f"{len(rows):,} images in {done - started:.1f} s, of which ray.init {ready - started:.1f} s"
        ratios = f"{whole:.2f} of the pool's steady rate (asked: 0.88), {inside:.2f} after ray.init"
        lines.append(f"| {job.fingerprint}, a whole run | {what}: {ratios} |")
    return lines


def memory() -> list[str]:
    """Five times the object store's size, and more, through a small store."""
    import ray
    from ray._private.internal_api import memory_summary

    rows = local_rows(int(9 * STORE_BYTES / (SIDE * SIDE * 2)))
    with session(ClusterSpec(address="local", cpus=CORES, object_store_bytes=STORE_BYTES)):
        ended = threading.Event()
        peaks = [0.0, 0.0]
        watch = threading.Thread(target=watch_memory, args=(ended, peaks))
        watch.start()
        by_medray(LIGHT, rows)
        ended.set()
        watch.join()
        spilled = [
            line for line in memory_summary(ray.get_runtime_context().gcs_address, stats_only=True).splitlines() if "pill" in line
        ]
    data = sum(rows["size_bytes"].to_pylist())
    what = f"{data / 1e9:.1f} GB through a store of {STORE_BYTES >> 20} MiB: {'; '.join(spilled) or '0 bytes spilled'}"
    peak = f"peak of private memory {peaks[0] / 1e9:.2f} GB over all processes, {peaks[1] / 1e9:.2f} GB in the largest actor"
    return [f"| memory | {what}; {peak} |"]


def watch_memory(ended: threading.Event, peaks: list[float]) -> None:
    """Keep the largest sum of the private memory of this process and its descendants, and the largest actor's."""
    while not ended.wait(0.25):
        found = {process: private_bytes(process) for process in descendants(os.getpid())}
        actors = [size for process, size in found.items() if command_of(process).startswith("ray::MapWorker")]
        peaks[:] = [max(peaks[0], sum(found.values())), max([peaks[1], *actors])]


def descendants(root: int) -> set[int]:
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {root}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def private_bytes(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Private_"))


def command_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""


def same() -> list[str]:
    """The shards of one, two and four actors, byte for byte."""
    rows, found = local_rows(800), []
    with session(ClusterSpec(address="local", cpus=4)):
        for actors in (1, 2, 4):
            with table() as uri:
                process(rows, FULL, uri, actors)
                shards = sorted(Path(uri).glob("part-*.parquet"))
                found.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in shards})
    verdict = "byte for byte the same" if found[0] == found[1] == found[2] else "NOT the same"
    return [f"| 1, 2 and 4 actors | {len(found[0])} shards, {verdict} |"]


# --- the report ----------------------------------------------------------------------------------------------------------------


def plot(disk: dict[str, Rates], s3: dict[str, Rates], peer: float) -> None:
    """Bars of images a second, one panel for each job."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for panel, name in zip(panels, ("light", "full"), strict=True):
        bars = {
            f"{CORES} × one core": CORES * disk[name].one,
            "pool": disk[name].pool,
            "medray": disk[name].medray,
            "pool, S3": s3[name].pool,
            "medray, S3": s3[name].medray,
        }
        if name == "full":
            bars["pydicom, scikit-image,\npyradiomics pool"] = peer
        colours = ["#1f6f8b" if "medray" in label else "#b9c4c9" for label in bars]
        drawn = panel.barh(list(bars), list(bars.values()), color=colours)
        panel.bar_label(drawn, fmt="{:,.0f}", padding=3, fontsize=8)
        panel.invert_yaxis()
        panel.margins(x=0.15)
        panel.set_title(f"{name} job, images a second", fontsize=10)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(PLOT, dpi=110)


def report() -> None:
    """Run everything and publish it."""
    from results import publish

    lines, disk = local_rates()
    more, s3 = s3_rates()
    peer = peer_rate(160)
    rest = [*minute(disk), *latency(), *memory(), *same()]
    plot(disk, s3, peer)
    ratio = disk["full"].medray / peer
    rest.append(
        f"| pydicom, scikit-image, pyradiomics pool, full | {peer:.1f} images/s; medray is {ratio:.1f} × as fast (asked: 8) |"
    )
    heading = f"| steady, images a second | {CORES} × one core | pool | medray | of the pool (asked) | of {CORES} × one core |"
    body = [heading, "|---|---|---|---|---|---|", *lines, *more, "", "| | |", "|---|---|", *rest, "", "![rates](pipeline.png)"]
    publish("The streaming pipeline", "python benchmarks/pipeline.py", "\n".join(body))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=["disk", "s3", "peer", "minute", "latency", "memory", "same"])
    chosen = parser.parse_args().only
    if not chosen:
        report()
        return
    disk: dict[str, Rates] | None = None
    if "disk" in chosen or "minute" in chosen:
        lines, disk = local_rates()
        print("\n".join(lines))
    steps: dict[str, Callable[[], list[str]]] = {
        "s3": lambda: s3_rates()[0],
        "peer": lambda: [f"{peer_rate(160):.1f} images/s"],
        "minute": lambda: minute(disk or {}),
        "latency": latency,
        "memory": memory,
        "same": same,
    }
    for name, step in steps.items():
        if name in chosen:
            print("\n".join(step()), flush=True)


if __name__ == "__main__":
    main()
