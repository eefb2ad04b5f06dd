"""The task ``regression``: what a label means, what is judged, what is shown."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import mean_absolute_error, r2_score

from medray.errors import LabelError
from medray.report.figures import draw
from medray.tasks.decision import Decision, Judged
from medray.tasks.page import Scatter
from medray.tasks.regression import Regression
from medray.types import Image

AREA = Regression(target="area_mm2", unit="mm²")


def column(*values: str) -> dict[str, pa.ChunkedArray]:
    return {"area_mm2": pa.chunked_array([list(values)], pa.string())}


def judged(truth: np.ndarray, value: np.ndarray) -> pa.Table:
    groups = [f"p{number // 2}" for number in range(len(truth))]
    return pa.table({"target": truth, "predicted": value, "group": groups})


def test_targets_are_numbers_and_an_empty_text_is_no_label() -> None:
    assert AREA.targets(column("12.5", " 3 ", "", "-1e2", ".5", "+7.", "nan")).to_pylist() == [12.5, 3, None, -100, 0.5, 7, None]
    assert AREA.head.kind == "value"


@pytest.mark.parametrize("text", ["12,5", "inf", "True", "1e999", "1e39", "-1e308", "12 mm²", "1_000", "0x10"])
def test_a_text_that_is_no_finite_number_is_refused_with_value_and_count(text: str) -> None:
    with pytest.raises(LabelError) as caught:
        AREA.targets(column("1", text, text))
    assert caught.value.code == "LABELS_NOT_A_NUMBER"
    assert f"2 labels of area_mm2 are no finite numbers: {text!r} (2)" in caught.value.message


def test_strata_are_quartiles() -> None:
    strata = AREA.strata(pa.chunked_array([np.arange(100.0)]))
    assert np.bincount(strata).tolist() == [25, 25, 25, 25]


def test_few_distinct_values_are_refused() -> None:
    with pytest.raises(LabelError, match=r"LABELS_TOO_FEW: the labels hold 2 distinct values of area_mm2 in 30 images"):
        AREA.require(pa.chunked_array([[1.0, 2.0] * 15]))
    with pytest.raises(LabelError, match="the val split holds 1 distinct"):
        AREA.require(pa.chunked_array([[1.0] * 3]), "val")
    AREA.require(pa.chunked_array([[1.0, 2.0, 3.0, 4.0, 5.0]]))
    AREA.require(pa.chunked_array([[1.0, 2.0]]), "test")


def test_an_answer_is_the_value_and_nothing_is_decided() -> None:
    image = Image(np.zeros((4, 4), np.float32))
    answer = AREA.answer({"value": np.float64(7.5)}, image, image)
    assert answer == {"predicted": 7.5}
    rows = AREA.table([answer, None])
    assert AREA.decided(rows, AREA.decision(rows, None)).to_pydict() == {"predicted": [7.5, None]}
    assert AREA.answer_columns == ("predicted",)


@pytest.mark.parametrize(("first", "order"), [("high", [2, 0, 1]), ("low", [1, 0, 2])])
def test_a_worklist_begins_with_high_or_low_values(first: str, order: list[int]) -> None:
    rows = pa.table({"predicted": [3.0, -1.0, 8.0]})
    urgency = Regression.model_validate({"target": "age", "first": first}).urgency(rows)
    assert np.argsort(-urgency).tolist() == order


def test_scores_of_a_fit_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=50)
    value = truth + rng.normal(size=50)
    scores = AREA.scores(truth, {"value": value})
    assert scores["mae"] == pytest.approx(mean_absolute_error(truth, value))
    assert scores["r2"] == pytest.approx(r2_score(truth, value))
    assert AREA.monitor.better(scores["mae"], scores["mae"] + 1)
    assert all(np.isnan(score) for score in AREA.scores(truth[:0], {"value": value[:0]}).values())
    assert np.isnan(AREA.scores(truth[:1], {"value": value[:1]})["r2"])


def test_figures_and_page() -> None:
    rng = np.random.default_rng(1)
    truth = rng.uniform(100, 2000, 80)
    rows = judged(truth, truth + rng.normal(size=80) * 50)
    figures = AREA.evaluate(rows, Decision())
    assert figures.n == 80
    assert figures.monitor.value == figures.mae.value == pytest.approx(np.abs(rows["predicted"].to_numpy() - truth).mean())
    assert figures.monitor.low < figures.monitor.value < figures.monitor.high
    assert AREA.cells(figures)[0].value == figures.mae.value
    page = AREA.page([Judged("xgb", rows, figures, Decision())], "xgb", "test")
    assert f"{figures.mae.value:.3g} mm²" in page.summary
    assert [plot.title for plot in page.plots] == ["area_mm2 by xgb", "Calibration", "Agreement of xgb", "Errors of xgb"]
    assert isinstance(page.plots[2], Scatter)
    assert list(page.plots[2].levels.values()) == [figures.agreement.bias, figures.agreement.low, figures.agreement.high]
    assert all("<svg" in draw(plot) for plot in page.plots)
    assert AREA.page([], "", "test").plots == ()


def test_captions() -> None:
    assert AREA.caption({"predicted": 1234.5, "target": 0.5}) == ("1,234 mm²", "0.5 mm²")
    assert AREA.caption({"predicted": -12.345}) == ("−12.3 mm²", "")
