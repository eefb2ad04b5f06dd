"""A number: an area, an age, a volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field

from medray.data.label_values import as_labels
from medray.errors import LabelError, shown
from medray.evaluation.intervals import Interval
from medray.evaluation.paired import mean_difference
from medray.evaluation.regression import RegressionMetrics, calibration_curve
from medray.evaluation.regression import evaluate as metrics_of
from medray.tasks.columns import floats, is_number, texts
from medray.tasks.decision import Decision, Figures, Judged, Monitored
from medray.tasks.head import Answer, Head, Monitor, Output
from medray.tasks.page import Cell, Curves, Histogram, Line, Page, Plot, Sample, Scatter, Tile
from medray.tasks.task import Task
from medray.tasks.text import number, quantity, quantity_interval
from medray.types import Float64, Image, Int64

PREDICTED = "predicted"
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_FEWEST_VALUES = 5
_QUARTILES = (0.25, 0.5, 0.75)
_NOTE = "95 % bootstrap interval. Bias is the mean of predicted − true."


class RegressionFigures(RegressionMetrics, Figures):
    """The figures of merit (see :class:`medray.evaluation.regression.RegressionMetrics`)."""


class Regression(Task):
    """The number that an image has in a label column. An answer is the predicted one."""

    kind: Literal["regression"] = "regression"
    unit: str = Field("", description="unit of the numbers, for people")
    first: Literal["high", "low"] = Field("high", description="the values that a worklist begins with")
    asks: ClassVar[tuple[str, ...]] = ("unit",)

    @property
    def head(self) -> Head:
        """A value."""
        return Head("value")

    @property
    def monitor(self) -> Monitor:
        """The mean absolute error."""
        return Monitor("mae", -1, "rmse")

    def targets(self, labels: Mapping[str, pa.ChunkedArray]) -> pa.Array:
        """The numbers (float64); an empty text is no label. Raises LabelError LABELS_NOT_A_NUMBER."""
        column = as_labels(labels[self.target])
        empty, written = pc.equal(column, ""), pc.match_substring_regex(column, _NUMBER)
        found = pc.cast(pc.if_else(written, column, pa.scalar(None, pa.string())), pa.float64())
        wrong = column.filter(pc.invert(pc.or_(empty, pa.array(is_number(found)))))
        if len(wrong):
            named = [f"{shown(one['values'])} ({one['counts']})" for one in pc.value_counts(wrong).to_pylist()]
            more = f" and {len(named) - 5} others" if len(named) > 5 else ""
            message = f"{len(wrong)} labels of {self.target} are no finite numbers: {', '.join(named[:5])}{more}"
            raise LabelError("LABELS_NOT_A_NUMBER", message, "write 12.5, or leave it empty where the number is not known")
        return found

    def strata(self, targets: pa.ChunkedArray) -> Int64:
        """The quartile of the value, 0 to 3."""
        values = floats(targets)
        return np.searchsorted(np.quantile(values, _QUARTILES), values).astype(np.int64)

    def require(self, targets: pa.ChunkedArray, split: str = "", found: str = "") -> None:
        """Several distinct values, at least two of them in a split; raises LabelError LABELS_TOO_FEW."""
        distinct, fewest = pc.count_distinct(targets).as_py(), 2 if split else _FEWEST_VALUES
        if distinct >= fewest:
            return
        where = f"the {split} split holds" if split else "the labels hold"
        message = f"{where} {distinct} distinct values of {self.target} in {len(targets)} images"
        raise LabelError("LABELS_TOO_FEW", message, f"label more images: {fewest} distinct values are needed")

    def truth(self, targets: pa.ChunkedArray) -> NDArray[Any]:
        """float64 (n,)."""
        return floats(targets)

    def fields(self, judged: bool = False) -> list[pa.Field]:
        """``predicted``."""
        return [pa.field(PREDICTED, pa.float64())]

    def answer(self, output: Output, prepared: Image, image: Image, judged: bool = False) -> Answer:
        """The value."""
        return {PREDICTED: float(output["value"])}

    def columns_of(self, output: Output) -> Mapping[str, Float64]:
        """``predicted``."""
        return {PREDICTED: output["value"]}

    def outputs(self, rows: pa.Table) -> Output:
        """``predicted``."""
        return {"value": floats(rows[PREDICTED])}

    def urgency(self, rows: pa.Table) -> Float64:
        """The value, or its negative where low values come first."""
        return floats(rows[PREDICTED]) * (1 if self.first == "high" else -1)

    def scores(self, truth: NDArray[Any], output: Output) -> dict[str, float]:
        """``mae``, ``rmse`` and ``r2``."""
        if not len(truth):
            return dict.fromkeys(("mae", "rmse", "r2"), float("nan"))
        error = np.asarray(output["value"] - truth, dtype=np.float64)
        square, spread = float(np.mean(error**2)), float(np.var(truth))
        r2 = 1 - square / spread if spread > 0 else float("nan")
        return {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt(square)), "r2": r2}

    def evaluate(self, rows: pa.Table, decision: Decision, seed: int = 0) -> RegressionFigures:
        """All figures."""
        found = metrics_of(floats(rows["target"]), floats(rows[PREDICTED]), groups=texts(rows["group"]), seed=seed)
        monitor = Monitored(figure="mae", sign=-1, **dict(found.mae))
        return RegressionFigures(**dict(found), monitor=monitor)

    def gain(self, new: pa.Table, old: pa.Table, seed: int = 0) -> Interval:
        """By how much the mean absolute error is smaller."""
        before, now = (np.abs(floats(rows[PREDICTED]) - floats(rows["target"])) for rows in (old, new))
        return mean_difference(before, now, texts(new["group"]), seed)

    def cells(self, figures: Any) -> list[Cell]:
        """The mean absolute error first."""
        return [
            Cell("MAE [95 %]", quantity_interval(figures.mae), figures.mae.value, -1),
            Cell("RMSE", quantity(figures.rmse), figures.rmse, -1),
            Cell("Bias", quantity(figures.agreement.bias), figures.agreement.bias),
            Cell("R²", number(figures.r2.value), figures.r2.value, 1),
            Cell("Spearman", number(figures.spearman), figures.spearman, 1),
        ]

    def page(self, models: Sequence[Judged], chosen: str, split: str) -> Page:
        """Calibration of all models; agreement and errors of the chosen one."""
        note = f"{_NOTE} Numbers in {self.unit}." if self.unit else _NOTE
        calibration: tuple[Plot, ...] = (self._calibration(models),) if models else ()
        best = next((model for model in models if model.name == chosen), None)
        if best is None:
            return Page(f"{len(models)} models were compared; none is chosen.", note, plots=calibration)
        plots = (self._agreement(best), *calibration, self._differences(best), self._errors(best))
        return Page(self._summary(best, split), note, self._tiles(best.figures), plots)

    def caption(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """The value, and the true one."""
        truth = row.get("target")
        return quantity(row[PREDICTED], self.unit), "" if truth is None else quantity(truth, self.unit)

    def _summary(self, model: Judged, split: str) -> str:
        found: Any = model.figures
        error = quantity(found.mae.value, self.unit)
        interval = f"95 % interval {quantity(found.mae.low)}–{quantity(found.mae.high)}"
        explained = "" if found.r2.value is None else f", and R² is {number(found.r2.value)}"
        return (
            f"{model.name} is off by {error} on average ({interval}) on {found.n} {split} images{explained}. "
            f"Half of its values are within {quantity(found.median_absolute_error, self.unit)} of the true ones."
        )

    def _tiles(self, found: Any) -> tuple[Tile, ...]:
        bias, r2 = found.agreement, found.r2
        r2_note = "undefined" if r2.low is None else f"95 % interval {number(r2.low)}–{number(r2.high)}"
        return (
            Tile("Mean absolute error", quantity(found.mae.value, self.unit), f"RMSE {quantity(found.rmse)}"),
            Tile("Median absolute error", quantity(found.median_absolute_error, self.unit), "half of the errors are smaller"),
            Tile("R²", number(r2.value), r2_note),
            Tile("Bias", quantity(bias.bias, self.unit), f"95 % of errors {quantity(bias.low)} to {quantity(bias.high)}"),
        )

    def _named(self, what: str) -> str:
        """A label of an axis with the unit."""
        return f"{what} ({self.unit})" if self.unit else what

    def _agreement(self, model: Judged) -> Scatter:
        truth, value = floats(model.rows["target"]), floats(model.rows[PREDICTED])
        alt = f"Values predicted by {model.name} against the true ones"
        return Scatter(
            f"{self.target} by {model.name}", alt, self._named("true value"), self._named("predicted value"), truth, value
        )

    def _calibration(self, models: Sequence[Judged]) -> Curves:
        """Mean true against mean predicted value in 10 bins of equal counts."""
        curves = [
            (model.name, calibration_curve(floats(model.rows["target"]), floats(model.rows[PREDICTED]))) for model in models
        ]
        lines = tuple(Line(name, curve.predicted, curve.observed, points=True) for name, curve in curves)
        alt = f"Mean true against mean predicted value of {', '.join(line.label for line in lines)}"
        x, y = self._named("mean predicted value"), self._named("mean true value")
        return Curves("Calibration", alt, x, y, lines, legend_at="upper left", limits=None, square=True)

    def _differences(self, model: Judged) -> Scatter:
        """Differences against means, with bias and limits of agreement (Bland & Altman 1986)."""
        truth, value = floats(model.rows["target"]), floats(model.rows[PREDICTED])
        found: Any = model.figures
        agreement = found.agreement
        limits = [] if agreement.low is None else [agreement.low, agreement.high]
        levels = {f"bias {quantity(agreement.bias)}": agreement.bias}
        levels |= {f"95 % limit {quantity(limit)}": limit for limit in limits}
        alt = f"Predicted − true value of {model.name} against their mean; {', '.join(levels)}"
        x, y = self._named("mean of predicted and true value"), self._named("predicted − true value")
        return Scatter(f"Agreement of {model.name}", alt, x, y, (truth + value) / 2, value - truth, levels)

    def _errors(self, model: Judged) -> Histogram:
        errors = floats(model.rows[PREDICTED]) - floats(model.rows["target"])
        alt = f"Histogram of predicted − true value of {model.name}"
        x = self._named("predicted − true value")
        return Histogram(f"Errors of {model.name}", alt, x, (Sample("images", errors),), {"no error": 0.0}, limits=None)
