"""``medray preview``: a contact sheet of each step, on real files."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from conftest import SHARED
from pydicom.data import get_testdata_file

from medray.cli import run

STEPS = (
    "steps: [{op: check}, {op: window}, {op: resize, rows: 32, columns: 32, keep_aspect: true}, {op: pad, rows: 32, columns: 32}]"
)
WINDOW = "{{op: window, by_modality: {{CT: {}}}}}"
Drawn = tuple[int, dict[str, Any], str]


@pytest.fixture
def draw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Drawn]:
    """``draw(source, yaml, *options)`` → exit code, the JSON answer, stderr; the picture is preview.png."""

    def command(source: Any, yaml: str = STEPS, *options: str) -> Drawn:
        (tmp_path / "spec.yaml").write_text(yaml)
        out = str(tmp_path / "preview.png")
        code = run(["preview", str(source), "--spec", str(tmp_path / "spec.yaml"), "--out", out, "--json", *options])
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else {}, said.err

    return command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images, a radiotherapy plan between them."""
    (tmp_path / "images").mkdir()
    for number, name in enumerate(("CT_small.dcm", "rtplan.dcm", "MR_small.dcm")):
        shutil.copy(get_testdata_file(name), tmp_path / "images" / f"{number}.dcm")
    return tmp_path / "images"


def picture(tmp_path: Path) -> np.ndarray:
    return cv2.imdecode(np.frombuffer((tmp_path / "preview.png").read_bytes(), np.uint8), cv2.IMREAD_COLOR)


def test_a_row_for_each_image_and_a_column_for_each_step(folder: Path, tmp_path: Path, draw: Callable[..., Drawn]) -> None:
    code, answer, _ = draw(folder)
    assert (code, answer["images"], answer["reasons"]) == (0, 2, {})
    both = picture(tmp_path)
    assert draw(folder, STEPS, "--images", "1")[1]["images"] == 1
    one = picture(tmp_path)
    assert both.shape[0] > 1.6 * one.shape[0]
    assert both.shape[1] == one.shape[1]
    draw(folder / "0.dcm", "steps: []")
    assert picture(tmp_path).shape[1] < one.shape[1] / 3


def test_the_same_input_gives_the_same_bytes_and_no_identifier(folder: Path, tmp_path: Path, draw: Callable[..., Drawn]) -> None:
    draw(folder)
    first = (tmp_path / "preview.png").read_bytes()
    draw(folder)
    assert (tmp_path / "preview.png").read_bytes() == first
    dataset = pydicom.dcmread(folder / "0.dcm")
    for value in (dataset.PatientName, dataset.PatientID, dataset.SOPInstanceUID, folder):
        assert str(value).encode() not in first
    assert b"tEXt" not in first


def test_invalid_pixels_are_red(folder: Path, tmp_path: Path, draw: Callable[..., Drawn]) -> None:
    draw(folder / "0.dcm", "steps: [{op: pad, rows: 200, columns: 200}]")
    blue, green, red = np.moveaxis(picture(tmp_path).astype(int), 2, 0)
    assert ((red > green + 40) & (red > blue + 40)).mean() > 0.05


def test_a_failing_step_shows_its_code_and_exits_with_3(folder: Path, draw: Callable[..., Drawn]) -> None:
    code, answer, said = draw(folder, "steps: [{op: centre_crop, rows: 100, columns: 100}, {op: minmax}]")
    assert code == 3
    assert answer["reasons"] == {"IMAGE_SMALLER_THAN_CROP": 1}
    assert "1 inputs need attention (IMAGE_SMALLER_THAN_CROP 1)" in said


def test_a_frame_of_a_cine(draw: Callable[..., Drawn]) -> None:
    cine = get_testdata_file("examples_ybr_color.dcm")
    assert draw(cine)[1]["reasons"] == {"IMAGE_MULTI_FRAME": 1}
    assert draw(cine, STEPS, "--frame", "3")[:1] == (0,)
    code, _, said = draw(cine, STEPS, "--frame", "99")
    assert code == 1
    assert "FRAME_UNKNOWN" in said


@pytest.mark.parametrize(
    ("source", "yaml", "options", "says"),
    [
        ("rtplan.dcm", STEPS, (), "PREVIEW_EMPTY"),
        ("CT_small.dcm", "steps: [{op: percentile, low: 120}]", (), "steps.0.percentile.low: 120 is not from 0 to 100"),
        ("CT_small.dcm", "steps: [{op: blur}]", (), "steps.0.op: there is no op 'blur'"),
        ("CT_small.dcm", STEPS, ("--out", "preview.jpg"), "PLOT_FORMAT"),
        ("README.txt", STEPS, (), "PREVIEW_EMPTY"),
        ("CT_small.dcm", "steps: 3", (), "steps: 3 is not a list ("),
        ("CT_small.dcm", "steps: [clahe]", (), "steps.0: 'clahe' is not a mapping ("),
        (
            "CT_small.dcm",
            "steps: [{op: clahe}]",
            (),
            "clahe takes an image in [0, 1]: put window, percentile or",
        ),
        ("CT_small.dcm", f"steps: [{WINDOW.format('lungs')}]", (), "by_modality.CT: 'lungs' is not one of abdomen, bone,"),
        ("CT_small.dcm", f"steps: [{WINDOW.format('lungs')}]", (), "own, did you mean lung? ("),
        (
            "CT_small.dcm",
            f"steps: [{WINDOW.format('{centre: 3, width: 0}')}]",
            (),
            "by_modality.CT.width: 0 is not from 1 to 1e+30 (",
        ),
    ],
)
def test_mistakes_are_one_line(source: str, yaml: str, options: tuple[str, ...], says: str, draw: Callable[..., Drawn]) -> None:
    code, _, said = draw(get_testdata_file(source), yaml, *options)
    assert code == 1
    assert says in said
    assert said.count("\n") == 1


def test_what_is_not_there(tmp_path: Path, draw: Callable[..., Drawn]) -> None:
    code, _, said = draw(tmp_path / "nothing")
    assert code == 1
    assert "STORE_NOT_FOUND" in said


def test_members_of_a_shard(folder: Path, tmp_path: Path, draw: Callable[..., Drawn]) -> None:
    with tarfile.open(tmp_path / "shard.tar", "w") as shard:
        shard.add(folder, "images")
    assert draw(tmp_path / "shard.tar")[:2] == (0, {"out": str(tmp_path / "preview.png"), "images": 2, "reasons": {}})


def test_a_series_as_a_volume(draw: Callable[..., Drawn]) -> None:
    series = SHARED / "data" / "series" / "ct-phantom"
    if not series.is_dir():
        pytest.skip("the series is not on this machine")
    steps = (
        "{op: orient, volume: LIP}, {op: resample, row_mm: 4, column_mm: 4, slice_mm: 4}, {op: window, centre: 40, width: 400}"
    )
    code, answer, _ = draw(series, f"steps: [{steps}]", "--volume")
    assert (code, answer["images"], answer["reasons"]) == (0, 1, {})


def test_colours_are_drawn_when_they_are_asked_for(tmp_path: Path, draw: Callable[..., Drawn]) -> None:
    source = get_testdata_file("examples_rgb_color.dcm")
    yaml = "steps: [{op: percentile}, {op: resize, rows: 64, columns: 64}]"

    def saturation(*options: str) -> float:
        code, answer, _ = draw(source, yaml, *options)
        assert (code, answer["reasons"]) == (0, {})
        shown = picture(tmp_path).astype(int)
        return float((shown.max(axis=2) - shown.min(axis=2)).mean())

    assert saturation("--colour") > 5 * saturation()
    code, _, said = draw(source, STEPS.replace("{op: pad", "{op: clahe}, {op: pad"), "--colour")
    assert code == 1
    assert "PREVIEW_COLOUR" in said
    assert "clahe does not take images in colour" in said
