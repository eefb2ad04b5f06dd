"""Catalog → feature table of volumes: stacks of series as inputs, with masks that are DICOM SEGs."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import SHARED
from dicom_series import CORONAL, ROOT, SeriesSpec, as_bytes, datasets, enhanced
from pydantic import ValidationError
from segmentations import reordered, segmentation

from medray.cataloguing.ingest import ingest
from medray.data import tables
from medray.data.volume import build_volume
from medray.features.table import columns
from medray.features.table import extract as extract_features
from medray.imaging.preprocess import preprocess
from medray.runs.extract import ExtractConfig, ExtractResult, extract
from medray.types import Image

Run = Callable[..., "CompletedProcess[str]"]
SPEC: dict[str, Any] = {
    "of": "volumes",
    "preprocess": {"steps": [{"op": "median", "kernel": 3}]},
    "features": {
        "families": [
            {"family": "radiomics", "dimensions": 3, "classes": ["firstorder", "shape", "glcm"], "bin_count": 16},
            {"family": "ibsi", "groups": ["statistics"]},
        ]
    },
}
NAMES = {"PatientName": "A^B", "PatientBirthDate": "", "PatientSex": "O", "AccessionNumber": "", "StudyID": "1"}
PLAIN = SeriesSpec(rows=16, columns=20, slices=9, extra=NAMES, series_uid=f"{ROOT}.20")
CROSSED = replace(PLAIN, seed=1, slices=5, orientation=CORONAL, series_uid=f"{ROOT}.21")
GAP = replace(PLAIN, seed=2, slices=7, series_uid=f"{ROOT}.22")
FRAMES = replace(PLAIN, seed=3, series_uid=f"{ROOT}.23")
TWICE = replace(PLAIN, seed=5, series_uid=f"{ROOT}.24", slices=4)


def config(root: Path, **changes: Any) -> ExtractConfig:
    return ExtractConfig.model_validate({**SPEC, "output": str(root / "out"), "catalog": str(root / "catalog"), **changes})


def rows_of(result: ExtractResult) -> dict[str, dict[str, Any]]:
    """Name of the volume, without what all have in common → row."""
    table = tables.read_table(result.table_uri)
    rows = {row["uri"].removeprefix(f"{ROOT}."): row for row in table.to_pylist()}
    assert len(rows) == len(table)
    return rows


def measured(row: dict[str, Any], settings: ExtractConfig) -> list[float]:
    return [np.nan if row[name] is None else row[name] for name in columns(settings.features)]


def expected(image: Image, settings: ExtractConfig) -> Any:
    return extract_features(preprocess(image, settings.preprocess), settings.features).values


def ingested(root: Path) -> None:
    ingest(str(root / "images"), str(root / "catalog"))


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """An archive: a series in a shard and one beside it, a series of two stacks, one with a gap, a multi-frame object."""
    folder = tmp_path / "images"
    for name, spec, missing in (("plain", PLAIN, -1), ("gap", GAP, 3)):
        (folder / name).mkdir(parents=True)
        for number, one in enumerate(datasets(spec)):
            if number != missing:
                (folder / name / f"{number}.dcm").write_bytes(as_bytes(one))
    both = [*datasets(CROSSED), *datasets(replace(CROSSED, seed=4, orientation=PLAIN.orientation))]
    (tmp_path / "two").mkdir()
    for number, one in enumerate(both):
        (tmp_path / "two" / f"{number}.dcm").write_bytes(as_bytes(one))
    with tarfile.open(folder / "two.tar", "w") as shard:
        shard.add(tmp_path / "two", "two")
    (folder / "frames.dcm").write_bytes(as_bytes(enhanced(datasets(FRAMES), FRAMES)))
    (folder / "twice").mkdir()
    for number, one in enumerate([*datasets(TWICE), datasets(replace(TWICE, seed=6))[2]]):
        (folder / "twice" / f"{number}.dcm").write_bytes(as_bytes(one))
    return folder


def test_every_stack_has_a_row_with_its_state(series: Path, tmp_path: Path) -> None:
    ingested(tmp_path)
    settings = config(tmp_path)
    result = extract(settings)
    rows = rows_of(result)
    assert {name: (row["state"], row["code"]) for name, row in rows.items()} == {
        **dict.fromkeys(("20#0", "21#0", "21#1", "23#0"), ("SCORED", "")),
        "22#0": ("QUARANTINED", "VOLUME_GAP"),
        "24#0": ("QUARANTINED", "VOLUME_DUPLICATE_SLICE"),
    }
    assert result.summary.counts() == {"inputs": 6, "scored": 4, "excluded": 0, "quarantined": 2, "failed": 0}
    sources = {
        "20#0": (series / "plain", None),
        "21#0": (series / "two.tar", 0),
        "21#1": (series / "two.tar", 1),
        "23#0": (series / "frames.dcm", None),
    }
    for name, (source, stack) in sources.items():
        volume = build_volume(str(source), stack=stack)
        assert np.array_equal(measured(rows[name], settings), expected(volume.image(), settings), equal_nan=True), name
        assert rows[name]["series_uid"] == volume.headers[0].series_uid
    assert not any(np.isnan(measured(rows["20#0"], settings)))
    assert rows["22#0"]["series_uid"] == GAP.series_uid
    assert (rows["20#0"]["sop_uid"], rows["23#0"]["sop_uid"]) == ("", f"{FRAMES.series_uid}.77")

    allowed = rows_of(extract(config(tmp_path, allow=["VOLUME_GAP", "VOLUME_DUPLICATE_SLICE"], max_bytes=11000)))
    assert {name: (row["state"], row["code"], row["flags"]) for name, row in allowed.items()} == {
        "20#0": ("QUARANTINED", "VOLUME_TOO_LARGE", ""),
        "21#0": ("SCORED", "", ""),
        "21#1": ("SCORED", "", ""),
        "22#0": ("SCORED", "", "VOLUME_GAP"),
        "23#0": ("QUARANTINED", "VOLUME_TOO_LARGE", ""),
        "24#0": ("SCORED", "", "VOLUME_DUPLICATE_SLICE"),
    }

    settings = config(tmp_path, correct=["tilt", "spacing"], interpolation="cubic", where=f"series_uid = '{GAP.series_uid}'")
    row = rows_of(extract(settings))["22#0"]
    volume = build_volume(str(series / "gap"), correct=["tilt", "spacing"], interpolation="cubic")
    assert (row["state"], row["flags"], len(volume.voxels)) == ("SCORED", "VOLUME_SPACING_CORRECTED", 7)
    assert np.array_equal(measured(row, settings), expected(volume.image(), settings), equal_nan=True)


def test_a_stack_is_measured_again_when_a_slice_is_another(series: Path, tmp_path: Path) -> None:
    ingested(tmp_path)
    before = rows_of(extract(config(tmp_path)))
    changed = datasets(replace(PLAIN, seed=9))[4]
    changed.SOPInstanceUID = changed.file_meta.MediaStorageSOPInstanceUID = datasets(PLAIN)[4].SOPInstanceUID
    (series / "plain" / "4.dcm").write_bytes(as_bytes(changed))
    (series / "gap" / "3.dcm").write_bytes(as_bytes(datasets(GAP)[3]))
    (series / "frames.dcm").unlink()
    ingested(tmp_path)
    calls: list[tuple[int, int]] = []
    after = rows_of(extract(config(tmp_path), lambda what, done, total: calls.append((done, total))))
    assert calls[0] == (3, 5), "two are others"
    assert after.keys() == before.keys() - {"23#0"}
    assert (after["22#0"]["state"], after["20#0"]["state"]) == ("SCORED", "SCORED")
    assert after["20#0"]["content_sha256"] != before["20#0"]["content_sha256"]
    assert all(after[name] == before[name] for name in ("21#0", "21#1", "24#0"))
    chosen = rows_of(extract(config(tmp_path, where=f"series_uid = '{GAP.series_uid}'")))
    assert chosen == after, "what is not chosen stays"


def test_masks_are_put_where_their_frames_lie(series: Path, tmp_path: Path) -> None:
    ingested(tmp_path)
    marked = np.zeros((9, 16, 20), np.uint8)
    marked[2:7, 4:12, 5:15], marked[3:6, 6:9, 7:10] = 1, 2
    (tmp_path / "plain.dcm").write_bytes(as_bytes(reordered(segmentation(datasets(PLAIN), marked))))
    (tmp_path / "two.dcm").write_bytes(as_bytes(segmentation(datasets(CROSSED), np.ones((5, 16, 20), np.uint8))))
    lines = ["SeriesInstanceUID,mask", f"{PLAIN.series_uid},plain.dcm", f"{CROSSED.series_uid},two.dcm"]
    (tmp_path / "masks.csv").write_text("\n".join(lines) + "\n")
    settings = config(tmp_path, masks=str(tmp_path / "masks.csv"), without_mask="exclude", segment=1, allow=["VOLUME_GAP"])
    rows = rows_of(extract(settings))
    image = replace(build_volume(str(series / "plain")).image(), mask=marked == 1)
    assert np.array_equal(measured(rows["20#0"], settings), expected(image, settings), equal_nan=True)
    assert {name: row["code"] for name, row in rows.items()} == {
        **dict.fromkeys(("22#0", "23#0"), "MASK_MISSING"),
        **{"20#0": "", "21#0": "", "21#1": "MASK_GEOMETRY", "24#0": "VOLUME_DUPLICATE_SLICE"},
    }

    drawn = datasets(GAP)[:3] + datasets(GAP)[4:]
    (tmp_path / "gap.dcm").write_bytes(as_bytes(segmentation(drawn, np.delete(marked[:7], 3, axis=0))))
    (tmp_path / "masks.csv").write_text(f"SeriesInstanceUID,mask\n{GAP.series_uid},gap.dcm\n")
    settings = config(tmp_path, masks=str(tmp_path / "masks.csv"), without_mask="exclude", segment=1, correct=["spacing"])
    between = np.insert((marked == 1)[[0, 1, 2, 4, 5, 6]], 3, (marked[2] == 1) | (marked[4] == 1), axis=0)
    image = replace(build_volume(str(series / "gap"), correct=["spacing"]).image(), mask=between)
    row = rows_of(extract(settings))["22#0"]
    assert np.array_equal(measured(row, settings), expected(image, settings), equal_nan=True)


def test_a_real_series_through_the_command_line(tmp_path: Path, medray: Run) -> None:
    folder = SHARED / "data" / "series" / "ct-phantom"
    if not folder.is_dir():
        pytest.skip("the series is not on this machine")
    (tmp_path / "images").mkdir()
    for path in folder.iterdir():
        shutil.copy2(path, tmp_path / "images" / path.name)
    ingested(tmp_path)
    small = {"steps": [{"op": "centre_crop", "rows": 48, "columns": 48}]}
    mine = config(tmp_path, preprocess=small)
    spec = {**SPEC, "preprocess": small, "output": mine.output, "catalog": mine.catalog}
    (tmp_path / "extract.yaml").write_text(yaml.safe_dump(spec))
    done = medray("extract", "--config", str(tmp_path / "extract.yaml"), "--json", "--set", "cluster.cpus=2")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["inputs"], answer["scored"]) == (1, 1)
    (row,) = tables.read_table(answer["table"]).to_pylist()
    volume = build_volume(str(folder))
    assert np.array_equal(measured(row, mine), expected(volume.image(), mine), equal_nan=True)
    assert row["flags"].split() == sorted({*volume.headers[0].flags, *volume.flags})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preprocess": {"steps": [{"op": "lee"}]}}, "lee takes no volumes"),
        ({"features": {"families": [{"family": "lbp"}]}}, "lbp takes no volumes"),
        ({"allow": ["VOLUME_HOLE"]}, "there is no code 'VOLUME_HOLE'"),
        ({"of": "images", "allow": ["VOLUME_GAP"]}, "allow is a setting for volumes"),
        ({"of": "images", "correct": ["tilt"]}, "correct is a setting for volumes"),
        ({"correct": ["hue"]}, "'tilt' or 'spacing'"),
        ({"interpolation": "nearest"}, "'linear' or 'cubic'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(tmp_path, **changes)
