"""Small jobs, everything included: the commands beside a plain script of the same work, in a process of its own each.

python benchmarks/small_jobs.py [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from fitted import archive, bundles, copied
from results import publish

CNN = {"family": "cnn", "input": "image", "params": {"epochs": 2, "members": 1}}
MODELS = {"xgb": {"family": "xgb", "input": "table"}, "svm": {"family": "svm", "input": "table"}, "cnn": CNN}
SCRIPT = """
import sys
from pathlib import Path
import pyarrow as pa, pyarrow.parquet as pq
import medray
found = medray.open_bundle(sys.argv[1]).predict(sorted(Path(sys.argv[2]).glob("*.dcm")))
pq.write_table(pa.Table.from_pylist([dict(one.answer) for one in found]), sys.argv[3])
"""
ASKED_S = {
    "--help": 0.3,
    "predict 10, xgb": 3,
    "predict 10, svm": 3,
    "predict 10, cnn": 5,
    "evaluate 78, xgb": 8,
    "evaluate 78, svm": 8,
    "evaluate 78, cnn": 8,
}


def seconds(command: list[str]) -> float:
    """Wall time of a command."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ})
    return time.perf_counter() - started


def commands(root: Path) -> dict[str, tuple[list[str], list[str]]]:
    """What is measured → the command, and the script beside it; [] where there is none."""
    paths = archive(root / "archive", 200)
    run = bundles(root / "archive", MODELS)
    few, some = copied(paths[:10], root / "ten"), copied(paths[:78], root / "some")
    medray, out = str(Path(sys.executable).parent / "medray"), str(root / "out.parquet")
    found: dict[str, tuple[list[str], list[str]]] = {"--help": ([medray, "--help"], [])}
    for name, bundle in run.bundles.items():
        script = [sys.executable, "-c", SCRIPT, bundle.uri]
        found[f"predict 10, {name}"] = ([medray, "predict", bundle.uri, str(few), "--out", out], [*script, str(few), out])
        labels = str(root / "archive" / "labels.csv")
        evaluate = [medray, "evaluate", bundle.uri, "--src", str(some), "--labels", labels, "--json"]
        found[f"evaluate 78, {name}"] = (evaluate, [*script, str(some), out])
    return found


def timed(measure: Callable[[], float], rounds: int) -> float:
    return median(measure() for _ in range(rounds))


def report(rounds: int) -> None:
    """Run everything and publish it."""
    lines = ["| | medray, s | asked | script, s | ratio |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory(prefix="medray-small-") as name:
        for what, (command, script) in commands(Path(name)).items():
            seconds(command)  # kernels are compiled once
            took = timed(lambda command=command: seconds(command), rounds)  # type: ignore[misc]
            peer = timed(lambda script=script: seconds(script), rounds) if script else 0.0  # type: ignore[misc]
            beside = f"{peer:.1f} | {took / peer:.2f}" if script else "|"
            lines.append(f"| {what} | {took:.2f} | {ASKED_S.get(what, '')} | {beside} |")
            print(lines[-1], flush=True)
    publish("Small jobs", "python benchmarks/small_jobs.py", "\n".join(lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    report(parser.parse_args().rounds)
