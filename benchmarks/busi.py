"""BUSI over S3: ingest, train three families, evaluate; and the same with a fifth of the patients held out as an unseen archive.

    python benchmarks/busi.py [--data ../shared/data/busi]

Starts a SeaweedFS server on loopback and prints a Markdown section for RESULTS.md. No peer: these are durations and accuracies.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from seaweed import s3_environment, s3_running  # noqa: E402

BUCKET = "s3://imaging"


def medray(*arguments: str) -> tuple[dict[str, Any], float]:
    """Run a command; returns what it printed as JSON and the seconds it took."""
    started = time.perf_counter()
    command = [str(Path(sys.executable).parent / "medray"), *arguments, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout), time.perf_counter() - started


def unseen(row: dict[str, str]) -> bool:
    """A fifth of the training patients, by a hash of their id."""
    return row["split"] == "train" and sha256(row["PatientID"].encode()).digest()[0] < 51


def upload(data: Path, rows: list[dict[str, str]], place: str) -> None:
    """Images and labels of ``rows`` as an archive in the bucket."""
    from medray.data import store

    for row in rows:
        name = f"{row['SOPInstanceUID']}.dcm"
        store.write(f"{BUCKET}/{place}/images/{name}", (data / "images" / name).read_bytes())
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    store.write(f"{BUCKET}/{place}/labels.csv", "\n".join(lines).encode())


def train(place: str) -> tuple[dict[str, Any], dict[str, float]]:
    """Ingest and train on an archive; returns the training result and the seconds of each step."""
    output = f"{BUCKET}/out-{place}"
    catalog = f"{output}/catalog"
    labels = ("--labels", f"{BUCKET}/{place}/labels.csv", "--keep", "malignant")
    _, ingest_s = medray("ingest", f"{BUCKET}/{place}/images", "--catalog", catalog, *labels)
    config = str(ROOT / "workflows" / "configs" / "busi.yaml")
    result, train_s = medray("train", config, "--set", f"output={output}", "--set", f"catalog={catalog}")
    return result, {"ingest": ingest_s, "train": train_s}


def evaluate(bundle: str, place: str) -> tuple[dict[str, Any], float]:
    """Evaluate a bundle on an archive that was never ingested."""
    return medray("evaluate", bundle, "--src", f"{BUCKET}/{place}/images", "--labels", f"{BUCKET}/{place}/labels.csv")


def auroc(metrics: dict[str, Any]) -> str:
    """``0.874 (0.760–0.964)``."""
    area = metrics["auroc"]
    return f"{area['value']:.3f} ({area['low']:.3f}–{area['high']:.3f})"


def report(data: Path) -> None:
    """Run everything and print the section."""
    with (data / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    kept = [row for row in rows if not unseen(row)]
    held = [row for row in rows if unseen(row)]
    val = [row for row in rows if row["split"] == "val"]
    for place, chosen in (("all", rows), ("kept", kept), ("unseen", held), ("val", val)):
        upload(data, chosen, place)
    full, seconds = train("all")
    _, seconds["evaluate (78 images)"] = evaluate(full["bundle"], "val")
    honest, _ = train("kept")
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"\n## BUSI over S3, {datetime.now(UTC):%Y-%m-%d}\n\n{machine}; SeaweedFS on loopback. `python benchmarks/busi.py`\n")
    print("| step | seconds |\n|---|---|")
    for name, value in seconds.items():
        print(f"| {name} | {value:.0f} |")
    print(f"| all | {sum(seconds.values()):.0f} |\n")
    far_heading = f"AUROC on {len(held)} unseen images, of a run without their patients"
    print(f"| model | AUROC on the 78 validation images | {far_heading} |\n|---|---|---|")
    for name, model in full["models"].items():
        far, _ = evaluate(honest["models"][name]["bundle"], "unseen")
        print(f"| {name} | {auroc(model['metrics'])} | {auroc(far)} |")
    print(
        "\nValidation images also chose the threshold and, during development, the recipes: that column is optimistic. "
        "Intervals: 95 % bootstrap over patients."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "busi")
    data = parser.parse_args().data
    with tempfile.TemporaryDirectory() as folder, s3_running(Path(folder)) as endpoint:
        os.environ.update(s3_environment(endpoint))
        report(data)


if __name__ == "__main__":
    main()
