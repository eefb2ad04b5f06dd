"""Small jobs, everything included: the commands beside a plain script of the same work, and beside the imports of the libraries
that the work cannot do without, each in a process of its own.

python benchmarks/small_jobs.py [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
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
SHARED = "import numpy, pyarrow.parquet, pydicom, cv2, numba, pydantic, typer"
LIBRARIES = {
    "xgb": "import xgboost",
    "svm": "import sklearn.svm, skops.io",
    "cnn": "import torch, safetensors.torch, monai.networks",
}
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


def commands(root: Path) -> dict[str, tuple[list[str], list[str], list[str]]]:
    """What is measured → the command, the script beside it and the imports beside it; [] where there are none."""
    paths = archive(root / "archive", 200)
    run = bundles(root / "archive", MODELS)
    few, some = copied(paths[:10], root / "ten"), copied(paths[:78], root / "some")
    medray, out = str(Path(sys.executable).parent / "medray"), str(root / "out.parquet")
    found: dict[str, tuple[list[str], list[str], list[str]]] = {"--help": ([medray, "--help"], [], [])}
    for name, bundle in run.bundles.items():
        script = [sys.executable, "-c", SCRIPT, bundle.uri]
        imports = [sys.executable, "-c", f"{SHARED}; {LIBRARIES[name]}"]
        predict = [medray, "predict", bundle.uri, str(few), "--out", out]
        found[f"predict 10, {name}"] = (predict, [*script, str(few), out], imports)
        labels = str(root / "archive" / "labels.csv")
        evaluate = [medray, "evaluate", bundle.uri, "--src", str(some), "--labels", labels, "--json"]
        found[f"evaluate 78, {name}"] = (evaluate, [*script, str(some), out], imports)
    return found


def timed(command: list[str], rounds: int) -> float:
    """Median seconds of a command; 0 for none."""
    return median(seconds(command) for _ in range(rounds)) if command else 0.0


def report(rounds: int) -> None:
    """Run everything and publish it."""
    lines = ["| | medray, s | asked | script, s | ratio | imports alone, s |", "|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory(prefix="medray-small-") as name:
        for what, (command, script, imports) in commands(Path(name)).items():
            seconds(command)  # kernels are compiled once
            took, peer, floor = (timed(one, rounds) for one in (command, script, imports))
            beside = f"{peer:.1f} | {took / peer:.2f} | {floor:.1f} |" if script else "| | |"
            lines.append(f"| {what} | {took:.2f} | {ASKED_S.get(what, '')} | {beside}")
            print(lines[-1], flush=True)
    publish("Small jobs", "python benchmarks/small_jobs.py", "\n".join(lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    report(parser.parse_args().rounds)
