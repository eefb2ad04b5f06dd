"""What is said of samples, cohorts and models whose figures are less than they seem; and cohorts of one class in every task."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from medray.evaluation.thresholds import Threshold
from medray.tasks.anomaly import Anomaly
from medray.tasks.binary import Binary
from medray.tasks.cautions import of_cohort, of_model, of_training
from medray.tasks.decision import Decision, Judged
from medray.tasks.multiclass import Multiclass
from medray.tasks.multilabel import Multilabel
from medray.tasks.regression import Regression
from medray.tasks.task import Task

N = 12
P = np.linspace(0.1, 0.9, N)
DECISION = Decision(thresholds={name: Threshold(value=0.5, reason="is so") for name in ("positive", "anomalous", "a", "b")})


def judged(task: Task, target: pa.Array, **columns: object) -> Judged:
    rows = pa.table({"target": pa.chunked_array([target]), "group": [f"p{index // 2}" for index in range(N)], **columns})
    return Judged("m", rows, task.evaluate(rows, DECISION), DECISION)


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "anomaly"])
def test_a_cohort_of_one_class_has_figures_and_a_page(kind: str, value: int) -> None:
    task, target, columns = {
        "binary": (Binary(target="y"), pa.array([value] * N), {"probability": P}),
        "multiclass": (
            Multiclass(target="y", classes=("a", "b")),
            pa.array([value] * N),
            {"probability_a": P, "probability_b": 1 - P},
        ),
        "multilabel": (
            Multilabel(labels=("a", "b")),
            pa.array([[float(value)] * 2] * N),
            {"probability_a": P, "probability_b": P},
        ),
        "anomaly": (Anomaly(target="y"), pa.array([value] * N), {"score": P}),
    }[kind]
    model = judged(task, target, **columns)
    assert model.figures.monitor.value is None
    assert model.figures.n == N
    task.page([model], "m", "test")
    task.cells(model.figures)
    assert {one.code for one in of_cohort(task, model.rows, "images")} == {"COHORT_CLASS_ABSENT"}
    assert of_model(task, model, "images") == []


def test_a_constant_score_and_a_threshold_without_skill() -> None:
    task, y = Binary(target="y"), pa.array([0, 1] * (N // 2))
    constant = of_model(task, judged(task, y, probability=np.full(N, 0.7)), "the validation images")
    assert [one.code for one in constant] == ["SCORE_CONSTANT", "THRESHOLD_NO_SKILL"]
    assert "probability = 0.7 for each of 12 images" in constant[0].message
    assert "Youden's J 0.00" in constant[1].message
    wrong = np.where(np.arange(N) % 2, 0.1, 0.9) + np.arange(N) / 1000
    assert [one.code for one in of_model(task, judged(task, y, probability=wrong), "images")] == ["THRESHOLD_NO_SKILL"]
    assert of_model(task, judged(task, y, probability=1 - wrong), "images") == []
    numbers = judged(Regression(target="y"), pa.array(P), predicted=np.full(N, 3.0))
    assert [one.code for one in of_model(Regression(target="y"), numbers, "images")] == ["SCORE_CONSTANT"]


def test_training_classes_count_patients_not_images() -> None:
    groups = [f"p{index // 5}" for index in range(100)]
    y = [int(index // 5 < 9) for index in range(100)]
    samples = pa.table({"target": y, "group": groups, "split": ["train"] * 100})
    (few,) = of_training(Binary(target="y"), samples)
    assert (few.code, few.message.startswith("9 patients with y to learn from")) == ("CLASS_FEW_PATIENTS", True)
    ten = samples.set_column(0, "target", pa.array([int(index // 5 < 10) for index in range(100)]))
    assert of_training(Binary(target="y"), ten) == []
