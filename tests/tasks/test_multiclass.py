"""The task of several classes: labels, answers, decisions, figures, page."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pydantic import TypeAdapter, ValidationError
from sklearn.metrics import log_loss, roc_auc_score

from medray.errors import LabelError
from medray.evaluation.thresholds import ThresholdPolicy
from medray.tasks.decision import Judged
from medray.tasks.multiclass import Multiclass
from medray.tasks.page import Curves, Histogram, Matrix
from medray.tasks.table import AnyTask
from medray.types import Header, Image

TASK = Multiclass(target="finding", classes=("normal", "benign", "BI-RADS 5"))
COLUMNS = ["probability_normal", "probability_benign", "probability_BI_RADS_5"]


def labels(*values: str) -> dict[str, pa.ChunkedArray]:
    return {"finding": pa.chunked_array([list(values)], pa.string())}


def probabilities(n: int, seed: int = 0, strength: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 3
    logits = rng.normal(size=(n, 3)) + strength * np.eye(3)[truth]
    return truth, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def rows(truth: np.ndarray, p: np.ndarray) -> pa.Table:
    known = {"target": truth, "group": [f"P{number // 2}" for number in range(len(truth))]}
    return pa.table({**known, **dict(zip(COLUMNS, p.T, strict=True))})


def test_is_read_from_plain_data_by_its_kind() -> None:
    raw = {"kind": "multiclass", "target": "grade", "classes": [1, 2, 3]}
    found = TypeAdapter(AnyTask).validate_python(raw)
    assert found == Multiclass(target="grade", classes=("1", "2", "3"))
    assert TypeAdapter(AnyTask).validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize("classes", [["a"], ["a", "A "], ["a b", "a_b"], ["a", "+"], ["a", ""]])
def test_classes_that_cannot_be_told_apart_are_refused(classes: list[str]) -> None:
    with pytest.raises(ValidationError):
        Multiclass(target="finding", classes=tuple(classes))


def test_targets_are_numbers_of_classes_whatever_the_case() -> None:
    found = TASK.targets(labels("benign", " Normal", "", "bi-rads 5", " "))
    assert found.to_pylist() == [1, 0, None, 2, None]
    assert found.type == pa.int64()


def test_a_label_outside_the_list_is_refused_with_values_and_counts() -> None:
    with pytest.raises(LabelError) as caught:
        TASK.targets(labels("benign", "cyst", "cyst", "malignant", ""))
    assert caught.value.code == "LABELS_UNKNOWN_CLASS"
    assert "'cyst' (2), 'malignant' (1)" in caught.value.message


def test_every_class_is_needed() -> None:
    TASK.require(pa.chunked_array([[0, 1, 2]]))
    with pytest.raises(LabelError, match=r"LABELS_CLASS_MISSING.*BI-RADS 5"):
        TASK.require(pa.chunked_array([[0, 1, 1]]), found="benign, normal")
    with pytest.raises(LabelError, match=r"LABELS_TOO_FEW.*val split.*normal"):
        TASK.require(pa.chunked_array([[1, 2]]), "val")


def test_answers_name_every_class_and_are_decided_by_the_likeliest() -> None:
    image = Image(np.zeros((2, 2), np.float32), header=Header())
    answers = [TASK.answer({"probability": np.array(p)}, image, image) for p in ([0.5, 0.2, 0.3], [0.1, 0.45, 0.45])]
    table = TASK.decided(TASK.table([*answers, None]), TASK.decision(pa.table({}), ThresholdPolicy()))
    assert table.column_names == [*COLUMNS, "decision"] == list(TASK.answer_columns)
    assert table["decision"].to_pylist() == ["normal", "benign", None]
    np.testing.assert_allclose(TASK.urgency(table), [0.4, 0.675, np.nan])
    assert [TASK.urgent(row) for row in table.to_pylist()[:2]] == [False, False]
    assert TASK.caption({**answers[0], "target": 2}) == ("normal 0.50", "BI-RADS 5")
    assert TASK.caption(answers[1]) == ("benign 0.45", "")


def test_urgency_of_two_classes_is_the_probability_of_the_second() -> None:
    two = Multiclass(target="finding", classes=("benign", "malignant"))
    p = np.random.default_rng(0).random(20)
    table = pa.table({"probability_benign": 1 - p, "probability_malignant": p})
    np.testing.assert_array_equal(two.urgency(table), p)


def test_scores_are_those_of_scikit_learn() -> None:
    truth, p = probabilities(60)
    found = TASK.scores(truth, {"probability": p})
    assert found["macro_auroc"] == pytest.approx(roc_auc_score(truth, p, multi_class="ovr"))
    assert found["logloss"] == pytest.approx(log_loss(truth, p))
    assert TASK.monitor.figure in found
    assert TASK.monitor.loss in found
    nothing = TASK.scores(truth[:0], {"probability": p[:0]})
    assert nothing.keys() == found.keys()
    assert np.isnan(list(nothing.values())).all()


def test_figures_hold_the_monitored_one_with_its_interval() -> None:
    truth, p = probabilities(60)
    found = TASK.evaluate(rows(truth, p), TASK.decision(rows(truth, p), ThresholdPolicy()))
    assert found.monitor.figure == "macro_auroc"
    assert found.monitor.value == pytest.approx(roc_auc_score(truth, p, multi_class="ovr"))
    assert found.monitor.low < found.monitor.value < found.monitor.high
    assert found.names == TASK.classes
    assert sum(map(sum, found.confusion)) == found.n == 60
    assert type(found).model_validate_json(found.model_dump_json()) == found


def judged(name: str, strength: float) -> Judged:
    table = rows(*probabilities(60, strength=strength))
    decision = TASK.decision(table, ThresholdPolicy())
    return Judged(name, table, TASK.evaluate(table, decision), decision)


def test_page_shows_a_curve_for_each_class_the_decisions_and_the_urgency() -> None:
    models = [judged("weak", 0.5), judged("strong", 2)]
    page = TASK.page(models, "strong", "test")
    curves, calibration, decisions, urgency = page.plots
    assert isinstance(curves, Curves)
    assert isinstance(calibration, Curves)
    assert len(calibration.lines) == 3
    assert isinstance(decisions, Matrix)
    assert isinstance(urgency, Histogram)
    assert [line.label.split(":")[0] for line in curves.lines] == list(TASK.classes)
    assert decisions.counts.sum(axis=1).tolist() == [20, 20, 20]
    assert [sample.alarm for sample in urgency.samples] == [False, False, True]
    assert list(page.tables[0].rows) == list(TASK.classes)
    assert "strong" in page.summary
    assert [cells[0].heading for cells in map(TASK.cells, (model.figures for model in models))] == ["Macro AUROC [95 %]"] * 2


def test_page_of_one_class_says_that_figures_are_undefined() -> None:
    truth, p = probabilities(60)
    table = rows(truth, p).slice(0, 1)
    decision = TASK.decision(table, ThresholdPolicy())
    page = TASK.page([Judged("one", table, TASK.evaluate(table, decision), decision)], "one", "test")
    assert "undefined" in page.summary
    assert not any("ROC" in plot.alt for plot in page.plots)


def test_a_patient_counts_by_its_most_urgent_image() -> None:
    assert TASK.strata(pa.chunked_array([[2, 0, 1]])).tolist() == [2, 0, 1]
