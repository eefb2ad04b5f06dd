"""Two classes: a positive value of a label column against the negative ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field, model_validator

from medray.errors import LabelError
from medray.evaluation.binary import Metrics
from medray.evaluation.binary import evaluate as metrics_of
from medray.evaluation.curves import auroc
from medray.evaluation.intervals import Interval
from medray.evaluation.paired import auroc_difference
from medray.evaluation.recalibration import Calibration, calibrate_classes
from medray.evaluation.thresholds import ThresholdPolicy, choose_threshold
from medray.tasks.classes import Others, Value, check_stated, is_positive
from medray.tasks.columns import floats, integers, log_loss, texts
from medray.tasks.decision import Decision, Figures, Judged, Monitored
from medray.tasks.head import Answer, Head, Monitor, Output
from medray.tasks.page import Cell, Histogram, Matrix, Page, Plot, Sample, Tile
from medray.tasks.plots import calibration_plot, roc_line, roc_plot
from medray.tasks.task import Task
from medray.tasks.text import interval_note, interval_text, number
from medray.types import Bool, Float64, Image, Int64

PROBABILITY, POSITIVE = "probability", "positive"
_NOTE = "95 % bootstrap interval. Sensitivity, specificity, accuracy and F1 at each model’s own threshold."


class BinaryFigures(Metrics, Figures):
    """The figures of merit at the operating point (see :class:`medray.evaluation.binary.Metrics`)."""


class Binary(Task):
    """Whether an image is positive. An answer is the probability that it is."""

    kind: Literal["binary"] = "binary"
    positive: Value = Field("1", description="value of the target that makes a positive")
    negative: tuple[Value, ...] = Field(
        (), description="values that make a negative; default: the opposite of the positive one, as 0 of 1 and no of yes"
    )
    others: Others = Field("refused", description="what every other value is")
    decides: ClassVar[bool] = True
    asks: ClassVar[tuple[str, ...]] = ("positive",)

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        check_stated(self.negative, (self.positive,))
        return self

    @property
    def head(self) -> Head:
        """Two classes: negative, positive."""
        return Head("classes", 2)

    @property
    def monitor(self) -> Monitor:
        """The AUROC."""
        return Monitor("auroc", 1, "logloss")

    @property
    def positive_value(self) -> str:
        """The label of a positive."""
        return self.positive

    @property
    def positive_name(self) -> str:
        """What a positive is called: the column where its value is a mere 1."""
        return self.target if self.positive == "1" else self.positive

    def targets(self, labels: Mapping[str, pa.ChunkedArray]) -> pa.Array:
        """1 for a positive, 0 for a negative (int64); null where there is no label.

        Raises LabelError LABELS_UNKNOWN_CLASS, LABELS_MIXED.
        """
        return is_positive(labels[self.target], self.target, self.positive, self.negative, self.others)

    def strata(self, targets: pa.ChunkedArray) -> Int64:
        """The class."""
        return integers(targets)

    def require(self, targets: pa.ChunkedArray, split: str = "", found: str = "") -> None:
        """Both classes; raises LabelError LABELS_SINGLE_CLASS, for a split LABELS_TOO_FEW."""
        positives = int(pc.sum(targets).as_py() or 0)
        if 0 < positives < len(targets):
            return
        if split:
            raise LabelError(
                "LABELS_TOO_FEW", f"the {split} split does not hold both classes", "label more patients of each class"
            )
        side = "positive" if positives else "negative"
        message = f"all {len(targets)} labelled images are {side} ({self.target} = {found}; positive is {self.positive!r})"
        raise LabelError("LABELS_SINGLE_CLASS", message, "give labels of both classes, or set labels.positive (task.positive)")

    def classes_of(self, targets: pa.ChunkedArray) -> dict[str, Bool]:
        """Positives and the others."""
        positive = integers(targets) == 1
        return {self.positive_name: positive, f"not {self.positive_name}": ~positive}

    def truth(self, targets: pa.ChunkedArray) -> NDArray[Any]:
        """int64 (n,), 0 or 1."""
        return integers(targets)

    def fields(self, judged: bool = False) -> list[pa.Field]:
        """``probability`` of a positive."""
        return [pa.field(PROBABILITY, pa.float64())]

    def answer(self, output: Output, prepared: Image, image: Image, judged: bool = False) -> Answer:
        """The probability of a positive."""
        return {PROBABILITY: float(output["probability"][1])}

    def outputs(self, rows: pa.Table) -> Output:
        """``probability`` of both classes."""
        positive = floats(rows[PROBABILITY])
        return {"probability": np.column_stack([1 - positive, positive])}

    def columns_of(self, output: Output) -> Mapping[str, Float64]:
        """``probability`` of a positive."""
        return {PROBABILITY: output["probability"][:, 1]}

    def calibration(self, rows: pa.Table) -> Calibration:
        """Of both classes."""
        return calibrate_classes(self.truth(rows["target"]), self.outputs(rows)["probability"])

    def decision(self, rows: pa.Table, policy: ThresholdPolicy, where: str = "validation") -> Decision:
        """The threshold by the policy."""
        chosen = choose_threshold(integers(rows["target"]), floats(rows[PROBABILITY]), policy, where)
        return Decision(thresholds={POSITIVE: chosen})

    def decided(self, rows: pa.Table, decision: Decision) -> pa.Table:
        """With ``positive``: whether the probability reaches the threshold."""
        return rows.append_column(POSITIVE, pc.greater_equal(rows[PROBABILITY], decision.threshold(POSITIVE)))

    @property
    def decision_columns(self) -> tuple[str, ...]:
        """``positive``."""
        return (POSITIVE,)

    def urgency(self, rows: pa.Table) -> Float64:
        """The probability."""
        return floats(rows[PROBABILITY])

    def scores(self, truth: NDArray[Any], output: Output) -> dict[str, float]:
        """``logloss`` and ``auroc``."""
        probability = output["probability"]
        area = auroc(truth, probability[:, 1]) if len(truth) else None
        return {"logloss": log_loss(truth, probability), "auroc": float("nan") if area is None else area}

    def evaluate(self, rows: pa.Table, decision: Decision, seed: int = 0) -> BinaryFigures:
        """All figures at the threshold."""
        found = metrics_of(
            integers(rows["target"]),
            floats(rows[PROBABILITY]),
            decision.threshold(POSITIVE),
            groups=texts(rows["group"]),
            seed=seed,
        )
        area = found.auroc
        monitor = Monitored(figure="auroc", sign=1, value=area.value, low=area.low, high=area.high)
        return BinaryFigures(**dict(found), monitor=monitor)

    def gain(self, new: pa.Table, old: pa.Table, seed: int = 0) -> Interval:
        """Of the AUROC."""
        scores = floats(new[PROBABILITY]), floats(old[PROBABILITY])
        return auroc_difference(floats(new["target"]), *scores, groups=texts(new["group"]), seed=seed)

    def skill(self, figures: Any) -> dict[str, float | None]:
        """Of the one decision."""
        return {self.positive_name: figures.confusion.youden_j}

    def cells(self, figures: Any) -> list[Cell]:
        """AUROC first, then what depends on the threshold."""
        shown: tuple[tuple[str, float | None, Literal[1, -1]], ...] = (
            ("AUPRC", figures.auprc, 1),
            ("Sensitivity", figures.sensitivity, 1),
            ("Specificity", figures.specificity, 1),
            ("Accuracy", figures.accuracy, 1),
            ("F1", figures.f1, 1),
            ("Brier", figures.brier, -1),
        )
        area = Cell("AUROC [95 %]", interval_text(figures.auroc), figures.auroc.value, 1)
        return [area, *(Cell(heading, number(value), value, sign) for heading, value, sign in shown)]

    def page(self, models: Sequence[Judged], chosen: str, split: str) -> Page:
        """ROC and calibration of all models; decisions and probabilities of the chosen one."""
        best = next((model for model in models if model.name == chosen), None)
        plots = (roc_curves(models), calibration_curves(models))
        if best is None:
            return Page(f"{len(models)} models were compared; none is chosen.", _NOTE, plots=tuple(filter(None, plots)))
        drawn = (*plots, self._decisions(best), self._probabilities(best))
        shown = tuple(plot for plot in drawn if plot is not None)
        return Page(self._summary(best, split), _NOTE, self._tiles(best.figures), shown)

    def caption(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """The probability, and the class."""
        truth = "" if row.get("target") is None else self.positive_name if row["target"] else f"not {self.positive_name}"
        return f"{row[PROBABILITY]:.2f}", truth

    def urgent(self, row: Mapping[str, Any]) -> bool:
        """Whether it is positive."""
        return bool(row[POSITIVE])

    def _summary(self, model: Judged, split: str) -> str:
        found: Any = model.figures
        counts, threshold = found.confusion, model.decision.thresholds[POSITIVE]
        head = f"{model.name} reaches an AUROC of {interval_text(found.auroc)} on {found.n} {split} images"
        if found.auroc.value is None:
            head = f"The AUROC of {model.name} is undefined on {found.n} {split} images of one class"
        return (
            f"{head}. At the threshold of {found.threshold:.3f}, which {threshold.reason}, it finds {counts.tp} of "
            f"{found.positives} {self.positive_name} images and clears {counts.tn} of {found.n - found.positives} others."
        )

    def _tiles(self, found: Any) -> tuple[Tile, ...]:
        area, counts = found.auroc, found.confusion
        return (
            Tile("AUROC", number(area.value), interval_note(area)),
            Tile("Sensitivity", number(found.sensitivity), f"{counts.tp} of {found.positives} found"),
            Tile("Specificity", number(found.specificity), f"{counts.tn} of {found.n - found.positives} cleared"),
            Tile("Calibration error", number(found.ece), f"Brier score {number(found.brier)}"),
        )

    def _decisions(self, model: Judged) -> Matrix:
        found: Any = model.figures
        counts = found.confusion
        alt = f"{counts.tn} true and {counts.fn} false negatives, {counts.tp} true and {counts.fp} false positives"
        table = np.array([[counts.tn, counts.fp], [counts.fn, counts.tp]], dtype=np.int64)
        return Matrix(f"Decisions of {model.name}", alt, (f"not {self.positive_name}", self.positive_name), table)

    def _probabilities(self, model: Judged) -> Histogram:
        y, p = integers(model.rows["target"]), floats(model.rows[PROBABILITY])
        threshold = model.decision.threshold(POSITIVE)
        samples = (Sample(f"not {self.positive_name}", p[y == 0]), Sample(self.positive_name, p[y == 1], alarm=True))
        alt = f"Histograms of the probabilities of {self.positive_name} and other images by {model.name}"
        return Histogram(f"Probabilities of {model.name}", alt, "probability", samples, {f"threshold {threshold:.3f}": threshold})


def roc_curves(models: Sequence[Judged]) -> Plot | None:
    """The ROC of every model with its operating point; None where no model has one."""
    lines = []
    for model in models:
        found: Any = model.figures
        y, p = integers(model.rows["target"]), floats(model.rows[PROBABILITY])
        lines.append(roc_line(model.name, y, p, found.auroc, found.sensitivity, found.specificity))
    return roc_plot("Receiver operating characteristic", lines)


def calibration_curves(models: Sequence[Judged]) -> Plot | None:
    """Reliability curves of all models."""
    cases = [(model.name, integers(model.rows["target"]), floats(model.rows[PROBABILITY])) for model in models]
    return calibration_plot("Calibration", cases)
