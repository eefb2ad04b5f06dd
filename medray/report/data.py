"""What a report shows: plain values and arrays, filled by the caller. Every part but the title may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medray.evaluation.binary import Metrics
from medray.types import Float32, Float64, Int64


@dataclass(frozen=True)
class ModelResult:
    """One model on the held-out images.

    Attributes:
        name: shown in tables and legends.
        y: int64 (n,), 0 or 1.
        p: float64 (n,), probability of class 1.
        metrics: of ``y`` and ``p`` at the model's threshold.
    """

    name: str
    y: Int64
    p: Float64
    metrics: Metrics


@dataclass(frozen=True)
class SampleImage:
    """One image with what the model says about it.

    Attributes:
        pixels: float32 (rows, columns) in [0, 1].
        probability: of the positive class.
        label: the truth, for example ``"benign"``; "" where unknown.
        saliency: float32 (rows, columns) in [0, 1], for example Grad-CAM, or None.
        caption: pseudonym or other note.
    """

    pixels: Float32
    probability: float
    label: str = ""
    saliency: Float32 | None = None
    caption: str = ""


@dataclass(frozen=True)
class WorklistRow:
    """One scored study, most urgent first."""

    study: str
    probability: float
    n_images: int
    urgent: bool


@dataclass(frozen=True)
class Reconciliation:
    """Every input by its terminal state; ``reasons`` counts the codes of those that were not scored."""

    inputs: int
    scored: int
    excluded: int = 0
    quarantined: int = 0
    failed: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def balanced(self) -> bool:
        """Whether the states add up to the inputs."""
        return self.inputs == self.scored + self.excluded + self.quarantined + self.failed


@dataclass(frozen=True)
class ReportData:
    """A whole report.

    Attributes:
        title: heading of the page.
        date: as the caller wants it shown; the report itself reads no clock.
        facts: what was run, shown as a list of name and value (bundle, fingerprint, data, patients, …).
        models: results on the same images, of the ``split`` named ("test", "validation"); ``selected`` names the chosen one.
        positive: name of the positive class.
        threshold_reason: why the operating point is where it is.
        samples, worklist: in the order to show them; ``worklist_total`` is the number of studies of the whole worklist.
        provenance: name → plain JSON data (specs, versions), shown folded.
    """

    title: str
    date: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    models: tuple[ModelResult, ...] = ()
    split: str = "test"
    selected: str = ""
    positive: str = "positive"
    threshold_reason: str = ""
    samples: tuple[SampleImage, ...] = ()
    worklist: tuple[WorklistRow, ...] = ()
    worklist_total: int | None = None
    reconciliation: Reconciliation | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def chosen(self) -> ModelResult | None:
        """The selected model, or the only one."""
        if len(self.models) == 1:
            return self.models[0]
        return next((model for model in self.models if model.name == self.selected), None)
