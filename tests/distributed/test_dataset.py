"""Objects through actors to a table: one state each, byte-identical for any number of actors, resumed after an interruption."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from prepared import prepared

from medray.bundles.input_spec import InputSpec
from medray.data import store
from medray.distributed.dataset import on_ray
from medray.imaging.preprocess import PreprocessSpec
from medray.runs.score import object_rows
from medray.work.prepare import PrepareJob
from medray.work.process import process
from medray.work.table import outcomes

SPEC = InputSpec(
    preprocess=PreprocessSpec.model_validate({"steps": [{"op": "percentile"}, {"op": "resize", "rows": 16, "columns": 16}]})
)


def shards(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("part-*")}


@pytest.fixture(scope="module")
def rows(archive: Path) -> pa.Table:
    return object_rows(store.list_objects(str(archive / "images")))


def test_any_number_of_actors_gives_the_same_bytes(rows: pa.Table, tmp_path: Path, ray_session: None) -> None:
    for actors in (1, 2):
        process(rows, PrepareJob(SPEC), str(tmp_path / str(actors)), on_ray(actors))
    assert shards(tmp_path / "1") == shards(tmp_path / "2")
    assert len(shards(tmp_path / "1")) >= 120
    assert prepared(str(tmp_path / "1"), rows, PrepareJob(SPEC)).shape == (len(rows), 16, 16)


def test_a_second_start_computes_only_what_is_missing(rows: pa.Table, tmp_path: Path, ray_session: None) -> None:
    table = str(tmp_path / "t")
    process(rows.slice(0, 100), PrepareJob(SPEC), table, on_ray(2))
    (tmp_path / "t" / "_delta_log" / "00000000000000000001.json").unlink()  # as if killed before the commit
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "t").glob("part-*.parquet")}
    calls: list[int] = []
    process(rows.slice(0, 100), PrepareJob(SPEC), table, on_ray(2), lambda done, total: calls.append(done))
    assert calls == [100]
    process(rows, PrepareJob(SPEC), table, on_ray(2))
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "t").glob("part-*.parquet")}
    assert before.items() <= after.items()
    assert len(outcomes(rows, table)) == len(rows)


def test_each_bad_input_has_its_own_state(archive: Path, tmp_path: Path, ray_session: None) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    *good, other = sorted((archive / "images").rglob("*.dcm"))[:4]
    for number, path in enumerate(good):
        (folder / f"{number}.dcm").write_bytes(path.read_bytes())
    (folder / "2.dcm").write_bytes(b"MZ" + good[2].read_bytes()[2:])  # a preamble like a Windows program's
    (folder / "cut.dcm").write_bytes(good[0].read_bytes()[:-100])
    (folder / "note.txt").write_text("not DICOM")
    shutil.copy2(other, folder / "vanished.dcm")
    mixed = object_rows(store.list_objects(str(folder)))
    (folder / "vanished.dcm").unlink()
    process(mixed, PrepareJob(SPEC), str(tmp_path / "t"), on_ray(2))
    found = {
        item["uri"].rsplit("/", 1)[-1]: (item["state"], item["code"] or item["flags"])
        for item in outcomes(mixed, str(tmp_path / "t")).to_pylist()
    }
    assert found == {
        "0.dcm": ("SCORED", ""),
        "1.dcm": ("SCORED", ""),
        "2.dcm": ("SCORED", "PREAMBLE_NOT_ZERO"),
        "cut.dcm": ("QUARANTINED", "PIXELS_TRUNCATED"),
        "note.txt": ("QUARANTINED", "DICOM_NOT_DICOM"),
        "vanished.dcm": ("FAILED", "STORE_NOT_FOUND"),
    }
    shutil.copy2(other, folder / "vanished.dcm")
    process(mixed, PrepareJob(SPEC), str(tmp_path / "t"), on_ray(2))
    again = {item["uri"].rsplit("/", 1)[-1]: item["state"] for item in outcomes(mixed, str(tmp_path / "t")).to_pylist()}
    assert again["vanished.dcm"] == "SCORED"
    assert len(again) == len(mixed)


def test_an_object_that_changed_is_read_again(archive: Path, tmp_path: Path, ray_session: None) -> None:
    first, second = sorted((archive / "images").rglob("*.dcm"))[:2]
    path = tmp_path / "a.dcm"
    path.write_bytes(first.read_bytes())
    before = object_rows(store.list_objects(str(path)))
    process(before, PrepareJob(SPEC), str(tmp_path / "t"), on_ray(1))
    path.write_bytes(second.read_bytes())
    after = object_rows(store.list_objects(str(path)))
    process(after, PrepareJob(SPEC), str(tmp_path / "t"), on_ray(1))
    old, new = (prepared(str(tmp_path / "t"), rows, PrepareJob(SPEC)) for rows in (before, after))
    assert old.shape == new.shape == (1, 16, 16)
    assert not np.array_equal(old, new)
