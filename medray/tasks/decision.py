"""What is decided of a model's answers, and how good it is: what tasks choose and measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
from pydantic import Field

from medray.errors import BundleError
from medray.evaluation.recalibration import Calibration
from medray.evaluation.thresholds import Threshold
from medray.spec import Spec
from medray.tasks.head import Output


class Monitored(Spec):
    """The value of the monitored figure, with its 95 % interval where there is one; None where undefined."""

    figure: str
    sign: Literal[1, -1]
    value: float | None
    low: float | None = None
    high: float | None = None


class Figures(Spec):
    """Figures of merit of one model on labelled images; each task adds its own."""

    n: int
    monitor: Monitored


class Decision(Spec):
    """How a model's arrays become answers, and answers decisions.

    ``calibration`` maps probabilities, where there is one. ``thresholds`` stand by what they decide, each with its reason; there
    is none where nothing is decided.
    """

    calibration: Calibration | None = None
    thresholds: Mapping[str, Threshold] = Field(default_factory=dict)

    def calibrated(self, output: Output) -> Output:
        """A model's arrays with the probabilities mapped."""
        return {"probability": self.calibration.apply(output["probability"])} if self.calibration else output

    def threshold(self, name: str) -> float:
        """The value of one threshold; raises BundleError BUNDLE_DECISION where there is none, as in an edited manifest."""
        if name not in self.thresholds:
            raise BundleError("BUNDLE_DECISION", f"no threshold says when {name} holds", "publish the bundle again")
        return self.thresholds[name].value


@dataclass(frozen=True)
class Judged:
    """One model on the held-out images of a split.

    Attributes:
        name: of the model.
        rows: ``target``, ``group`` and the columns of :meth:`Task.fields` (judged), one row an image.
        figures, decision: what :meth:`Task.evaluate` and :meth:`Task.decision` gave.
    """

    name: str
    rows: pa.Table
    figures: Figures
    decision: Decision
