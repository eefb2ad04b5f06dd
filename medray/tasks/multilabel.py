"""Several labels, any number of which may hold for an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from medray.errors import LabelError
from medray.evaluation.curves import auroc
from medray.evaluation.intervals import Interval
from medray.evaluation.multilabel import MultilabelMetrics
from medray.evaluation.multilabel import evaluate as metrics_of
from medray.evaluation.paired import auroc_difference
from medray.evaluation.recalibration import Calibration, calibrate_labels
from medray.evaluation.thresholds import ThresholdPolicy, choose_threshold
from medray.tasks.classes import Others, Value, check_stated, is_positive
from medray.tasks.columns import check_names, column_name, matrix, mean_of, texts
from medray.tasks.decision import Decision, Figures, Judged, Monitored
from medray.tasks.head import Answer, Head, Monitor, Output
from medray.tasks.page import Cell, Histogram, Page, Plot, Sample, Table, Tile
from medray.tasks.plots import calibration_plot, roc_line, roc_plot
from medray.tasks.task import Task
from medray.tasks.text import interval_note, interval_text, number
from medray.types import Bool, Float64, Image, Int64

_NOTE = "95 % bootstrap interval. Macro figures are the mean over the labels; each label has a threshold of its own."
_SHOWN = 3


class MultilabelFigures(MultilabelMetrics, Figures):
    """The figures of merit (see :class:`medray.evaluation.multilabel.MultilabelMetrics`); ``names`` of the labels, in order."""

    names: tuple[str, ...]


class Multilabel(Task):
    """Which of several labels hold for an image. An answer is the probability of each, a decision whether it holds."""

    kind: Literal["multilabel"] = "multilabel"
    target: str = Field("labels", description="what the labels are called together, for headings")
    labels: tuple[str, ...] = Field(min_length=1, description="columns of the label table, one a label")
    positive: Value = Field("1", description="value that says that a label holds")
    negative: tuple[Value, ...] = Field(
        (), description="values that say that it does not; default: the opposite of the positive one, as 0 of 1 and no of yes"
    )
    others: Others = Field("refused", description="what every other value is")
    decides: ClassVar[bool] = True
    asks: ClassVar[tuple[str, ...]] = ("labels", "positive")

    @model_validator(mode="after")
    def _values_told_apart(self) -> Self:
        check_stated(self.negative, (self.positive,))
        return self

    @field_validator("labels")
    @classmethod
    def _told_apart(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        check_names(labels)
        return labels

    @property
    def head(self) -> Head:
        """The labels."""
        return Head("labels", len(self.labels))

    @property
    def monitor(self) -> Monitor:
        """The mean of the AUROCs of the labels."""
        return Monitor("macro_auroc", 1, "logloss")

    @property
    def columns(self) -> tuple[str, ...]:
        """The column of each label, ``probability_…``."""
        return tuple(column_name("probability", name) for name in self.labels)

    @property
    def label_columns(self) -> tuple[str, ...]:
        """A column for each label."""
        return self.labels

    def targets(self, labels: Mapping[str, pa.ChunkedArray]) -> pa.Array:
        """1 where a label holds, 0 where not, null where its text is empty (list of float64); null where none is known.

        Raises LabelError LABELS_UNKNOWN_CLASS, LABELS_MIXED.
        """
        known = [is_positive(labels[name], name, self.positive, self.negative, self.others) for name in self.labels]
        rows = zip(*(column.to_pylist() for column in known), strict=True)
        return pa.array([None if set(row) == {None} else row for row in rows], pa.list_(pa.float64()))

    def strata(self, targets: pa.ChunkedArray) -> Int64:
        """The rarest label that holds, higher the rarer it is; 0 where none does."""
        holds = self.truth(targets) == 1
        rarity = np.argsort(np.argsort(-holds.sum(axis=0), kind="stable"), kind="stable") + 1
        return np.asarray((holds * rarity).max(axis=1), dtype=np.int64)

    def require(self, targets: pa.ChunkedArray, split: str = "", found: str = "") -> None:
        """Images with and without each label; raises LabelError LABELS_SINGLE_CLASS, for a split LABELS_TOO_FEW."""
        truth = self.truth(targets)
        for name, column in zip(self.labels, truth.T, strict=True):
            positives, negatives = int((column == 1).sum()), int((column == 0).sum())
            if positives and negatives:
                continue
            if split:
                message = f"the {split} split holds {positives} images with {name} and {negatives} without"
                raise LabelError("LABELS_TOO_FEW", message, "label more patients, or take the label out of task.labels")
            message = f"{positives} images have {name} and {negatives} do not (values {found}; positive is {self.positive!r})"
            raise LabelError("LABELS_SINGLE_CLASS", message, "give labels of both kinds, or set the positive value")

    def classes_of(self, targets: pa.ChunkedArray) -> dict[str, Bool]:
        """Each label, where it is known to hold, and where not to."""
        truth = self.truth(targets)
        return {
            name: found
            for label, column in zip(self.labels, truth.T, strict=True)
            for name, found in ((label, column == 1), (f"not {label}", column == 0))
        }

    def truth(self, targets: pa.ChunkedArray) -> NDArray[Any]:
        """float64 (n, labels), 0 or 1; NaN where a label is not known."""
        rows = [[np.nan if value is None else value for value in row] for row in targets.to_pylist()]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.labels))

    def fields(self, judged: bool = False) -> list[pa.Field]:
        """``probability_…`` of each label."""
        return [pa.field(name, pa.float64()) for name in self.columns]

    def answer(self, output: Output, prepared: Image, image: Image, judged: bool = False) -> Answer:
        """The probability of each label."""
        return dict(zip(self.columns, map(float, output["probability"]), strict=True))

    def outputs(self, rows: pa.Table) -> Output:
        """``probability`` of each label."""
        return {"probability": matrix(rows, self.columns)}

    def columns_of(self, output: Output) -> Mapping[str, Float64]:
        """``probability_…`` of each label."""
        return dict(zip(self.columns, output["probability"].T, strict=True))

    def calibration(self, rows: pa.Table) -> Calibration:
        """Of each label."""
        return calibrate_labels(self.truth(rows["target"]), self.outputs(rows)["probability"])

    def decision(self, rows: pa.Table, policy: ThresholdPolicy, where: str = "validation") -> Decision:
        """A threshold for each label by the policy, on the images where the label is known. Raises what :meth:`require` does."""
        self.require(rows["target"], where)
        truth, table = self.truth(rows["target"]), matrix(rows, self.columns)
        each = zip(self.labels, truth.T, table.T, strict=True)
        return Decision(thresholds={name: choose_threshold(y[y >= 0], p[y >= 0], policy, where) for name, y, p in each})

    def decided(self, rows: pa.Table, decision: Decision) -> pa.Table:
        """With ``positive_…`` of each label: whether its probability reaches its threshold."""
        for label, probability, column in zip(self.labels, self.columns, self.decision_columns, strict=True):
            rows = rows.append_column(column, pc.greater_equal(rows[probability], decision.threshold(label)))
        return rows

    @property
    def decision_columns(self) -> tuple[str, ...]:
        """``positive_…`` of each label."""
        return tuple(column_name("positive", name) for name in self.labels)

    def urgency(self, rows: pa.Table) -> Float64:
        """The probability of the likeliest label."""
        return np.asarray(matrix(rows, self.columns).max(axis=1), dtype=np.float64)

    def scores(self, truth: NDArray[Any], output: Output) -> dict[str, float]:
        """``logloss``, the mean over the known labels, and ``macro_auroc``, that over the labels with images of both kinds."""
        probability, known = output["probability"], ~np.isnan(truth)
        areas = [auroc(y[use], p[use]) if use.any() else None for y, p, use in zip(truth.T, probability.T, known.T, strict=True)]
        right = np.where(truth == 1, probability, 1 - probability)[known]
        loss = float(-np.log(np.clip(right, 1e-15, 1)).mean()) if len(right) else float("nan")
        return {"logloss": loss, "macro_auroc": mean_of(areas)}

    def evaluate(self, rows: pa.Table, decision: Decision, seed: int = 0) -> MultilabelFigures:
        """All figures of each label at its threshold."""
        truth, table = self.truth(rows["target"]), matrix(rows, self.columns)
        cut = [decision.threshold(name) for name in self.labels]
        found = metrics_of(truth, table, cut, ~np.isnan(truth), groups=texts(rows["group"]), seed=seed)
        area = found.macro_auroc
        monitor = Monitored(figure="macro_auroc", sign=1, value=area.value, low=area.low, high=area.high)
        return MultilabelFigures(**dict(found), monitor=monitor, names=self.labels)

    def gain(self, new: pa.Table, old: pa.Table, seed: int = 0) -> Interval:
        """Of the macro AUROC."""
        tables = matrix(new, self.columns), matrix(old, self.columns)
        return auroc_difference(self.truth(new["target"]), *tables, groups=texts(new["group"]), seed=seed)

    def skill(self, figures: Any) -> dict[str, float | None]:
        """Of each label."""
        each = zip(self.labels, figures.labels, strict=True)
        return {name: one and one.confusion.youden_j for name, one in each}

    def cells(self, figures: Any) -> list[Cell]:
        """Macro AUROC first, then the AUROC of each label."""
        area = Cell("Macro AUROC [95 %]", interval_text(figures.macro_auroc), figures.macro_auroc.value, 1)
        each = [(name, one and one.auroc.value) for name, one in zip(self.labels, figures.labels, strict=True)]
        macro = Cell("Macro AUPRC", number(figures.macro_auprc), figures.macro_auprc, 1)
        return [area, macro, *(Cell(f"AUROC, {name}", number(value), value, 1) for name, value in each)]

    def page(self, models: Sequence[Judged], chosen: str, split: str) -> Page:
        """ROC, calibration and figures of each label, and urgency by the chosen model."""
        best = next((model for model in models if model.name == chosen), None)
        if best is None:
            return Page(f"{len(models)} models were compared; none is chosen.", _NOTE)
        plots = (self._rocs(best), self._calibration(best), self._probabilities(best))
        shown = tuple(plot for plot in plots if plot is not None)
        return Page(self._summary(best, split), _NOTE, self._tiles(best.figures), shown, (self._labels(best),))

    def caption(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """The likeliest labels with their probabilities, and the true ones."""
        found = sorted(zip(self.labels, (row[name] for name in self.columns), strict=True), key=lambda one: -one[1])
        answer = ", ".join(f"{name} {p:.2f}" for name, p in found[:_SHOWN])
        if row.get("target") is None:
            return answer, ""
        return answer, ", ".join(name for name, value in zip(self.labels, row["target"], strict=True) if value == 1) or "none"

    def urgent(self, row: Mapping[str, Any]) -> bool:
        """Whether some label is decided to hold."""
        return any(row[name] for name in self.decision_columns)

    def _summary(self, model: Judged, split: str) -> str:
        found: Any = model.figures
        head = f"{model.name} reaches a macro AUROC of {interval_text(found.macro_auroc)} on {found.n} {split} images"
        if found.macro_auroc.value is None:
            head = f"The macro AUROC of {model.name} is undefined on {found.n} {split} images"
        each = zip(self.labels, found.labels, strict=True)
        counts = ", ".join(f"{one.confusion.tp} of {one.positives} with {name}" for name, one in each if one is not None)
        return f"{head}. It finds {counts}."

    def _tiles(self, found: Any) -> tuple[Tile, ...]:
        area = found.macro_auroc
        each = [(one.auroc.value, name) for name, one in zip(self.labels, found.labels, strict=True) if one is not None]
        ranked = sorted((value, name) for value, name in each if value is not None)
        ends = {"Best": ranked[-1], "Weakest": ranked[0]} if len(ranked) > 1 else {}
        return (
            Tile("Macro AUROC", number(area.value), interval_note(area)),
            Tile("Macro AUPRC", number(found.macro_auprc), "mean over the labels"),
            *(Tile(f"{which} AUROC", number(value), name) for which, (value, name) in ends.items()),
        )

    def _labels(self, model: Judged) -> Table:
        """The figures of each label at its threshold."""
        found: Any = model.figures
        each = zip(self.labels, found.labels, strict=True)
        return Table(f"Labels of {model.name}", "Label", {name: _cells(one) for name, one in each if one is not None})

    def _rocs(self, model: Judged) -> Plot | None:
        found: Any = model.figures
        each = zip(self._known(model), (one for one in found.labels if one is not None), strict=True)
        lines = [roc_line(name, y, p, one.auroc, one.sensitivity, one.specificity) for (name, y, p), one in each]
        return roc_plot(f"Receiver operating characteristic of {model.name}, by label", lines)

    def _calibration(self, model: Judged) -> Plot | None:
        return calibration_plot(f"Calibration of {model.name}, by label", self._known(model))

    def _known(self, model: Judged) -> list[tuple[str, Int64, Float64]]:
        """Each label that is known somewhere: whether it holds, and its probability."""
        truth, table = self.truth(model.rows["target"]), matrix(model.rows, self.columns)
        each = [(name, y[y >= 0].astype(np.int64), p[y >= 0]) for name, y, p in zip(self.labels, truth.T, table.T, strict=True)]
        return [(name, y, p) for name, y, p in each if len(y)]

    def _probabilities(self, model: Judged) -> Histogram:
        """The probability of the likeliest label, of images with a label and without one."""
        holds, urgency = (self.truth(model.rows["target"]) == 1).any(axis=1), self.urgency(model.rows)
        samples = (Sample("no label", urgency[~holds]), Sample("some label", urgency[holds], alarm=True))
        alt = f"Histograms of the probability of the likeliest label by {model.name}"
        return Histogram(f"Urgency by {model.name}", alt, "probability of the likeliest label", samples)


def _cells(found: Any) -> tuple[Cell, ...]:
    return (
        Cell("Images", str(found.n)),
        Cell("With it", str(found.positives)),
        Cell("AUROC [95 %]", interval_text(found.auroc)),
        Cell("AUPRC", number(found.auprc)),
        Cell("Threshold", number(found.threshold)),
        Cell("Sensitivity", number(found.sensitivity)),
        Cell("Specificity", number(found.specificity)),
        Cell("F1", number(found.f1)),
        Cell("Brier", number(found.brier)),
    )
