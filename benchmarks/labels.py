"""A million images and their labels: join, splits and the name of the run, each key in a process of its own.

    python benchmarks/labels.py [--rows 1000000]

No peer: the figures are seconds and memory above the tables themselves.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
from results import publish

from medray.data.labels import join_labels
from medray.data.splits import SplitSpec, assign_splits
from medray.data.tables import table_digest
from medray.runs.samples import sample_columns
from medray.tasks.binary import Binary

KEYS = ("sop_uid", "uri")
ASKED_S, ASKED_GIB = 10, 1


def tables(rows: int, key: str) -> tuple[pa.Table, pa.Table]:
    """Catalog rows, and labels of them by UID or by path."""
    numbers = np.arange(rows)
    texts = pa.array(numbers).cast(pa.string())

    def named(*parts: object) -> pa.Array:
        return pa.compute.binary_join_element_wise(*parts, "")

    uids = named("1.2.826.0.1.3680043.8.498.525489736372246123943841846634023", texts)
    folders = pa.array(numbers // 4).cast(pa.string())
    paths = named("images/", folders, "/", texts, ".dcm")
    images = {"uri": named("s3://imaging/archive/", paths), "etag": texts, "sop_uid": uids, "study_uid": folders}
    patients = pa.table({**images, "patient_key": folders})
    found = pa.array(np.where(numbers % 5 == 0, "1", "0"))
    return patients, pa.table({key: uids if key == "sop_uid" else paths, "malignant": found}).take(pa.array(numbers[::-1]))


def measured(rows: int, key: str) -> None:
    """Print seconds and the peak of memory above that of the tables, in GiB."""
    images, labels = tables(rows, key)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    task = Binary(target="malignant")
    joined = join_labels(images, labels, task)
    assert len(joined) == rows
    split = assign_splits(joined, SplitSpec(), task.strata(joined["target"]))
    table_digest(split.select(sample_columns(split)))
    seconds = time.perf_counter() - started
    print(seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / (1 << 20))


def report(rows: int) -> None:
    """Run everything and publish it."""
    lines = [
        f"| {rows:,} images, labels by | s (asked: {ASKED_S}) | GiB above the tables (asked: {ASKED_GIB}) |",
        "|---|---|---|",
    ]
    for key in KEYS:
        command = [sys.executable, __file__, "--rows", str(rows), "--key", key]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds, gib = map(float, done.stdout.split())
        lines.append(f"| {key} | {seconds:.1f} | {gib:.2f} |")
    publish("Labels", "python benchmarks/labels.py", "\n".join(lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--key", choices=KEYS)
    options = parser.parse_args()
    if options.key:
        measured(options.rows, options.key)
    else:
        report(options.rows)
