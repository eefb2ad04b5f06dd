"""What is left of the splits once images could not be used."""

from __future__ import annotations

import pyarrow as pa
import pytest

from medray.errors import LabelError
from medray.runs.samples import require_sides
from medray.tasks.anomaly import Anomaly
from medray.tasks.binary import Binary
from medray.tasks.multiclass import Multiclass
from medray.tasks.multilabel import Multilabel
from medray.tasks.regression import Regression
from medray.tasks.segmentation import Segmentation
from medray.tasks.task import Task

TARGETS: list[tuple[Task, pa.Array]] = [
    (Binary(target="y"), pa.array([0, 1, 0, 1])),
    (Multiclass(target="y", classes=("a", "b")), pa.array([0, 1, 0, 1])),
    (Multilabel(labels=("a",)), pa.array([[0.0], [1.0], [0.0], [1.0]])),
    (Regression(target="y"), pa.array([1.0, 2.0, 3.0, 4.0])),
    (Segmentation(), pa.array(["a.png", "b.png", "c.png", "d.png"])),
    (Anomaly(), pa.nulls(4, pa.int64())),
]


@pytest.mark.parametrize(("task", "targets"), TARGETS, ids=[task.kind for task, _ in TARGETS])
def test_a_run_whose_validation_images_cannot_be_used_says_why(task: Task, targets: pa.Array) -> None:
    rows = pa.table({"target": targets, "split": ["train", "train", "val", "val"]})
    require_sides(task, rows)
    with pytest.raises(
        LabelError, match=r"the val split .*; of all images, these could not be used: 2 PIXELS_CONSTANT"
    ) as caught:
        require_sides(task, rows.slice(0, 2), unusable={"PIXELS_CONSTANT": 2})
    assert caught.value.code.startswith("LABELS_")
