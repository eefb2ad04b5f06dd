"""Splits and intervals through the command line: what pseudonyms must not decide, and what is said of doubtful figures."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from medray.data.synthetic import SyntheticSpec, labels_csv, write_archive

Run = Callable[..., "CompletedProcess[str]"]

CONFIG = """
name: small
labels: {target: malignant}
inputs:
  table:
    preprocess: {steps: [{op: percentile}, {op: resize, rows: 32, columns: 32}]}
    features: {families: [{family: intensity}]}
models:
  svm: {family: svm, input: table}
cluster: {executor: local}
"""


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty patients with two images each, their labels, and a configuration."""
    folder = tmp_path_factory.mktemp("phantoms")

    def put(name: str, data: bytes) -> None:
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    spec = SyntheticSpec(patients=40, images_per_study=2, rows=32, columns=32, difficulty=1.0, seed=5)
    (folder / "labels.csv").write_bytes(labels_csv(write_archive(spec, put)))
    (folder / "config.yaml").write_text(CONFIG)
    return folder


def trained(medray: Run, phantoms: Path, folder: Path, *more: str, key: str = "one") -> dict[str, Any]:
    """What ``medray train --json`` says on a catalog made with this pseudonym key."""
    env, catalog = {"MEDRAY_PSEUDONYM_KEY": f"the key of site {key}"}, str(folder / "catalog")
    labels = ("--labels", str(phantoms / "labels.csv"), "--keep", "malignant")
    assert medray("ingest", str(phantoms / "images"), "--catalog", catalog, *labels, env=env).returncode == 0
    sets = ("--set", f"catalog={catalog}", "--set", f"output={folder / 'out'}")
    done = medray("train", str(phantoms / "config.yaml"), *sets, *more, "--json", env=env)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert [line for line in done.stderr.splitlines() if "warning: " in line] == [
        f"medray: warning: {one['code']}: {one['message']}" for one in said["warnings"]
    ]
    found: dict[str, Any] = said
    return found


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_three_keys_give_one_split_and_the_same_intervals(medray: Run, phantoms: Path, tmp_path: Path) -> None:
    runs = [trained(medray, phantoms, tmp_path / key, key=key) for key in ("one", "two", "three")]
    splits = [(Path(run["run"]) / "split.csv").read_bytes() for run in runs]
    assert splits[0] == splits[1] == splits[2]
    assert len({run["run"].rsplit("/", 1)[-1] for run in runs}) == 3  # the pseudonyms do differ
    metrics = [run["models"]["svm"]["metrics"] for run in runs]
    assert metrics[0]["auroc"]["low"] < metrics[0]["auroc"]["high"]
    assert metrics[0] == metrics[1] == metrics[2]
    shares = {one["split"]: one for one in runs[0]["split"] if one["class"] == "all"}
    for name, asked in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
        assert abs(shares[name]["share_of_patients"] - asked) <= 0.02
        assert abs(shares[name]["share_of_images"] - asked) <= 0.02

    # The stored split is taken again, whatever the seed, and medray split prints and writes the same.
    stored, written = Path(runs[0]["run"]) / "split.csv", tmp_path / "split.csv"
    sets = ("--set", f"catalog={tmp_path / 'one' / 'catalog'}", "--set", f"output={tmp_path / 'again'}")
    again = ("--set", "labels.split.seed=9", "--set", f"labels.split.file={stored}")
    shown = medray("split", str(phantoms / "config.yaml"), *sets, *again, "--out", str(written), "--json")
    assert shown.returncode == 0, shown.stderr
    assert written.read_bytes() == stored.read_bytes()
    assert json.loads(shown.stdout)["split"] == runs[0]["split"]
    other = tmp_path / "other.csv"
    assert medray("split", str(phantoms / "config.yaml"), *sets, *again[:2], "--out", str(other)).returncode == 0
    assert other.read_bytes() != stored.read_bytes()
    printed = medray("split", str(phantoms / "config.yaml"), *sets)
    assert all(word in printed.stdout for word in ("train", "not malignant", "patients"))

    # A file that lacks an image, or a column, is refused.
    written.write_text("\n".join(stored.read_text().splitlines()[:-1]) + "\n")
    lacking = medray("split", str(phantoms / "config.yaml"), *sets, "--set", f"labels.split.file={written}")
    assert (lacking.returncode, "LABELS_SPLIT_PARTIAL: 1 of 80" in lacking.stderr) == (1, True)
    without = medray("split", str(phantoms / "config.yaml"), *sets, "--set", f"labels.split.file={phantoms / 'labels.csv'}")
    assert (without.returncode, "LABELS_NO_SPLIT" in without.stderr) == (1, True)


def test_doubtful_figures_are_called_so_everywhere(medray: Run, phantoms: Path, tmp_path: Path) -> None:
    found = trained(medray, phantoms, tmp_path, "--set", "labels.split.train=0.2", "--set", "labels.split.val=0.4")
    few = [one["message"] for one in found["warnings"] if one["code"] == "CLASS_FEW_PATIENTS"]
    positives = next(one for one in found["split"] if (one["split"], one["class"]) == ("train", "malignant"))
    assert any(message.startswith(f"{positives['patients']} patients with malignant") for message in few)
    report = Path(found["report"]).read_text()
    metrics = json.loads((Path(found["run"]) / "metrics.json").read_text())
    assert metrics["warnings"] == found["warnings"]
    assert all(one["code"] in report for one in found["warnings"])

    # Cohorts of one class are evaluated: what needs the other one is null.
    labels = rows_of(phantoms / "labels.csv")
    for wanted, defined, undefined in (("0", "specificity", "sensitivity"), ("1", "sensitivity", "specificity")):
        cohort = tmp_path / f"cohort-{wanted}.csv"
        chosen = [row["SOPInstanceUID"] for row in labels if row["malignant"] == wanted]
        cohort.write_text("SOPInstanceUID,malignant\n" + "".join(f"{uid},{wanted}\n" for uid in chosen))
        judged = medray(
            *("evaluate", found["bundle"], "--src", str(phantoms / "images"), "--labels", str(cohort)),
            *("--executor", "local", "--json"),
        )
        assert judged.returncode == 0, judged.stderr
        answer = json.loads(judged.stdout)
        assert (answer["n"], answer["positives"]) == (len(chosen), len(chosen) * int(wanted))
        assert answer["auroc"] == {"value": None, "low": None, "high": None}
        assert answer[undefined] is None
        assert 0 <= answer[defined] <= 1
        assert answer["scores"]["low"] <= answer["scores"]["median"] <= answer["scores"]["high"]
        assert "COHORT_CLASS_ABSENT" in [one["code"] for one in answer["warnings"]]
        assert "medray: warning: COHORT_CLASS_ABSENT" in judged.stderr


def test_quarantined_images_are_said_with_their_codes(medray: Run, phantoms: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    cut.mkdir()
    for number, path in enumerate(sorted((phantoms / "images").rglob("*.dcm"))[:6]):
        (cut / f"{number}.dcm").write_bytes(path.read_bytes()[:-400] if number < 5 else b"no image")
    command = ("ingest", str(cut), "--catalog", str(tmp_path / "catalog"), "--labels", str(phantoms / "labels.csv"))
    done = medray(*command)
    assert done.returncode == 1
    assert "CATALOG_NO_IMAGES: none of 6 objects" in done.stderr
    assert "1 DICOM_NOT_DICOM, 5 PIXELS_TRUNCATED" in done.stderr
    assert "has a label" not in done.stderr
    sets = ("--set", f"catalog={tmp_path / 'catalog'}", "--set", f"output={tmp_path / 'out'}")
    assert medray("ingest", str(cut), "--catalog", str(tmp_path / "catalog")).returncode == 3
    refused = medray("split", str(phantoms / "config.yaml"), *sets)
    assert refused.returncode == 1
    assert "CATALOG_NO_IMAGES" in refused.stderr or "LABELS_NOT_FOUND" in refused.stderr

    # One good image without a label among the labelled ones that are broken.
    labels = tmp_path / "labels.csv"
    labels.write_text("path,malignant\n" + "".join(f"{number}.dcm,1\n" for number in range(5)))
    good = sorted((phantoms / "images").rglob("*.dcm"))[-1]
    (cut / "good.dcm").write_bytes(good.read_bytes())
    partly = medray("ingest", str(cut), "--catalog", str(tmp_path / "catalog"), "--labels", str(labels))
    assert "LABELS_NO_MATCH" in partly.stderr
    assert "could not be used: 1 DICOM_NOT_DICOM, 5 PIXELS_TRUNCATED" in partly.stderr
