"""Several classes in order of urgency, one of which is true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, field_validator

from medray.errors import LabelError
from medray.evaluation.curves import auroc
from medray.evaluation.intervals import Interval
from medray.evaluation.multiclass import MulticlassMetrics
from medray.evaluation.multiclass import evaluate as metrics_of
from medray.evaluation.paired import auroc_difference
from medray.evaluation.recalibration import Calibration, calibrate_classes
from medray.tasks.classes import Value, check_stated, class_numbers
from medray.tasks.columns import check_names, column_name, integers, log_loss, matrix, mean_of, texts
from medray.tasks.decision import Decision, Figures, Judged, Monitored
from medray.tasks.head import Answer, Head, Monitor, Output
from medray.tasks.page import Cell, Histogram, Matrix, Page, Plot, Sample, Table, Tile
from medray.tasks.plots import calibration_plot, roc_line, roc_plot
from medray.tasks.task import Task
from medray.tasks.text import interval_note, interval_text, number
from medray.types import Bool, Float64, Image, Int64

DECISION = "decision"
_NOTE = (
    "95 % bootstrap interval. Macro figures are the mean over the classes, each against the rest. "
    "The decision is the likeliest class."
)


class MulticlassFigures(MulticlassMetrics, Figures):
    """The figures of merit (see :class:`medray.evaluation.multiclass.MulticlassMetrics`); ``names`` of the classes, in order."""

    names: tuple[str, ...]


class Multiclass(Task):
    """Which class an image is of. An answer is the probability of each, a decision the likeliest, the first of equal ones."""

    kind: Literal["multiclass"] = "multiclass"
    classes: tuple[Value, ...] = Field(min_length=2, description="values of the target, from the least to the most urgent")
    asks: ClassVar[tuple[str, ...]] = ("classes",)

    @field_validator("classes")
    @classmethod
    def _told_apart(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        check_names(classes)
        check_stated(classes)
        return classes

    @property
    def head(self) -> Head:
        """The classes."""
        return Head("classes", len(self.classes))

    @property
    def monitor(self) -> Monitor:
        """The mean of the AUROCs of each class against the rest."""
        return Monitor("macro_auroc", 1, "logloss")

    @property
    def columns(self) -> tuple[str, ...]:
        """The column of each class, ``probability_…``."""
        return tuple(column_name("probability", name) for name in self.classes)

    def targets(self, labels: Mapping[str, pa.ChunkedArray]) -> pa.Array:
        """The number of the class (int64); an empty text is no label. Raises LabelError LABELS_UNKNOWN_CLASS, LABELS_MIXED."""
        hint = "name them in task.classes, or leave the label empty"
        return class_numbers(labels[self.target], self.target, [[name] for name in self.classes], hint)

    def strata(self, targets: pa.ChunkedArray) -> Int64:
        """The class; a patient counts by the most urgent one of its images."""
        return integers(targets)

    def require(self, targets: pa.ChunkedArray, split: str = "", found: str = "") -> None:
        """Every class; raises LabelError LABELS_CLASS_MISSING, for a split LABELS_TOO_FEW."""
        counts = np.bincount(integers(targets), minlength=len(self.classes))
        missing = ", ".join(name for name, count in zip(self.classes, counts, strict=True) if not count)
        if missing and split:
            message = f"the {split} split holds no image of {self.target} = {missing}"
            raise LabelError("LABELS_TOO_FEW", message, "label more patients of each class")
        if missing:
            message = f"none of {len(targets)} labelled images is {missing} ({self.target} = {found})"
            raise LabelError("LABELS_CLASS_MISSING", message, "label some, or take the class out of task.classes")

    def classes_of(self, targets: pa.ChunkedArray) -> dict[str, Bool]:
        """Each class."""
        numbers = integers(targets)
        return {name: numbers == number for number, name in enumerate(self.classes)}

    def truth(self, targets: pa.ChunkedArray) -> NDArray[Any]:
        """int64 (n,), numbers of classes."""
        return integers(targets)

    def fields(self, judged: bool = False) -> list[pa.Field]:
        """``probability_…`` of each class."""
        return [pa.field(name, pa.float64()) for name in self.columns]

    def answer(self, output: Output, prepared: Image, image: Image, judged: bool = False) -> Answer:
        """The probability of each class."""
        return dict(zip(self.columns, map(float, output["probability"]), strict=True))

    def decided(self, rows: pa.Table, decision: Decision) -> pa.Table:
        """With ``decision``: the likeliest class."""
        table = matrix(rows, self.columns)
        likeliest = pa.array(table.argmax(axis=1), mask=np.isnan(table).any(axis=1))
        return rows.append_column(DECISION, pa.array(self.classes, pa.string()).take(likeliest))

    @property
    def decision_columns(self) -> tuple[str, ...]:
        """``decision``."""
        return (DECISION,)

    def outputs(self, rows: pa.Table) -> Output:
        """``probability`` of each class."""
        return {"probability": matrix(rows, self.columns)}

    def columns_of(self, output: Output) -> Mapping[str, Float64]:
        """``probability_…`` of each class."""
        return dict(zip(self.columns, output["probability"].T, strict=True))

    def calibration(self, rows: pa.Table) -> Calibration:
        """Of all classes."""
        return calibrate_classes(self.truth(rows["target"]), self.outputs(rows)["probability"])

    def urgency(self, rows: pa.Table) -> Float64:
        """The expected place of the class among all, from 0 for the first to 1 for the last: Σ k pₖ / (C − 1)."""
        places: Float64 = np.linspace(0, 1, len(self.classes))
        return matrix(rows, self.columns) @ places

    def scores(self, truth: NDArray[Any], output: Output) -> dict[str, float]:
        """``logloss`` and ``macro_auroc``, the mean over the classes that can be told from the rest."""
        probability = output["probability"]
        areas = [auroc(truth == one, p) for one, p in enumerate(probability.T)] if len(truth) else []
        return {"logloss": log_loss(truth, probability), "macro_auroc": mean_of(areas)}

    def evaluate(self, rows: pa.Table, decision: Decision, seed: int = 0) -> MulticlassFigures:
        """All figures of the probabilities and of the likeliest class."""
        found = metrics_of(integers(rows["target"]), matrix(rows, self.columns), groups=texts(rows["group"]), seed=seed)
        area = found.macro_auroc
        monitor = Monitored(figure="macro_auroc", sign=1, value=area.value, low=area.low, high=area.high)
        return MulticlassFigures(**dict(found), monitor=monitor, names=self.classes)

    def gain(self, new: pa.Table, old: pa.Table, seed: int = 0) -> Interval:
        """Of the macro AUROC."""
        one_hot = integers(new["target"])[:, None] == np.arange(len(self.classes))
        tables = matrix(new, self.columns), matrix(old, self.columns)
        return auroc_difference(one_hot, *tables, groups=texts(new["group"]), seed=seed)

    def cells(self, figures: Any) -> list[Cell]:
        """Macro AUROC first, then what depends on the decision."""
        shown: tuple[tuple[str, float | None, Literal[1, -1]], ...] = (
            ("Accuracy", figures.accuracy, 1),
            ("Balanced accuracy", figures.balanced_accuracy, 1),
            ("Macro F1", figures.macro_f1, 1),
            ("κ", figures.kappa, 1),
            ("Quadratic κ", figures.quadratic_kappa, 1),
            ("Log loss", figures.log_loss, -1),
            ("Brier", figures.brier, -1),
        )
        area = Cell("Macro AUROC [95 %]", interval_text(figures.macro_auroc), figures.macro_auroc.value, 1)
        return [area, *(Cell(heading, number(value), value, sign) for heading, value, sign in shown)]

    def page(self, models: Sequence[Judged], chosen: str, split: str) -> Page:
        """ROC and calibration of each class, decisions and urgency of the chosen model."""
        best = next((model for model in models if model.name == chosen), None)
        if best is None:
            return Page(f"{len(models)} models were compared; none is chosen.", _NOTE)
        plots = (self._rocs(best), self._calibration(best), self._decisions(best), self._urgencies(best))
        shown = tuple(plot for plot in plots if plot is not None)
        return Page(self._summary(best, split), _NOTE, self._tiles(best.figures), shown, (self._classes(best),))

    def caption(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """The likeliest class with its probability, and the true one."""
        p = [row[name] for name in self.columns]
        likeliest = int(np.argmax(p))
        truth = "" if row.get("target") is None else self.classes[row["target"]]
        return f"{self.classes[likeliest]} {p[likeliest]:.2f}", truth

    def urgent(self, row: Mapping[str, Any]) -> bool:
        """Whether it is decided to be of the last, most urgent class."""
        return bool(row[DECISION] == self.classes[-1])

    def _summary(self, model: Judged, split: str) -> str:
        found: Any = model.figures
        head = f"{model.name} reaches a macro AUROC of {interval_text(found.macro_auroc)} on {found.n} {split} images"
        if found.macro_auroc.value is None:
            head = f"The macro AUROC of {model.name} is undefined on {found.n} {split} images of one class"
        right = sum(counts[one] for one, counts in enumerate(found.confusion))
        last, counts = found.classes[-1], found.confusion[-1]
        return (
            f"{head}. Its likeliest class is the true one in {right} of them; it finds {counts[-1]} of {last.cases} "
            f"{self.classes[-1]} images and takes {sum(row[-1] for row in found.confusion[:-1])} others for one."
        )

    def _tiles(self, found: Any) -> tuple[Tile, ...]:
        area, last, most = found.macro_auroc, found.classes[-1], self.classes[-1]
        return (
            Tile("Macro AUROC", number(area.value), interval_note(area)),
            Tile("Balanced accuracy", number(found.balanced_accuracy), f"accuracy {number(found.accuracy)}"),
            Tile(f"Sensitivity, {most}", number(last.sensitivity), f"{found.confusion[-1][-1]} of {last.cases} found"),
            Tile("Quadratic κ", number(found.quadratic_kappa), f"unweighted κ {number(found.kappa)}"),
        )

    def _classes(self, model: Judged) -> Table:
        """The figures of each class against the rest."""
        found: Any = model.figures
        return Table(
            f"Classes of {model.name}, each against the rest",
            "Class",
            {
                name: (
                    Cell("Images", str(one.cases)),
                    Cell("AUROC [95 %]", interval_text(one.auroc)),
                    Cell("Sensitivity", number(one.sensitivity)),
                    Cell("Specificity", number(one.specificity)),
                    Cell("Precision", number(one.precision)),
                    Cell("F1", number(one.f1)),
                )
                for name, one in zip(self.classes, found.classes, strict=True)
            },
        )

    def _rocs(self, model: Judged) -> Plot | None:
        found: Any = model.figures
        lines = [
            roc_line(name, y, p, figures.auroc)
            for (name, y, p), figures in zip(self._against_the_rest(model), found.classes, strict=True)
        ]
        return roc_plot(f"Receiver operating characteristic of {model.name}, each class against the rest", lines)

    def _calibration(self, model: Judged) -> Plot | None:
        return calibration_plot(f"Calibration of {model.name}, each class against the rest", self._against_the_rest(model))

    def _against_the_rest(self, model: Judged) -> list[tuple[str, Int64, Float64]]:
        """Name of each class, whether it is the true one, and its probability."""
        truth, table = integers(model.rows["target"]), matrix(model.rows, self.columns)
        return [(name, (truth == one).astype(np.int64), table[:, one]) for one, name in enumerate(self.classes)]

    def _decisions(self, model: Judged) -> Matrix:
        found: Any = model.figures
        counts = np.array(found.confusion, dtype=np.int64)
        alt = f"{np.trace(counts)} of {counts.sum()} images in their own class"
        return Matrix(f"Decisions of {model.name}", alt, self.classes, counts)

    def _urgencies(self, model: Judged) -> Histogram:
        truth, urgency = integers(model.rows["target"]), self.urgency(model.rows)
        last = len(self.classes) - 1
        samples = tuple(Sample(name, urgency[truth == one], one == last) for one, name in enumerate(self.classes))
        alt = f"Histograms of the urgency of {', '.join(self.classes)} images by {model.name}"
        label = f"urgency (0 {self.classes[0]}, 1 {self.classes[-1]})"
        return Histogram(f"Urgency by {model.name}", alt, label, samples)
