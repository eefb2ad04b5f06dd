"""The IBSI-1 digital phantom: every consensus value of the reference manual, within its tolerance."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from medray.features.ibsi.family import IBSI
from medray.features.ibsi.params import IbsiParams
from medray.types import Header, Image

DATA = Path(__file__).parent / "data"
PARAMS = IbsiParams(discretisation="none", ivh="discrete")


MISPRINTED = {
    "10th_discretised_intensity_percentile": "GPMT",
    "90th_discretised_intensity_percentile": "OZ0C",
    "small_zone_emphasis_2d": "5QRC",
    "small_zone_emphasis_2_5d": "5QRC",
    "small_zone_emphasis_3d": "5QRC",
}
"""Codes by DICOM CID 7478 and 7476 where the table has those of the row or the section above."""


def phantom() -> Image:
    """The voxels outside the region are in the original data set of the IBSI: 9 in the hole, 1 at the border.

    They count in the spheres of the local intensity alone.
    """
    found = json.loads((DATA / "phantom.json").read_text())
    values = np.array(found["values"], dtype=np.float32)
    inside = np.isfinite(values)
    values[~inside] = 1
    values[2, 2, 2] = 9
    slices, rows, columns = found["voxel_spacing_mm"]
    return Image(values, header=Header(spacing_mm=(rows, columns)), mask=inside, slice_spacing_mm=slices)


def rows() -> list[dict[str, str]]:
    with (DATA / "phantom.csv").open() as file:
        return list(csv.DictReader(file))


def column(row: dict[str, str]) -> str:
    """The end of a column's name: feature and aggregation in lower case."""
    name = re.sub(r"\\ :sup:`(\w+)`", r"\1", f"{row['feature']} {row['aggregation']}").replace("’", "")
    return re.sub(r"\W+", "_", name).strip("_").lower()


def tolerance(row: dict[str, str]) -> float:
    """Half a unit of the third significant digit where none is given; a consensus with fewer digits has zeros there."""
    if row["tolerance"]:
        return float(row["tolerance"])
    value = abs(float(row["value"]))
    return 0.5 * 10.0 ** (np.floor(np.log10(value)) - 2) if value else 0.0005


@pytest.fixture(scope="module")
def found() -> list[tuple[str, float]]:
    names = [feature.name for feature in IBSI.features(PARAMS)]
    return list(zip(names, IBSI.extract(phantom(), PARAMS).values.tolist(), strict=True))


def test_the_table_and_the_family_have_the_same_features_in_the_same_order() -> None:
    assert len(rows()) == 482
    for row, feature in zip(rows(), IBSI.features(PARAMS), strict=True):
        assert re.sub(r"^ibsi_[a-z]+_|(?<=fraction)_\d0$", "", feature.name) == column(row)
        assert feature.source.split(", ")[1] == MISPRINTED.get(column(row), row["ibsi_code"])


@pytest.mark.parametrize("place", range(len(rows())), ids=[f"{row['ibsi_code']}-{column(row)}" for row in rows()])
def test_consensus_value(place: int, found: list[tuple[str, float]]) -> None:
    row = rows()[place]
    assert found[place][1] == pytest.approx(float(row["value"]), abs=tolerance(row) * (1 + 1e-9), rel=0)
