"""The tasks by their kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from medray.tasks.anomaly import Anomaly
from medray.tasks.binary import Binary
from medray.tasks.multiclass import Multiclass
from medray.tasks.multilabel import Multilabel
from medray.tasks.regression import Regression
from medray.tasks.segmentation import Segmentation
from medray.tasks.task import Task

TASKS: Mapping[str, type[Task]] = {
    "binary": Binary,
    "multiclass": Multiclass,
    "multilabel": Multilabel,
    "regression": Regression,
    "segmentation": Segmentation,
    "anomaly": Anomaly,
}

AnyTask = Annotated[Binary | Multiclass | Multilabel | Regression | Segmentation | Anomaly, Field(discriminator="kind")]
"""A task as configurations and manifests hold it."""
