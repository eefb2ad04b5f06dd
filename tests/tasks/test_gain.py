"""By how much one model is better than another, and which models may be compared at all: of every task."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from medray.tasks.anomaly import Anomaly
from medray.tasks.binary import Binary
from medray.tasks.multiclass import Multiclass
from medray.tasks.multilabel import Multilabel
from medray.tasks.regression import Regression
from medray.tasks.segmentation import Segmentation
from medray.tasks.table import TASKS
from medray.tasks.task import Task

N = 200
RNG = np.random.default_rng(5)
LABEL, OTHER = RNG.integers(0, 2, N), RNG.integers(0, 2, N)
CLASS = RNG.integers(0, 3, N)


def near(truth: np.ndarray, noise: float) -> np.ndarray:
    """Scores in [0, 1] that tell the truth (0 or 1) with noise."""
    return np.clip(truth * 0.4 + 0.3 + np.random.default_rng(1).normal(size=truth.shape) * noise, 0, 1)


def shares(noise: float) -> np.ndarray:
    table = near(CLASS[:, None] == np.arange(3), noise) + 0.01
    return table / table.sum(axis=1, keepdims=True)


def columns(names: list[str], table: np.ndarray) -> dict[str, Any]:
    return dict(zip(names, table.T, strict=True))


CASES: dict[str, tuple[Task, Any, Any]] = {
    "binary": (Binary(target="y"), LABEL, lambda noise: {"probability": near(LABEL, noise)}),
    "anomaly": (
        Anomaly(target="y"),
        [None if row % 4 == 0 else int(LABEL[row]) for row in range(N)],
        lambda noise: {"score": near(LABEL, noise)},
    ),
    "multiclass": (
        Multiclass(target="y", classes=("a", "b", "c")),
        CLASS,
        lambda noise: columns([f"probability_{name}" for name in "abc"], shares(noise)),
    ),
    "multilabel": (
        Multilabel(labels=("a", "b")),
        [[float(a), None if row % 5 == 0 else float(b)] for row, (a, b) in enumerate(zip(LABEL, OTHER, strict=True))],
        lambda noise: columns(["probability_a", "probability_b"], near(np.column_stack([LABEL, OTHER]), noise)),
    ),
    "regression": (
        Regression(target="y"),
        CLASS.astype(float),
        lambda noise: {"predicted": CLASS + noise * np.random.default_rng(1).normal(size=N)},
    ),
    "segmentation": (Segmentation(), ["m"] * N, lambda noise: {"dice": 1 - noise * np.random.default_rng(1).random(N)}),
}


def rows(kind: str, noise: float) -> pa.Table:
    _, target, answers = CASES[kind]
    groups = [f"p{row // 2}" for row in range(N)]
    return pa.table({"target": pa.array(target), "group": groups, **{name: pa.array(v) for name, v in answers(noise).items()}})


def test_every_task_has_a_case() -> None:
    assert CASES.keys() == TASKS.keys()


@pytest.mark.parametrize("kind", CASES)
def test_the_better_model_gains_and_the_same_one_does_not(kind: str) -> None:
    task = CASES[kind][0]
    good, poor = rows(kind, 0.1), rows(kind, 0.8)
    gain, loss = task.gain(good, poor), task.gain(poor, good)
    assert gain.low is not None
    assert 0 < gain.low < gain.value < gain.high
    assert (loss.low, loss.value, loss.high) == pytest.approx((-gain.high, -gain.value, -gain.low))
    assert task.gain(good, good).model_dump() == {"value": 0.0, "low": 0.0, "high": 0.0}


@pytest.mark.parametrize("kind", ["binary", "regression", "segmentation"])
def test_the_gain_is_the_difference_of_the_monitored_figures(kind: str) -> None:
    task = CASES[kind][0]
    good, poor = rows(kind, 0.1), rows(kind, 0.8)
    values = {
        "binary": lambda one: task.scores(task.truth(one["target"]), task.outputs(one))["auroc"],
        "regression": lambda one: task.scores(task.truth(one["target"]), task.outputs(one))["mae"],
        "segmentation": lambda one: float(np.mean(one["dice"].to_pylist())),
    }[kind]
    assert task.gain(good, poor).value == pytest.approx(task.monitor.sign * (values(good) - values(poor)))


ALONE: list[Task] = [
    Binary(target="y"),
    Binary(target="z"),
    Binary(target="y", positive="2"),
    Binary(target='y positive="1"'),
    Anomaly(target="y"),
    Anomaly(),
    Anomaly(target="y", normal=("0",)),
    Multiclass(target="y", classes=("a", "b")),
    Multiclass(target="y", classes=("b", "a")),
    Multiclass(target="y", classes=("a", "b", "c")),
    Multilabel(labels=("a", "b")),
    Multilabel(labels=("a",)),
    Multilabel(labels=("a", "b"), positive="yes"),
    Regression(target="y"),
    Regression(target="y", unit="mm"),
    Segmentation(),
    Segmentation(segment=2),
]


def test_tasks_that_ask_something_else_are_told_apart() -> None:
    assert len({task.question for task in ALONE}) == len(ALONE)
    assert Binary(target="y").question == 'binary y positive="1"'


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Segmentation(), Segmentation(cut=0.3, least_px=9)),
        (Anomaly(target="y"), Anomaly(target="y", contamination=0.2, train_on="normal")),
        (Regression(target="y"), Regression(target="y", first="low")),
    ],
)
def test_models_that_differ_in_how_they_answer_ask_the_same(one: Task, other: Task) -> None:
    assert one.question == other.question
