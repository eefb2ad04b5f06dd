"""medray import: PNG files of 224 × 224 pixels to DICOM on local disks, and the same command again when nothing is new.

`python benchmarks/importing.py` writes its section of RESULTS.md. CPU seconds are those of the command, whatever else runs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from results import publish

SIDE = 224


def fill(folder: Path, count: int) -> None:
    """Smooth grey pictures with noise, which compress as ultrasound does."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    folder.mkdir()
    for number in range(count):
        waves = np.sin(7 * rows + number) * np.cos(5 * columns - number)
        pixels = (110 + 60 * waves + random.normal(0, 8, (SIDE, SIDE))).clip(0, 255).astype(np.uint8)
        (folder / f"{number:06d}.png").write_bytes(imagecodecs.png_encode(pixels))


def run(source: Path, out: Path) -> tuple[dict[str, Any], float, float]:
    """Run ``medray import``; returns its sums, seconds and CPU seconds."""
    words = [str(Path(sys.executable).parent / "medray"), "import", str(source), "--out", str(out), "--modality", "US", "--json"]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True)
    took, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stderr)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout), took, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--print", action="store_true", help="leave RESULTS.md alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        busy = os.getloadavg()[0]
        fill(folder / "png", options.count)
        first, first_s, first_cpu_s = run(folder / "png", folder / "out")
        second, second_s, second_cpu_s = run(folder / "png", folder / "out")
    assert (first["imported"], second["unchanged"]) == (options.count, options.count), (first, second)
    body = f"""{options.count:,} PNG files of {SIDE} × {SIDE} pixels, 8 bits, from and to a local disk, by the command as a whole.
{busy:.0f} processes wanted a core on average before it started: on idle cores the seconds come near the CPU seconds.

| | seconds | images/s | CPU seconds |
|---|---|---|---|
| first run (asked: 60 s on 2 cores) | {first_s:.1f} | {options.count / first_s:,.0f} | {first_cpu_s:.1f} |
| the same command again, nothing new | {second_s:.1f} | {options.count / second_s:,.0f} | {second_cpu_s:.1f} |"""
    if options.print:
        print(body)
    else:
        publish("Importing", "python benchmarks/importing.py", body)


if __name__ == "__main__":
    main()
