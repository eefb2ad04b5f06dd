"""This checkout against another one: headers and decoded images a second, in the same run.

    git worktree add /tmp/before REVISION
    python benchmarks/against.py /tmp/before [--rounds 30] [--publish]

A process of each checkout stays alive; both take turns, in changing order, at the same files. A figure is the best of the rounds
in CPU time, so that other jobs weigh on both alike. ``--publish`` writes the section into RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from decoding import CODECS, FILES, HEAD_BYTES, instance
from results import publish

HEADERS = ("CT_small.dcm", "MR_small.dcm", "dicomdirtests/77654033/CR1/6154", "693_J2KI.dcm")
COLOUR = ("examples_rgb_color.dcm", "examples_ybr_color.dcm", "examples_palette.dcm")
ROUND_S = 0.05


def main() -> None:
    """Compare, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, nargs="?", help="the other checkout")
    parser.add_argument("--rounds", type=int, default=30, help="of each figure and checkout")
    parser.add_argument("--publish", action="store_true", help="write the section into RESULTS.md")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
        return
    if arguments.other is None:
        parser.error("name the other checkout")
    with TemporaryDirectory() as folder:
        body = table(arguments.other, cases(Path(folder)), arguments.rounds)
    if arguments.publish:
        publish("Before and after", "python benchmarks/against.py BEFORE", body)
    else:
        print(body)


def cases(folder: Path) -> list[tuple[str, str, Path]]:
    """(what is measured, task, file)."""
    found = [(f"header of {name}", "header", FILES / name) for name in HEADERS]
    for codec in CODECS:
        path = folder / f"{codec.name}.dcm"
        path.write_bytes(instance(codec)[0])
        found += [(f"stored values of {codec.name}", "stored", path), (f"`Image` of {codec.name}", "image", path)]
    return found + [(f"`Image` of {name}", "image", FILES / name) for name in COLOUR]


def table(other: Path, measured: list[tuple[str, str, Path]], rounds: int) -> str:
    """A row for each case: times a second here and there, and their ratio."""
    ours, theirs = worker(Path(__file__).parents[1]), worker(other)
    lines = ["| | before | after | after / before |", "|---|---|---|---|"]
    for name, task, path in measured:
        best = {ours: float("inf"), theirs: float("inf")}
        for number in range(rounds):
            for one in (ours, theirs) if number % 2 else (theirs, ours):
                best[one] = min(best[one], ask(one, task, path))
        after, before = 1 / best[ours], 1 / best[theirs]
        lines.append(f"| {name} | {before:,.0f} | {after:,.0f} | {after / before:.3f} |")
    for one in (ours, theirs):
        one.communicate("")
    return "\n".join(lines)


def worker(checkout: Path) -> subprocess.Popen[str]:
    """A process that measures with the code of a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
    command = [sys.executable, __file__, "--serve"]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(one: subprocess.Popen[str], task: str, path: Path) -> float:
    """CPU seconds of one call."""
    assert one.stdin
    assert one.stdout
    one.stdin.write(f"{task} {path}\n")
    one.stdin.flush()
    return float(one.stdout.readline())


def serve() -> None:
    """Answer each line ``TASK PATH`` of the standard input with the CPU seconds of one call."""
    from medray.data.dicom import decode, inspect, open_whole
    from medray.data.dicom.dataset import image_pixel
    from medray.data.dicom.pixels import stored_values

    def stored(data: bytes) -> object:
        file = open_whole(data)
        return stored_values(file, image_pixel(file))

    for line in sys.stdin:
        task, path = line.rstrip("\n").split(" ", 1)
        data = Path(path).read_bytes()
        head, size = data[:HEAD_BYTES], max(len(data), HEAD_BYTES + 1)
        calls: dict[str, Callable[[], object]] = {
            "header": partial(inspect, head, size),
            "stored": partial(stored, data),
            "image": partial(decode, data, 0),
        }
        print(seconds(calls[task]), flush=True)


def seconds(call: Callable[[], object]) -> float:
    """CPU seconds of one call, on average over a short while."""
    call()
    count, started = 0, time.process_time()
    while (spent := time.process_time() - started) < ROUND_S:
        call()
        count += 1
    return spent / count


if __name__ == "__main__":
    main()
