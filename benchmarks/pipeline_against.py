"""The streaming pipeline of this checkout against that of another one, in turns.

    git worktree add /tmp/before REVISION
    python benchmarks/pipeline_against.py /tmp/before [--rounds 60] [--runs 3]

First the work of an actor: two processes, one of each checkout, take turns with blocks of 64 images. Then whole runs, each in a
process that starts a Ray session; a figure is the rate of the middle of the run. Images are in the page cache.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from results import publish

HERE = Path(__file__).parents[1]
BLOCK = 64
IMAGES = {"LIGHT": 12_000, "FULL": 2_500}
BLOCKS = """
import sys, time
sys.path[:0] = ["tests/support", "benchmarks"]
from streaming_archive import local_rows
from streaming_runs import FULL, LIGHT, in_chunks, table
from medray.work.shard import ShardWriter

blocks = in_chunks(local_rows(512), int(sys.argv[2]))
with table() as uri:
    actor = ShardWriter({"LIGHT": LIGHT, "FULL": FULL}[sys.argv[1]], uri)
    actor(blocks[0])
    for number, _ in enumerate(sys.stdin):
        started = time.perf_counter()
        actor(blocks[number % len(blocks)])
        print(time.perf_counter() - started, flush=True)
"""
RUN = """
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
    """Images a second of a whole run of a checkout."""
    command = [sys.executable, "-c", RUN, job, str(IMAGES[job])]
    done = subprocess.run(command, cwd=checkout, env=environment(checkout), stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def environment(checkout: Path) -> dict[str, str]:
    """Of a process that imports the package from a checkout."""
    return {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(checkout)}


@contextmanager
def actor(checkout: Path, job: str) -> Iterator[subprocess.Popen[str]]:
    """A process that does a block for each line that it is sent, and answers with the seconds."""
    command, pipe = [sys.executable, "-c", BLOCKS, job, str(BLOCK)], subprocess.PIPE
    with subprocess.Popen(command, cwd=checkout, env=environment(checkout), stdin=pipe, stdout=pipe, text=True) as process:
        yield process


def block(process: subprocess.Popen[str]) -> float:
    """Seconds of the next block."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def blocks_in_turns(other: Path, job: str, rounds: int) -> list[tuple[float, float]]:
    """Seconds of a block of the other checkout and of this one, in each round."""
    with ExitStack() as stack:
        both = [stack.enter_context(actor(checkout, job)) for checkout in (other, HERE)]
        found = []
        for number in range(rounds):
            first, second = both[:: 1 if number % 2 else -1]
            seconds = {first.pid: block(first), second.pid: block(second)}
            found.append((seconds[both[0].pid], seconds[both[1].pid]))
        for process in both:
            process.communicate()
    return found


def runs_in_turns(other: Path, job: str, rounds: int) -> list[tuple[float, float]]:
    """Rates of whole runs of the other checkout and of this one, in each round."""
    found = []
    for number in range(rounds):
        rates = {checkout: rate(checkout, job) for checkout in (other, HERE)[:: 1 if number % 2 else -1]}
        found.append((rates[other], rates[HERE]))
        print(job, found[-1], flush=True)
    return found


def line(what: str, rates: list[tuple[float, float]]) -> str:
    """Medians, and the median of the rounds' ratios."""
    before, after = (median(values) for values in zip(*rates, strict=True))
    ratios = sorted(new / old for old, new in rates)
    ratio = f"{median(ratios):.3f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    text = f"| {what} | {before:.0f} | {after:.0f} | {ratio} |"
    print(text, flush=True)
    return text


def main() -> None:
    """Compare, and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    lines = ["| images/s | before | after | after / before, median of the rounds (from, to); asked: .97 |", "|---|---|---|---|"]
    for job in IMAGES:
        seconds = blocks_in_turns(arguments.other, job, arguments.rounds)
        lines.append(line(f"{job.lower()}, one actor", [(BLOCK / old, BLOCK / new) for old, new in seconds]))
    for job in IMAGES if arguments.runs else ():
        lines.append(line(f"{job.lower()}, whole runs", runs_in_turns(arguments.other, job, arguments.runs)))
    publish("The pipeline before and after", "python benchmarks/pipeline_against.py BEFORE", "\n".join(lines))


if __name__ == "__main__":
    main()
