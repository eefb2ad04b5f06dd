"""What the families reach on BUSI: five folds of whole patients over all images, answers out of fold; seeds, intervals, minutes.

    python benchmarks/accuracy_busi.py [--data ../shared/data/busi] [--seeds 0 1] [--rows table cnn finding anomaly]

PatientID groups near copies there, so folds by patient keep these on one side. Nothing is chosen on what is measured: parameters
are those of workflows/configs, and the operating point is that of the same answers, as in every run with folds.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from results import publish

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "workflows" / "configs"
FEW = {"family": "forest", "input": "table"}, {"family": "logistic", "input": "table"}
LESION = "task={kind: binary, target: lesion, positive: 'yes', negative: ['no']}"
ROWS: Mapping[str, tuple[str, Sequence[str]]] = {
    "table": ("busi.yaml", ["models.cnn=null"]),
    "cnn": ("busi.yaml", ["models.xgb=null", "models.svm=null"]),
    "lesion": ("busi.yaml", ["labels={}", LESION, "models.cnn=null"]),
    "finding": ("busi-finding.yaml", ["models.cnn=null"]),
    "anomaly": ("busi-anomaly.yaml", []),
}
"""Name → configuration and its settings. ``models.NAME=null`` leaves a model out."""


def medray(*arguments: str) -> tuple[dict[str, Any], float]:
    """Run a command; returns what it printed as JSON and the minutes it took."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "medray", *arguments, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout), (time.perf_counter() - started) / 60


def labels(data: Path, folder: Path) -> Path:
    """The label table with a column ``lesion``."""
    with (data / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    target = folder / "labels.csv"
    with target.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "lesion"])
        writer.writeheader()
        writer.writerows({**row, "mask": "", "lesion": "no" if row["finding"] == "normal" else "yes"} for row in rows)
    return target


def configured(name: str, folder: Path, seed: int) -> Path:
    """The configuration of a row as a file: JSON is YAML, too."""
    import yaml

    file, settings = ROWS[name]
    raw = yaml.safe_load((CONFIGS / file).read_text())
    for setting in settings:
        key, _, value = setting.partition("=")
        parts = key.split(".")
        place = raw
        for part in parts[:-1]:
            place = place[part]
        place[parts[-1]] = yaml.safe_load(value)
    raw["models"] = {key: model for key, model in raw["models"].items() if model}
    if name in ("table", "lesion", "finding"):
        raw["models"] |= {model["family"]: model for model in FEW}
    if name == "anomaly":
        raw["models"] |= {family: {"family": family, "input": "table"} for family in ("lof", "ocsvm")}
    split = {**raw.get("labels", {}).get("split", {}), "seed": seed}
    raw |= {"folds": 5, "labels": {**raw.get("labels", {}), "split": split}, "seed": seed}
    raw |= {"output": str(folder / "out"), "catalog": str(folder / "catalog"), "promote": "never"}
    target = folder / f"{name}-{seed}.yaml"
    target.write_text(json.dumps(raw))
    return target


def figures(metrics: Mapping[str, Any]) -> str:
    """The monitored figure with its interval, and the accuracy at the operating point."""
    monitor, accuracy = metrics["monitor"], metrics.get("accuracy")
    low, high = (f"{monitor[bound]:.3f}" for bound in ("low", "high"))
    return f"{monitor['value']:.3f} ({low}–{high}) | {'' if accuracy is None else f'{accuracy:.3f}'}"


def report(data: Path, seeds: Sequence[int], rows: Sequence[str]) -> None:
    """Run everything and publish it."""
    lines = ["| | model | seed | AUROC (95 %) | accuracy | minutes of the run |", "|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory(prefix="medray-accuracy-") as name:
        folder = Path(name)
        keep = ("--keep", "malignant", "--keep", "finding", "--keep", "lesion")
        table = str(labels(data, folder))
        medray("ingest", str(data / "images"), "--catalog", str(folder / "catalog"), "--labels", table, *keep)
        for row in rows:
            for seed in seeds:
                found, minutes = medray("train", str(configured(row, folder, seed)))
                for model, one in found["models"].items():
                    lines.append(f"| {row} | {model} | {seed} | {figures(one['metrics'])} | {minutes:.1f} |")
                    print(lines[-1], flush=True)
    publish("Accuracies on BUSI", "python benchmarks/accuracy_busi.py", "\n".join(lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "busi")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--rows", nargs="+", default=list(ROWS))
    options = parser.parse_args()
    report(options.data, options.seeds, options.rows)
