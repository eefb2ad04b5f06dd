"""Catalog → feature table: every image has one row, later runs compute what is new, masks decide what is measured."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import imagecodecs
import numpy as np
import pyarrow as pa
import pydicom
import pytest
import yaml
from dicom_series import as_bytes
from pydantic import ValidationError
from pydicom.data import get_testdata_file
from segmentations import drawn, item, of_segment

from medray.bundles.embedding import EmbeddingSpec, open_embedding
from medray.cataloguing.ingest import ingest
from medray.data import store, tables
from medray.data.dicom import decode
from medray.data.key_file import the_key
from medray.data.pseudonym import using
from medray.distributed.dataset import on_ray
from medray.errors import ClusterError, ConfigError, LabelError
from medray.features.family import Extracted
from medray.features.table import columns
from medray.features.table import extract as extract_features
from medray.imaging.preprocess import preprocess
from medray.runs.extract import ExtractConfig, ExtractResult, extract, extract_job
from medray.work.process import process

Run = Callable[..., "CompletedProcess[str]"]
SPEC: dict[str, Any] = {
    "preprocess": {"steps": [{"op": "percentile"}]},
    "features": {
        "families": [
            {"family": "intensity", "grid": 0, "centre": False},
            {"family": "radiomics", "classes": ["glcm"], "bin_count": 16},
        ]
    },
}
SLOW = {"families": [{"family": "radiomics", "bin_width": 0.02}]}
"""Features that keep an actor busy for long enough to be killed on the way."""


def config(root: Path, **changes: Any) -> ExtractConfig:
    return ExtractConfig.model_validate({**SPEC, "output": str(root / "out"), "catalog": str(root / "catalog"), **changes})


def rows_of(result: ExtractResult) -> dict[str, dict[str, Any]]:
    """File name → row."""
    table = tables.read_table(result.table_uri)
    rows = {row["uri"].rsplit("/", 1)[-1]: row for row in table.to_pylist()}
    assert len(rows) == len(table)
    return rows


@pytest.fixture
def files(archive: Path, tmp_path: Path) -> list[Path]:
    """Ten images of the archive, in a folder of their own."""
    (tmp_path / "images").mkdir()
    chosen = sorted((archive / "images").rglob("*.dcm"))[:10]
    return [Path(shutil.copy2(path, tmp_path / "images" / f"{number}.dcm")) for number, path in enumerate(chosen)]


def ingested(root: Path) -> None:
    ingest(str(root / "images"), str(root / "catalog"))


# --- what is in the table ------------------------------------------------------------------------------------------------------


def test_every_image_has_a_row_with_its_state(files: list[Path], tmp_path: Path) -> None:
    shutil.copy2(str(get_testdata_file("emri_small.dcm")), tmp_path / "images" / "frames.dcm")
    gone = Path(shutil.copy2(str(get_testdata_file("CT_small.dcm")), tmp_path / "images" / "gone.dcm"))
    constant = pydicom.dcmread(files[0])
    constant.PixelData = bytes(len(constant.PixelData))
    constant.save_as(files[0])
    ingested(tmp_path)
    gone.unlink()
    settings = config(
        tmp_path, preprocess={"steps": [{"op": "check"}, {"op": "minmax"}, {"op": "resize", "rows": 32, "columns": 32}]}
    )
    result = extract(settings)
    summary = result.summary
    assert (summary.inputs, summary.scored, summary.excluded, summary.quarantined, summary.failed) == (12, 10, 1, 0, 1)
    assert summary.reasons.keys() == {"IMAGE_MULTI_FRAME", "STORE_NOT_FOUND"}
    assert result.table_uri.endswith(f"/features/{result.fingerprint}")
    rows = rows_of(result)
    names = columns(settings.features)
    assert list(rows["0.dcm"])[11:] == ["fingerprint", "units", *names, "reasons"]
    assert result.features == len(names)
    for path in files[1:]:
        row, image = rows[path.name], decode(path)
        expected = extract_features(preprocess(image, settings.preprocess), settings.features).values
        assert np.array_equal([row[name] for name in names], expected)
        assert (row["state"], row["reasons"], row["fingerprint"]) == ("SCORED", "", result.fingerprint)
        with using(the_key()):
            assert (row["sop_uid"], row["patient_key"]) == (image.header.sop_uid, decode(path).header.patient_key)
        assert row["content_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    for name in ("frames.dcm", "gone.dcm"):
        assert {rows[name][column] for column in (*names, "reasons")} == {None}
    assert rows["0.dcm"]["state"] == "SCORED"
    assert "PIXELS_CONSTANT" in rows["0.dcm"]["flags"].split()
    undefined = [name for name in names if rows["0.dcm"][name] is None]
    assert "intensity_skewness" in undefined
    assert all(name in rows["0.dcm"]["reasons"].replace(";", "").split() for name in undefined)


def test_networks_add_their_features(files: list[Path], tmp_path: Path, trained: Any) -> None:
    ingested(tmp_path)
    network = EmbeddingSpec(name="cnn", bundle=trained.bundles["cnn"].uri, device="cpu")
    settings = config(tmp_path, embeddings=[network.model_dump()])
    result = extract(settings)
    rows = rows_of(result)
    opened = open_embedding(network)
    expected = opened.extract([decode(path) for path in files])
    assert result.features == len(columns(settings.features)) + len(opened.columns)
    for path, found in zip(files, expected, strict=True):
        assert isinstance(found, Extracted)
        assert [rows[path.name][name] for name in opened.columns] == pytest.approx(found.values, rel=1e-4, abs=1e-5)
    assert result.fingerprint != extract_job(config(tmp_path)).fingerprint
    with pytest.raises(ValidationError, match="embeddings must differ in their names"):
        config(tmp_path, embeddings=[network.model_dump()] * 2)


# --- later runs ----------------------------------------------------------------------------------------------------------------


def test_a_later_run_computes_what_is_new_or_changed(files: list[Path], archive: Path, tmp_path: Path) -> None:
    ingested(tmp_path)
    before = rows_of(extract(config(tmp_path)))
    others = sorted((archive / "images").rglob("*.dcm"))[20:22]
    files[0].unlink()
    files[1].write_bytes(others[0].read_bytes())
    shutil.copy2(others[1], tmp_path / "images" / "new.dcm")
    ingested(tmp_path)
    calls: list[tuple[int, int]] = []
    result = extract(config(tmp_path), lambda what, done, total: calls.append((done, total)))
    assert calls[0] == (8, 10), "two are new or changed"
    assert calls[-1] == (10, 10)
    after = rows_of(result)
    assert after.keys() == before.keys() - {"0.dcm"} | {"new.dcm"}
    assert after["1.dcm"]["content_sha256"] != before["1.dcm"]["content_sha256"]
    assert all(after[f"{number}.dcm"] == before[f"{number}.dcm"] for number in range(2, 10))
    assert after == rows_of(extract(config(tmp_path, output=str(tmp_path / "afresh"))))


def test_a_condition_chooses_among_the_images(files: list[Path], tmp_path: Path) -> None:
    shutil.copy2(str(get_testdata_file("CT_small.dcm")), tmp_path / "images" / "ct.dcm")
    ingested(tmp_path)
    assert extract(config(tmp_path, where="modality = 'CT'")).summary.counts() == {
        **dict.fromkeys(("excluded", "quarantined", "failed"), 0),
        **{"inputs": 1, "scored": 1},
    }
    for where, code in (("modality = 'XX'", "EXTRACT_NOTHING"), ("no_such_column = 1", "QUERY_INVALID")):
        with pytest.raises(ConfigError) as caught:
            extract(config(tmp_path, where=where))
        assert caught.value.code == code


# --- masks ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def masked(files: list[Path], tmp_path: Path) -> Path:
    """A table of masks for seven of the ten images: good ones and all kinds of bad ones."""
    folder = tmp_path / "masks"
    folder.mkdir()
    whole = np.full((64, 64), 255, np.uint8)
    part = np.zeros((64, 64), np.uint8)
    part[10:30, 20:50] = 1
    masks = {0: whole, 1: part, 2: np.zeros((64, 64), np.uint8), 3: np.ones((64, 63), np.uint8), 6: part}
    for number, mask in masks.items():
        (folder / f"{number}.png").write_bytes(imagecodecs.png_encode(mask))
    (folder / "4.png").write_bytes(b"no mask")
    lines = [f"{decode(files[number]).header.sop_uid},masks/{number}.png" for number in range(7)]  # the fifth is not there
    (tmp_path / "masks.csv").write_text("\n".join(["SOPInstanceUID,mask", *lines]) + "\n")
    return tmp_path / "masks.csv"


def test_masks_decide_what_is_measured(files: list[Path], masked: Path, tmp_path: Path) -> None:
    ingested(tmp_path)
    whole = {"families": [{"family": "radiomics", "classes": ["firstorder"]}]}
    given = {"masks": str(masked), "preprocess": {"steps": []}, "features": whole}
    rows = rows_of(extract(config(tmp_path, **given)))
    assert {name: (row["state"], row["code"]) for name, row in rows.items()} == {
        **{f"{number}.dcm": ("SCORED", "") for number in (0, 1, 2, 6, 7, 8, 9)},
        "3.dcm": ("QUARANTINED", "MASK_SIZE"),
        "4.dcm": ("QUARANTINED", "MASK_UNREADABLE"),
        "5.dcm": ("FAILED", "STORE_NOT_FOUND"),
    }
    pixels = decode(files[1]).pixels
    assert rows["1.dcm"]["original_firstorder_Mean"] == pytest.approx(float(pixels[10:30, 20:50].mean()), rel=1e-6)
    assert rows["0.dcm"]["original_firstorder_Mean"] == pytest.approx(float(decode(files[0]).pixels.mean()), rel=1e-6)
    names = columns(config(tmp_path, **given).features)
    assert {rows["2.dcm"][name] for name in names} == {None}, "an empty mask"
    assert rows["2.dcm"]["reasons"] == f"EMPTY: {' '.join(names)}"
    assert rows["1.dcm"]["mask"] == str(tmp_path / "masks" / "1.png")
    assert rows["7.dcm"]["mask"] == ""


def test_the_segment_and_the_level_are_chosen(files: list[Path], tmp_path: Path) -> None:
    ingested(tmp_path)
    marked = np.zeros((2, 64, 64), np.uint8)
    marked[0, 5:9, 5:9], marked[1, 10:30, 20:50], marked[1, 12:20, 22:40] = 200, 90, 150
    groups = [item(**of_segment(number)) for number in (1, 2)]
    fractions = drawn(marked, kind="FRACTIONAL", MaximumFractionalValue=200, PerFrameFunctionalGroupsSequence=groups)
    (tmp_path / "0.dcm").write_bytes(as_bytes(fractions))
    fractions.SourceImageSequence = [item(ReferencedSOPInstanceUID="1.2.3")]
    (tmp_path / "1.dcm").write_bytes(as_bytes(fractions))
    lines = [f"{decode(files[number]).header.sop_uid},{number}.dcm" for number in range(2)]
    (tmp_path / "masks.csv").write_text("\n".join(["SOPInstanceUID,mask", *lines]) + "\n")
    given = {"masks": str(tmp_path / "masks.csv"), "preprocess": {"steps": []}, "segment": 2}
    given["features"] = {"families": [{"family": "radiomics", "classes": ["firstorder"]}]}
    rows = rows_of(extract(config(tmp_path, **given, level=0.7)))
    mean = decode(files[0]).pixels[12:20, 22:40].mean()
    assert rows["0.dcm"]["original_firstorder_Mean"] == pytest.approx(float(mean), rel=1e-6)
    assert rows["1.dcm"]["code"] == "MASK_OTHER_IMAGE"
    assert rows_of(extract(config(tmp_path, **given)))["0.dcm"]["code"] == "MASK_UNREADABLE"


def test_a_changed_mask_is_measured_again(files: list[Path], masked: Path, tmp_path: Path) -> None:
    ingested(tmp_path)
    given = {"masks": str(masked), "without_mask": "exclude"}
    before = rows_of(extract(config(tmp_path, **given)))
    assert {before[f"{number}.dcm"]["code"] for number in (7, 8, 9)} == {"MASK_MISSING"}
    mask = np.zeros((64, 64), np.uint8)
    mask[40:60, 5:30] = 1
    for number in (5, 6):
        (tmp_path / "masks" / f"{number}.png").write_bytes(imagecodecs.png_encode(mask))
    calls: list[int] = []
    after = rows_of(extract(config(tmp_path, **given), lambda what, done, total: calls.append(done)))
    assert calls[0] == 8
    assert [after[f"{number}.dcm"]["state"] for number in (5, 6)] == ["SCORED"] * 2
    assert after["6.dcm"]["intensity_mean"] != before["6.dcm"]["intensity_mean"]
    assert after["1.dcm"] == before["1.dcm"]


def test_masks_of_other_images_are_refused(files: list[Path], tmp_path: Path) -> None:
    ingested(tmp_path)
    (tmp_path / "other.csv").write_text("SOPInstanceUID,mask\n1.2.3,a.png\n")
    with pytest.raises(LabelError) as caught:
        extract(config(tmp_path, masks=str(tmp_path / "other.csv")))
    assert caught.value.code == "MASKS_NO_MATCH"


def test_everything_on_s3(files: list[Path], masked: Path, tmp_path: Path, s3: str, medray: Run) -> None:
    for path in (*files, masked, *(tmp_path / "masks").iterdir()):
        store.write(f"{s3}/{path.relative_to(tmp_path)}", path.read_bytes())
    ingest(f"{s3}/images", f"{s3}/catalog")
    spec = {**SPEC, "output": f"{s3}/out", "catalog": f"{s3}/catalog", "masks": f"{s3}/masks.csv"}
    store.write(f"{s3}/extract.yaml", yaml.safe_dump(spec).encode())
    done = medray("extract", "--config", f"{s3}/extract.yaml", "--json", "--set", "cluster.cpus=2")
    assert done.returncode == 3, done.stderr
    assert "3 inputs need attention (MASK_SIZE 1, MASK_UNREADABLE 1, STORE_NOT_FOUND 1)" in done.stderr
    answer = json.loads(done.stdout)
    assert (answer["inputs"], answer["scored"], answer["quarantined"], answer["failed"]) == (10, 7, 2, 1)
    rows = tables.read_table(answer["table"]).to_pylist()
    assert {row["mask"] for row in rows} == {"", *(f"{s3}/masks/{number}.png" for number in range(7))}


# --- wherever it runs -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slow(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a catalog of sixty images and a configuration that takes some seconds."""
    root = tmp_path_factory.mktemp("slow")
    (root / "images").mkdir()
    for path in sorted((archive / "images").rglob("*.dcm"))[:60]:
        shutil.copy2(path, root / "images")
    ingested(root)
    spec = {"preprocess": SPEC["preprocess"], "features": SLOW, "output": "", "catalog": str(root / "catalog")}
    (root / "extract.yaml").write_text(yaml.safe_dump(spec))
    return root


def shards(output: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in output.glob("features/*/part-*.parquet")}


@pytest.fixture(scope="module")
def whole(slow: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The shards that one process makes which nothing breaks off."""
    spec = yaml.safe_load((slow / "extract.yaml").read_text())
    one = tmp_path_factory.mktemp("whole")
    here = {"resources": {"actors": 1}, "cluster": {"executor": "local"}}
    result = extract(ExtractConfig.model_validate({**spec, "output": str(one), **here}))
    assert result.summary.scored == 60
    assert len(shards(one)) >= 30
    return shards(one)


def command(slow: Path, output: Path, actors: int, executor: str = "ray", cpus: int = 2) -> list[str]:
    settings = {
        "output": output,
        "resources.actors": actors,
        "cluster.cpus": cpus,
        "cluster.address": "local",
        "cluster.executor": executor,
    }
    sets = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    return ["extract", "--config", str(slow / "extract.yaml"), *sets, "--json"]


@contextmanager
def started(arguments: list[str], output: Path, count: int) -> Iterator[subprocess.Popen[str]]:
    """Start a command and wait until it has written some shards."""
    executable = str(Path(sys.executable).parent / "medray")
    command = [executable, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as driver:
        while len(shards(output)) < count:
            assert driver.poll() is None, "it ended before it could be killed"
            time.sleep(0.02)
        yield driver


def workers(driver: int) -> list[int]:
    """Process ids of the actors of a driver's own session, or of its own processes, by the process tree."""
    parents: dict[int, int] = {}
    actors = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            started_with = (folder / "cmdline").read_text()
            if started_with.startswith("ray::MapWorker") or "multiprocessing.spawn" in started_with:
                actors.append(int(folder.name))
        except OSError:  # ended in the meantime
            continue

    def descends(process: int) -> bool:
        while process in parents and process != driver:
            process = parents[process]
        return process == driver

    return [actor for actor in actors if descends(actor)]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds worker processes in /proc")
@pytest.mark.parametrize(("executor", "other"), [("ray", "local"), ("local", "ray")])
def test_the_same_bytes_for_any_number_of_processes_and_after_kills(
    executor: str, other: str, slow: Path, whole: dict[str, str], tmp_path: Path, medray: Run
) -> None:
    two = tmp_path / "two"
    with started(command(slow, two, actors=2, executor=executor), two, 3) as driver:
        os.kill(workers(driver.pid)[0], signal.SIGKILL)
        answer, complaint = driver.communicate()
    if executor == "ray":
        assert driver.returncode == 0
    else:
        assert driver.returncode == 1
        assert "medray: WORKER_FAILED: a process of this machine was killed" in complaint
        answer = medray(*command(slow, two, actors=2, executor=executor)).stdout
    assert json.loads(answer)["scored"] == 60
    assert shards(two) == whole

    four = tmp_path / "four"
    with started(command(slow, four, actors=2, executor=executor), four, 3) as driver:
        orphans = workers(driver.pid)
        driver.kill()
    time.sleep(3)  # the workers notice that their driver is gone
    assert executor == "ray" or not [process for process in orphans if Path(f"/proc/{process}").exists()]
    assert 3 <= len(shards(four)) < len(whole), "it was done before it was killed"
    kept = {path.name: path.stat().st_mtime_ns for path in four.glob("features/*/part-*.parquet")}
    done = medray(*command(slow, four, actors=4, executor=other, cpus=4))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scored"] == 60
    assert shards(four) == whole
    now = {path.name: path.stat().st_mtime_ns for path in four.glob("features/*/part-*.parquet")}
    assert kept.items() <= now.items(), "what was finished was computed again"


def test_more_actors_than_the_cluster_holds_are_refused(slow: Path, tmp_path: Path, medray: Run) -> None:
    done = medray(*command(slow, tmp_path / "out", actors=9))
    assert done.returncode == 1
    assert "CLUSTER_TOO_SMALL: 9 actors of one CPU and 512 MiB each: the cluster has room for 2" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_cluster_that_others_have_taken_is_given_up(tmp_path: Path, ray_session: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    @ray.remote(num_cpus=2)
    class Greedy:
        def ready(self) -> bool:
            return True

    from medray.work.extract import ExtractJob

    rows = pa.table({"uri": ["a"], "etag": ["1"]})
    settings = config(tmp_path)
    job = ExtractJob(settings.preprocess, settings.features, "x")
    greedy = Greedy.remote()
    ray.get(greedy.ready.remote())
    monkeypatch.setenv("MEDRAY_CLUSTER_WAIT_S", "0.3")
    with pytest.raises(ClusterError) as caught:
        process(rows, job, str(tmp_path / "t"), on_ray())
    ray.kill(greedy)
    assert caught.value.code == "CLUSTER_BUSY"
