"""The streaming pipeline of this checkout against that of another one, in turns.

    git worktree add /tmp/before REVISION
    python benchmarks/pipeline_against.py /tmp/before [--rounds 5]

Each run is a process of its own, which starts a Ray session and extracts features of images in the page cache; a figure is the
rate of the middle of the run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from results import publish

HERE = Path(__file__).parents[1]
IMAGES = {"LIGHT": 12_000, "FULL": 2_500}
SCRIPT = """
import sys
sys.path[:0] = ["tests/support", "benchmarks"]
from streaming_archive import local_rows
from streaming_runs import FULL, LIGHT, by_medray, rate_within
from medray.distributed.session import ClusterSpec, session

if __name__ == "__main__":
    rows = local_rows(int(sys.argv[2]))
    with session(ClusterSpec(address="local")):
        by_medray(LIGHT, rows.slice(0, 500))
        print(rate_within(by_medray, {"LIGHT": LIGHT, "FULL": FULL}[sys.argv[1]], rows))
"""
ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1") | {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "benchmarks-0123456789abcdef0123456789abcdef",
}


def rate(checkout: Path, job: str) -> float:
    """Images a second of a checkout."""
    command = [sys.executable, "-c", SCRIPT, job, str(IMAGES[job])]
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(checkout)}
    done = subprocess.run(command, cwd=checkout, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    """Compare, and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    lines = ["| job, images/s | before | after | after / before, median of the rounds' (asked: .97) |", "|---|---|---|---|"]
    for job in IMAGES:
        pairs = []
        for number in range(arguments.rounds):
            both = [(checkout, rate(checkout, job)) for checkout in (arguments.other, HERE)[:: 1 if number % 2 else -1]]
            found = dict(both)
            pairs.append((found[arguments.other], found[HERE]))
            print(job, pairs[-1], flush=True)
        before, after = (median(values) for values in zip(*pairs, strict=True))
        ratio = median(new / old for old, new in pairs)
        lines.append(f"| {job.lower()} | {before:.0f} | {after:.0f} | {ratio:.3f} |")
    publish("The pipeline before and after", "python benchmarks/pipeline_against.py BEFORE", "\n".join(lines))


if __name__ == "__main__":
    main()
