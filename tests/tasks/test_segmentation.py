from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from medray.errors import LabelError
from medray.imaging.preprocess import PreprocessSpec, preprocess
from medray.tasks.decision import Decision, Judged
from medray.tasks.page import Histogram, Scatter
from medray.tasks.segmentation import Segmentation, decoded, encoded
from medray.types import Header, Image

TASK = Segmentation(target="outline")
ROWS, COLUMNS = np.mgrid[:60, :90]
LESION = np.hypot(ROWS - 25, COLUMNS - 40) < 12
PREPROCESS = PreprocessSpec.model_validate({"steps": [{"op": "minmax"}, {"op": "resize", "rows": 30, "columns": 45}]})


def image(spacing: tuple[float, float] | None = (0.5, 0.2)) -> Image:
    pixels = (LESION + 0.1 * (ROWS % 2)).astype(np.float32)
    return Image(pixels, mask=LESION, header=Header(spacing_mm=spacing, patient_key="p"))


def answer(shown: Image, **changes: Any) -> dict[str, Any]:
    """What is said by a network that knows the prepared mask."""
    task = TASK.model_copy(update=changes)
    prepared = preprocess(shown, PREPROCESS)
    assert prepared.mask is not None
    return dict(task.answer({"probability": prepared.mask[None].astype(np.float32)}, prepared, shown, judged=True))


def test_a_mask_is_answered_on_the_pixels_that_were_decoded() -> None:
    found = answer(image())
    mask = decoded(found["mask_png"])
    assert mask.shape == (60, 90)
    assert found["area_px"] == mask.sum() == pytest.approx(LESION.sum(), rel=0.05)
    assert found["area_mm2"] == pytest.approx(found["area_px"] * 0.1)
    assert found["area_share"] == found["area_px"] / 5400
    assert (found["truth_px"], found["both_px"]) == (LESION.sum(), (mask & LESION).sum())
    assert found["dice"] == pytest.approx(2 * (mask & LESION).sum() / (mask.sum() + LESION.sum()))
    assert found["dice"] > 0.95
    np.testing.assert_array_equal(decoded(found["truth_png"]), LESION)
    assert set(found) == {field.name for field in TASK.fields(judged=True)}


def test_an_area_in_millimetres_needs_a_spacing() -> None:
    found = answer(image(spacing=None))
    assert found["area_mm2"] is None
    assert found["truth_mm2"] is None
    assert TASK.table([found], judged=True)["area_mm2"].null_count == 1


def test_padding_is_never_marked() -> None:
    shown = replace(image(), valid=COLUMNS < 40)
    found = answer(shown)
    assert not decoded(found["mask_png"])[:, 40:].any()
    assert found["area_share"] == found["area_px"] / (60 * 40)


def test_an_image_without_a_mask_has_an_empty_one() -> None:
    shown = replace(image(), mask=None)
    prepared = preprocess(shown, PREPROCESS)
    nothing = {"probability": np.zeros((1, 30, 45), np.float32)}
    found = TASK.answer(nothing, prepared, shown, judged=True)
    assert (found["truth_px"], found["dice"], found["iou"]) == (0, 1, 1)
    assert "dice" not in TASK.answer(nothing, prepared, shown)


def test_masks_are_kept_as_png() -> None:
    png = encoded(LESION)
    assert png.startswith(b"\x89PNG")
    np.testing.assert_array_equal(decoded(png), LESION)


def column(*values: str) -> dict[str, pa.ChunkedArray]:
    return {"outline": pa.chunked_array([pa.array(values, pa.string())])}


def test_an_image_without_a_mask_is_left_out_or_empty() -> None:
    assert TASK.targets(column("a.png", "")).to_pylist() == ["a.png", None]
    empty = Segmentation(target="outline", without_mask="empty")
    targets = empty.targets(column("a.png", ""))
    assert targets.to_pylist() == ["a.png", ""]
    assert empty.strata(pa.chunked_array([targets])).tolist() == [1, 0]


def test_masks_of_the_archive_need_no_label_column() -> None:
    task = Segmentation(masks="archive")
    assert (task.label_columns, task.labelled) == ((), False)
    assert (TASK.label_columns, TASK.labelled) == (("outline",), True)


def test_some_image_must_have_a_mask() -> None:
    TASK.require(pa.chunked_array([["", "a.png"]]), "val")
    with pytest.raises(LabelError, match="no image of the val split has a mask") as refused:
        TASK.require(pa.chunked_array([[""]], pa.string()), "val")
    assert refused.value.code == "LABELS_NO_MASK"


def test_scores_are_means_over_images() -> None:
    truth = np.zeros((3, 1, 4, 4), bool)
    truth[0, 0, :2] = truth[1, 0, 2:] = True
    probability = np.full((3, 1, 4, 4), 0.1, np.float32)
    probability[0, 0, :2] = 0.9  # right
    probability[1, 0, :2] = 0.9  # beside it
    scores = TASK.scores(truth, {"probability": probability})
    assert scores["dice"] == pytest.approx(2 / 3)
    assert scores["iou"] == pytest.approx(2 / 3)
    assert scores["logloss"] == pytest.approx(-np.log([0.9, 0.1, 0.9]).mean(), rel=1e-6)
    assert np.isnan(TASK.scores(truth[:0], {"probability": probability[:0]})["dice"])


@pytest.fixture
def rows() -> pa.Table:
    found = [answer(image()), answer(image()), answer(replace(image(), mask=np.zeros_like(LESION)))]
    known = pa.table({"target": ["a", "b", ""], "group": ["p", "q", "r"], "uri": ["1", "2", "3"]})
    table = TASK.table(found, judged=True)
    for name in known.column_names:
        table = table.append_column(name, known[name])
    return table


def test_figures_of_images_with_and_without_a_lesion(rows: pa.Table) -> None:
    figures = TASK.evaluate(rows, Decision())
    assert (figures.n, figures.lesions, figures.found, figures.missed, figures.false_alarms, figures.clear) == (3, 2, 2, 0, 0, 1)
    assert figures.monitor.value == figures.dice.value == pytest.approx(np.mean(rows["dice"].to_pylist()))
    assert figures.lesion_dice.value == pytest.approx(rows["dice"][0].as_py())
    off = np.abs(np.subtract(rows["area_px"].to_pylist(), rows["truth_px"].to_pylist()))
    assert figures.area_error_px.value == pytest.approx(off.mean())
    assert figures.area_error_mm2.value == pytest.approx(off.mean() * 0.1)


def test_what_people_see(rows: pa.Table) -> None:
    judged = Judged("unet", rows, TASK.evaluate(rows, Decision()), Decision())
    page = TASK.page([judged], "unet", "test")
    assert "unet outlines 3 test images" in page.summary
    assert [type(plot) for plot in page.plots] == [Histogram, Scatter]
    decided = TASK.decided(rows, Decision()).to_pylist()
    assert [TASK.urgent(row) for row in decided] == [True, True, False]
    assert TASK.caption(decided[0]) == (f"{rows['area_mm2'][0].as_py():.0f} mm²", f"Dice {rows['dice'][0].as_py():.2f}")
    assert TASK.caption(decided[2]) == ("nothing", "nothing to outline")
    outlines = TASK.outlined(decided[0])
    assert len(outlines) == 2
    np.testing.assert_array_equal(outlines[1], LESION)
    assert TASK.urgency(rows).tolist() == rows["area_share"].to_pylist()


def test_least_px_decides_what_is_found(rows: pa.Table) -> None:
    strict = TASK.model_copy(update={"least_px": 10_000})
    assert strict.decided(rows, Decision())["found"].to_pylist() == [False, False, False]
    assert strict.answer_columns == ("area_px", "area_mm2", "area_share", "mask_png", "found")
