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
import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="benchmarks-0123456789abcdef0123456789abcdef")
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "benchmarks")]

from streaming_archive import SIDE, local_rows, s3_rows  # noqa: E402
from streaming_runs import CORES, FULL, LENGTHS, LIGHT, Rates, by_medray, peer_rate, rate_within, steady, table  # noqa: E402

from medray.distributed.dataset import on_ray  # noqa: E402
from medray.distributed.session import ClusterSpec, session  # noqa: E402
from medray.work.process import process  # noqa: E402

PLOT = Path(__file__).with_suffix(".png")
LATENCY_S = 0.02
STORE_BYTES = 120 << 20


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
    from faulty_proxy import faulty

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
                process(rows, FULL, uri, on_ray(actors))
                shards = sorted(Path(uri).glob("part-*.parquet"))
                found.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in shards})
    verdict = "byte for byte the same" if found[0] == found[1] == found[2] else "NOT the same"
    return [f"| 1, 2 and 4 actors | {len(found[0])} shards, {verdict} |"]


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
