"""Answers tell the arrays that they were made of, which is what ensembles are stacked on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medray.tasks.anomaly import Anomaly
from medray.tasks.binary import Binary
from medray.tasks.head import Output
from medray.tasks.multiclass import Multiclass
from medray.tasks.multilabel import Multilabel
from medray.tasks.regression import Regression
from medray.types import Image

IMAGE = Image(np.zeros((4, 4), np.float32))
CASES: list[tuple[Any, Output]] = [
    (Binary(target="y"), {"probability": np.array([[0.75, 0.25], [0.5, 0.5]])}),
    (Multiclass(target="y", classes=("a", "b", "c")), {"probability": np.array([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]])}),
    (Multilabel(labels=("a", "b")), {"probability": np.array([[0.5, 0.25], [1.0, 1.0]])}),
    (Regression(target="y"), {"value": np.array([1.5, -3.0])}),
    (Anomaly(), {"score": np.array([0.5, 0.25])}),
]


@pytest.mark.parametrize(("task", "output"), CASES, ids=lambda value: getattr(value, "kind", ""))
def test_answers_tell_the_arrays_that_they_were_made_of(task: Any, output: Output) -> None:
    rows = [{name: values[row] for name, values in output.items()} for row in range(2)]
    found = task.outputs(task.table([task.answer(row, IMAGE, IMAGE) for row in rows]))
    assert found.keys() == output.keys()
    for name, values in output.items():
        np.testing.assert_array_equal(found[name], values)
