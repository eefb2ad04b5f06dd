"""`medray catalog series`: stacks of a catalog, on the command line too."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from medray.cataloguing.ingest import ingest
from medray.cataloguing.series import series_table
from medray.data import tables
from medray.data.catalog import open_catalog
from medray.data.volume import build_volume
from medray.errors import StoreError
from medray.runs.extract import ExtractConfig, chosen_rows

ARCHIVE = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests" / "98892001"


def test_the_series_of_a_real_study(tmp_path: Path, medray: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    catalog = str(tmp_path / "catalog")
    ingest(str(ARCHIVE), catalog)
    table = series_table(catalog)
    assert [(row["instances"], row["orientation"], row["problems"]) for row in table.to_pylist()] == [
        (1, "sagittal", ["VOLUME_MIXED_ORIENTATION", "VOLUME_SINGLE_SLICE"]),
        (1, "coronal", ["VOLUME_MIXED_ORIENTATION", "VOLUME_SINGLE_SLICE"]),
        (5, "axial", []),
    ]
    axial = table.to_pylist()[2]
    assert tuple(axial["spacing_mm"]) == build_volume(ARCHIVE / "CT5N").spacing_mm
    printed = medray("catalog", "series", catalog, "--series", axial["series_uid"], "--json")
    assert json.loads(printed.stdout) == [axial]
    assert "coronal" in medray("catalog", "series", catalog).stdout
    assert medray("catalog", "series", catalog, "--series", "1.2").returncode == 1


def test_no_catalog(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="CATALOG_NOT_FOUND"):
        series_table(str(tmp_path))


def test_a_catalog_that_knows_less_is_refused(tmp_path: Path, medray: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    ingest(str(ARCHIVE), str(tmp_path / "new"))
    rows = open_catalog(str(tmp_path / "new")).to_arrow()
    tables.append(str(tmp_path / "old" / "instances"), rows.drop_columns(["units", "flip_angle_deg"]))
    with pytest.raises(StoreError, match="TABLE_FORMAT"):
        series_table(str(tmp_path / "old"))
    with pytest.raises(StoreError, match="TABLE_FORMAT"):
        ingest(str(ARCHIVE), str(tmp_path / "old"))
    config = {"catalog": str(tmp_path / "old"), "output": str(tmp_path), "of": "volumes", "preprocess": {"steps": []}}
    spec = ExtractConfig.model_validate({**config, "features": {"families": [{"family": "radiomics"}]}})
    with pytest.raises(StoreError, match="TABLE_FORMAT"):
        chosen_rows(open_catalog(str(tmp_path / "old")), 0, spec)
    assert medray("catalog", "summary", str(tmp_path / "old")).returncode == 0
