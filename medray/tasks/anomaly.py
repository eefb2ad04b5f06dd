"""Anomalies: images unlike those that were learnt from, with labels only to judge by, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field, model_validator

from medray.errors import LabelError
from medray.evaluation.curves import auroc
from medray.evaluation.intervals import Interval
from medray.evaluation.novelty import NoveltyMetrics
from medray.evaluation.novelty import evaluate as metrics_of
from medray.evaluation.paired import auroc_difference
from medray.evaluation.thresholds import Threshold, ThresholdPolicy, choose_threshold
from medray.tasks.classes import Value, check_stated, class_numbers, opposites
from medray.tasks.columns import floats, integers, texts
from medray.tasks.decision import Decision, Figures, Judged, Monitored
from medray.tasks.head import Answer, Head, Monitor, Output
from medray.tasks.page import Cell, Histogram, Line, Page, Sample, Tile
from medray.tasks.plots import roc_line, roc_plot
from medray.tasks.task import Task
from medray.tasks.text import interval_text, number
from medray.types import Bool, Float64, Image, Int64

SCORE, ANOMALOUS = "score", "anomalous"
_UNKNOWN = -1
_HINT = "list the others in task.anomalous, or set task.others: anomalous, which makes every other value one"
_NOTE = "95 % bootstrap interval, of labelled images. Sensitivity, specificity and accuracy at each model’s own threshold."


class AnomalyFigures(NoveltyMetrics, Figures):
    """The figures of merit at the threshold (see :class:`medray.evaluation.novelty.NoveltyMetrics`)."""


class Anomaly(Task):
    """How unusual an image is. Images without a label take part; an answer is a score, no probability."""

    kind: Literal["anomaly"] = "anomaly"
    target: str = Field("", description="label column to judge by; empty for none")
    normal: tuple[Value, ...] = Field(("normal", "0"), min_length=1, description="values of the target that are normal")
    anomalous: tuple[Value, ...] = Field(
        (), description="values that are not; default: the opposites of the normal ones, as 1 of 0 and abnormal of normal"
    )
    others: Literal["refused", "anomalous"] = Field("refused", description="what every other value is")
    train_on: Literal["all", "normal"] = Field(
        "all", description="images that are learnt from: all of the training split, or those with a normal label"
    )
    contamination: float = Field(
        0.05, gt=0, lt=1, description="share of the validation images above the threshold, where no labels choose it"
    )

    labelled: ClassVar[bool] = False
    decides: ClassVar[bool] = True
    asks: ClassVar[tuple[str, ...]] = ("normal",)

    @model_validator(mode="after")
    def _values_are_told(self) -> Self:
        if self.train_on == "normal" and not self.target:
            raise ValueError("train_on: normal needs a target, whose values tell which images are normal")
        check_stated(self.normal, self.anomalous)
        return self

    @property
    def head(self) -> Head:
        """Novelty."""
        return Head("novelty")

    @property
    def monitor(self) -> Monitor:
        """The AUROC of the labelled images."""
        return Monitor("auroc", 1, "mean_score")

    @property
    def title(self) -> str:
        """``anomalies``, and by which column they are judged."""
        return f"anomalies by {self.target}" if self.target else "anomalies"

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The target, where there is one."""
        return (self.target,) if self.target else ()

    def targets(self, labels: Mapping[str, pa.ChunkedArray]) -> pa.Array:
        """1 for an anomalous image, 0 for a normal one (int64); an empty text is no label.

        Raises LabelError LABELS_UNKNOWN_CLASS, LABELS_MIXED.
        """
        if not self.target:
            return pa.array([], pa.int64())
        classes = (self.normal, self.anomalous or opposites(self.normal))
        return class_numbers(labels[self.target], self.target, classes, _HINT, 1 if self.others == "anomalous" else None)

    def strata(self, targets: pa.ChunkedArray) -> Int64:
        """The class, -1 where it is unknown."""
        return integers(pc.fill_null(targets, _UNKNOWN))

    def require(self, targets: pa.ChunkedArray, split: str = "", found: str = "") -> None:
        """Some images, and normal ones where labels tell; raises LabelError LABELS_TOO_FEW, LABELS_NO_NORMAL."""
        normal = len(targets) - targets.null_count - int(pc.sum(targets).as_py() or 0)
        if not len(targets):
            where = f"the {split} split holds no image" if split else "there is no image"
            raise LabelError("LABELS_TOO_FEW", where, "ingest more patients")
        if split != "val" and not normal and (self.train_on == "normal" or targets.null_count < len(targets)):
            where = f" of the {split} split" if split else ""
            values = " or ".join(map(repr, self.normal))
            seen = f"{self.target} is {found}; " if found else ""
            message = f"no labelled image{where} is normal ({seen}normal is {values})"
            raise LabelError("LABELS_NO_NORMAL", message, "set task.normal, or label normal images")

    def comparable(self, targets: pa.ChunkedArray) -> bool:
        """Whether there are labels of both kinds."""
        return bool(pc.count_distinct(targets).as_py() == 2)

    def classes_of(self, targets: pa.ChunkedArray) -> dict[str, Bool]:
        """Images that are known to be normal, and anomalous ones; nothing where no label tells."""
        known = floats(targets)
        return {} if np.isnan(known).all() else {"normal": known == 0, "anomalous": known == 1}

    def truth(self, targets: pa.ChunkedArray) -> NDArray[Any]:
        """float64 (n,): 0 or 1, NaN where unknown."""
        return floats(targets)

    def learnt_from(self, targets: pa.ChunkedArray) -> Bool:
        """All images, or those with a normal label."""
        return np.ones(len(targets), np.bool_) if self.train_on == "all" else self.strata(targets) == 0

    def fields(self, judged: bool = False) -> list[pa.Field]:
        """``score``, higher is more unusual."""
        return [pa.field(SCORE, pa.float64())]

    def answer(self, output: Output, prepared: Image, image: Image, judged: bool = False) -> Answer:
        """The score."""
        return {SCORE: float(output["score"])}

    def columns_of(self, output: Output) -> Mapping[str, Float64]:
        """``score``."""
        return {SCORE: output["score"]}

    def outputs(self, rows: pa.Table) -> Output:
        """``score``."""
        return {"score": floats(rows[SCORE])}

    def decision(self, rows: pa.Table, policy: ThresholdPolicy, where: str = "validation") -> Decision:
        """The threshold by the policy where labels of both kinds allow it, else the one that the contamination asks for."""
        scores, known = floats(rows[SCORE]), rows.filter(pc.is_valid(rows["target"]))
        if self.comparable(rows["target"]):
            threshold = choose_threshold(integers(known["target"]), floats(known[SCORE]), policy, where)
        elif policy.kind == "fixed":
            threshold = choose_threshold(np.zeros(len(scores)), scores, policy, where)
        else:
            value = _at_most(scores, self.contamination)
            share = 100 * float(np.mean(scores >= value))
            reason = f"flags {share:.3g} % of {len(scores)} {where} images, since their labels are not of both kinds"
            threshold = Threshold(value=value, reason=reason)
        return Decision(thresholds={ANOMALOUS: threshold})

    def decided(self, rows: pa.Table, decision: Decision) -> pa.Table:
        """With ``anomalous``: whether the score reaches the threshold."""
        return rows.append_column(ANOMALOUS, pc.greater_equal(rows[SCORE], decision.threshold(ANOMALOUS)))

    @property
    def decision_columns(self) -> tuple[str, ...]:
        """``anomalous``."""
        return (ANOMALOUS,)

    def urgency(self, rows: pa.Table) -> Float64:
        """The score."""
        return floats(rows[SCORE])

    def scores(self, truth: NDArray[Any], output: Output) -> dict[str, float]:
        """``auroc`` of the labelled images, NaN unless they are of both kinds, and ``mean_score`` of all."""
        score, known = output["score"], ~np.isnan(truth)
        area = auroc(truth[known], score[known]) if known.any() else None
        return {
            "auroc": float("nan") if area is None else area,
            "mean_score": float(score.mean()) if len(score) else float("nan"),
        }

    def evaluate(self, rows: pa.Table, decision: Decision, seed: int = 0) -> AnomalyFigures:
        """All figures at the threshold; without labels, how the scores lie."""
        threshold = decision.threshold(ANOMALOUS)
        found = metrics_of(floats(rows["target"]), floats(rows[SCORE]), threshold, groups=texts(rows["group"]), seed=seed)
        return AnomalyFigures(**dict(found), monitor=Monitored(figure="auroc", sign=1, **dict(found.auroc)))

    def gain(self, new: pa.Table, old: pa.Table, seed: int = 0) -> Interval:
        """Of the AUROC of the labelled images."""
        scores = floats(new[SCORE]), floats(old[SCORE])
        return auroc_difference(floats(new["target"]), *scores, groups=texts(new["group"]), seed=seed)

    def skill(self, figures: Any) -> dict[str, float | None]:
        """Of the one decision, on labelled images."""
        return {ANOMALOUS: figures.confusion and figures.confusion.youden_j}

    def cells(self, figures: Any) -> list[Cell]:
        """AUROC first, then what depends on the threshold."""
        shown: tuple[tuple[str, float | None, Literal[1, 0]], ...] = (
            ("AUPRC", figures.auprc, 1),
            ("Sensitivity", figures.sensitivity, 1),
            ("Specificity", figures.specificity, 1),
            ("Accuracy", figures.accuracy, 1),
            ("Flagged", figures.flagged, 0),
        )
        area = Cell("AUROC [95 %]", interval_text(figures.auroc), figures.auroc.value, 1)
        return [area, *(Cell(heading, number(value), value, sign) for heading, value, sign in shown)]

    def page(self, models: Sequence[Judged], chosen: str, split: str) -> Page:
        """ROC of all models where there are labels; the scores of the chosen one."""
        curves = tuple(filter(None, [roc_plot("Receiver operating characteristic", map(_roc, models))]))
        best = next((model for model in models if model.name == chosen), None)
        if best is None:
            return Page(f"{len(models)} models were compared; none is chosen.", _NOTE, plots=curves)
        return Page(_summary(best, split), _NOTE, _tiles(best.figures), (*curves, _histogram(best)))

    def caption(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """The score, and whether the image is anomalous."""
        return f"{row[SCORE]:.2f}", {None: "", 0: "normal", 1: "anomalous"}[row.get("target")]

    def urgent(self, row: Mapping[str, Any]) -> bool:
        """Whether it is anomalous."""
        return bool(row[ANOMALOUS])


def _roc(model: Judged) -> Line | None:
    """The ROC of the labelled images."""
    found: Any = model.figures
    rows = model.rows.filter(pc.is_valid(model.rows["target"]))
    y, score = integers(rows["target"]), floats(rows[SCORE])
    return roc_line(model.name, y, score, found.auroc, found.sensitivity, found.specificity)


def _summary(model: Judged, split: str) -> str:
    found: Any = model.figures
    reason = model.decision.thresholds[ANOMALOUS].reason
    at = f"The threshold of {found.threshold:.3f}, which {reason}, flags {number(found.flagged)} of them"
    if found.auroc.value is None:
        judged = "no labels to judge by" if not found.n else f"labels of one kind alone ({found.n})"
        return f"{model.name} scored {found.n + found.n_unlabelled} {split} images, with {judged}. {at}."
    counts = found.confusion
    return (
        f"{model.name} reaches an AUROC of {interval_text(found.auroc)} on {found.n} labelled {split} images. At the threshold "
        f"of {found.threshold:.3f}, which {reason}, it finds {counts.tp} of {found.positives} anomalous images and clears "
        f"{counts.tn} of {found.n - found.positives} normal ones."
    )


def _tiles(found: Any) -> tuple[Tile, ...]:
    area, counts, spread = found.auroc, found.confusion, found.scores
    shown = [
        Tile("Flagged", number(found.flagged), f"of {found.n + found.n_unlabelled} images at {found.threshold:.3f} or above")
    ]
    if area.value is not None:
        shown = [
            Tile("AUROC", number(area.value), f"95 % interval {number(area.low)}–{number(area.high)}"),
            Tile("Sensitivity", number(found.sensitivity), f"{counts.tp} of {found.positives} found"),
            Tile("Specificity", number(found.specificity), f"{counts.tn} of {found.n - found.positives} cleared"),
            *shown,
        ]
    else:
        shown += [Tile("Median score", number(spread.median), f"90 % of scores {number(spread.low)}–{number(spread.high)}")]
    return tuple(shown)


def _histogram(model: Judged) -> Histogram:
    """The scores of normal, anomalous and unlabelled images; groups without images are left out."""
    found: Any = model.figures
    truth, scores = floats(model.rows["target"]), floats(model.rows[SCORE])
    groups = (
        Sample("normal", scores[truth == 0]),
        Sample("without a label", scores[np.isnan(truth)]),
        Sample("anomalous", scores[truth == 1], alarm=True),
    )
    shown = tuple(sample for sample in groups if len(sample.values))
    alt = f"Histograms of the scores of {', '.join(sample.label for sample in shown)} images by {model.name}"
    marks = {f"threshold {found.threshold:.3f}": found.threshold}
    return Histogram(f"Scores of {model.name}", alt, "score, higher is more unusual", shown, marks, limits=None)


def _at_most(scores: Float64, share: float) -> float:
    """The lowest threshold that at most this share of the scores reaches; one above all where too many scores are equal."""
    values, counts = np.unique(scores, return_counts=True)
    reached = np.cumsum(counts[::-1])[::-1] / len(scores)
    fitting = values[reached <= share]
    return float(fitting[0]) if len(fitting) else float(np.nextafter(values[-1], np.inf))
