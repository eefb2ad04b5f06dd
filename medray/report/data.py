"""What a report shows: plain values and arrays, filled by the caller. Every part but the title may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medray.tasks.page import Cell, Page
from medray.types import Bool, Float32


@dataclass(frozen=True)
class ModelRow:
    """One model in the table of models: its figures in the order of the columns."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class SampleImage:
    """One image with the model's answer.

    Attributes:
        pixels: float32 (rows, columns), or (3, rows, columns) in colour, in [0, 1].
        answer: in a few words, for example ``"0.87"``.
        label: the truth, for example ``"benign"``; "" where unknown.
        overlay: float32 (rows, columns) in [0, 1], what to show in colour over the image (Grad-CAM), or None.
        overlay_note: what overlay or outlines show, for those who cannot see it.
        caption: pseudonym or other note.
        outlines: bool (rows, columns) each: the mask of the answer, and the true one where it is known.
    """

    pixels: Float32
    answer: str
    label: str = ""
    overlay: Float32 | None = None
    overlay_note: str = ""
    caption: str = ""
    outlines: tuple[Bool, ...] = ()


@dataclass(frozen=True)
class WorklistRow:
    """One scored study, most urgent first.

    Attributes:
        answer: in a few words.
        share: length of its bar, 0 to 1.
        urgent: whether it wants attention by the model's decision.
    """

    study: str
    answer: str
    share: float
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
class ReportPart:
    """The results of one training run.

    Attributes:
        page: what the task shows of the results.
        heading: of the part, where a report has several.
        models: figures on the same images, of the ``split`` named ("test", "validation"); ``selected`` names the chosen one.
        samples: in the order to show them.
        warnings: what makes the figures less than they seem, a line each.
    """

    page: Page
    heading: str = ""
    models: tuple[ModelRow, ...] = ()
    split: str = "test"
    selected: str = ""
    samples: tuple[SampleImage, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReportData:
    """A whole report.

    Attributes:
        title: heading of the page.
        date: as the caller wants it shown; the report itself reads no clock.
        facts: what was run, shown as a list of name and value (bundle, fingerprint, data, patients, …).
        parts: the results of training runs, the main one first.
        worklist: in the order to show it; ``worklist_total`` is the number of studies of the whole worklist.
        provenance: name → plain JSON data (specs, versions), shown folded.
    """

    title: str
    date: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[ReportPart, ...] = ()
    worklist: tuple[WorklistRow, ...] = ()
    worklist_total: int | None = None
    reconciliation: Reconciliation | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
