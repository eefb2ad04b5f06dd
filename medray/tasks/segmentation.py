"""Outlines: which pixels of an image belong to a lesion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field

from medray.data.segmentation import MaskChoice
from medray.errors import LabelError
from medray.evaluation.intervals import Interval, cluster_interval
from medray.evaluation.overlap import Overlap, OverlapMetrics, dice, iou, overlap
from medray.evaluation.overlap import evaluate as overlap_metrics
from medray.evaluation.paired import mean_difference
from medray.imaging.place import restored
from medray.tasks.columns import floats, integers, texts
from medray.tasks.decision import Decision, Figures, Judged, Monitored
from medray.tasks.head import Answer, Head, Monitor, Output
from medray.tasks.page import Cell, Histogram, Page, Plot, Sample, Scatter, Tile
from medray.tasks.task import Task
from medray.tasks.text import interval_text, number
from medray.types import Bool, Float64, Image, Int64

FOUND = "found"
_COUNTS = ("truth_px", "area_px", "both_px")
_NOTE = "95 % bootstrap interval. Dice and IoU: mean over images; an empty answer to an empty mask counts 1."


class SegmentationFigures(OverlapMetrics, Figures):
    """Overlap (see :class:`medray.evaluation.overlap.OverlapMetrics`), and how far areas are off.

    Attributes:
        area_error_px, area_error_mm2: mean absolute difference of the area from the true one; in mm² over the images whose
            spacing is known.
    """

    area_error_px: Interval
    area_error_mm2: Interval


class Segmentation(Task):
    """Which pixels belong to a lesion. An answer is a mask on the pixels of the decoded image, and its area."""

    kind: Literal["segmentation"] = "segmentation"
    target: str = Field("mask", description="label column with the masks (DICOM SEG or PNG: a URI, or a path beside the table)")
    masks: Literal["labels", "archive"] = Field(
        "labels", description="labels: the target column names them; archive: SEGs of the catalog that refer to the images"
    )
    without_mask: Literal["left_out", "empty"] = Field(
        "left_out", description="an image without a mask is left out, or has nothing to outline"
    )
    segment: int | None = Field(None, ge=0, description="number of the one segment to learn; default: all of them")
    level: float | None = Field(None, gt=0, le=1, description="share of the maximum from which a fractional mask marks a pixel")
    cut: float = Field(0.5, gt=0, lt=1, description="probability from which a pixel is marked")
    least_px: int = Field(1, ge=1, description="marked pixels from which something is found in an image")
    masked: ClassVar[bool] = True
    asks: ClassVar[tuple[str, ...]] = ("segment",)

    @property
    def labelled(self) -> bool:
        """Masks that lie in the archive need no labels."""
        return self.masks == "labels"

    @property
    def title(self) -> str:
        """``outlines``."""
        return "outlines"

    @property
    def mask_choice(self) -> MaskChoice:
        """Segment and level."""
        return MaskChoice(self.segment, self.level)

    @property
    def head(self) -> Head:
        """One map."""
        return Head("map", 1)

    @property
    def monitor(self) -> Monitor:
        """The mean Dice coefficient."""
        return Monitor("dice", 1, "logloss")

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The column of masks; none where they lie in the archive."""
        return (self.target,) if self.labelled else ()

    def targets(self, labels: Mapping[str, pa.ChunkedArray]) -> pa.Array:
        """The URI of the mask; "" for an empty one."""
        column = labels[self.target]
        none = pa.scalar(None if self.without_mask == "left_out" else "", pa.string())
        return pc.if_else(pc.equal(column, ""), none, column)

    def strata(self, targets: pa.ChunkedArray) -> Int64:
        """Whether there is a mask."""
        return integers(pc.cast(pc.not_equal(targets, ""), pa.int64()))

    def require(self, targets: pa.ChunkedArray, split: str = "", found: str = "") -> None:
        """A mask; raises LabelError LABELS_NO_MASK."""
        if pc.any(pc.not_equal(targets, "")).as_py():
            return
        where = f"the {split} split" if split else f"the {len(targets)} images"
        raise LabelError("LABELS_NO_MASK", f"no image of {where} has a mask", "name masks in the labels, or draw more")

    def classes_of(self, targets: pa.ChunkedArray) -> dict[str, Bool]:
        """Images with a mask, and those without where they take part."""
        masked = self.strata(targets) == 1
        return {"outlined": masked, **({"not outlined": ~masked} if self.without_mask == "empty" else {})}

    def truth(self, targets: pa.ChunkedArray) -> NDArray[Any]:
        """Not from labels: prepared samples hold the masks."""
        raise NotImplementedError

    def fields(self, judged: bool = False) -> list[pa.Field]:
        """``area_px``; ``area_mm2``, null where the spacing is unknown; ``area_share`` of the valid pixels; ``mask_png``.

        Judged: ``truth_px``, ``truth_mm2``, ``both_px`` (pixels in both masks), ``dice``, ``iou``, ``truth_png``.
        """
        answer = {"area_px": pa.int64(), "area_mm2": pa.float64(), "area_share": pa.float64(), "mask_png": pa.binary()}
        truth = {"truth_px": pa.int64(), "truth_mm2": pa.float64(), "both_px": pa.int64()}
        truth |= {"dice": pa.float64(), "iou": pa.float64(), "truth_png": pa.binary()}
        return [pa.field(name, kind) for name, kind in (answer | (truth if judged else {})).items()]

    def answer(self, output: Output, prepared: Image, image: Image, judged: bool = False) -> Answer:
        """The mask on the pixels of the image as it was decoded: PNG of that size, 0 or 255."""
        rows, columns = image.pixels.shape[-2:]
        marked = restored(output["probability"][0], prepared, (rows, columns)) >= self.cut
        valid = np.ones_like(marked) if image.valid is None else image.valid
        marked &= valid
        area = int(marked.sum())
        share = area / max(int(valid.sum()), 1)
        found = {"area_px": area, "area_mm2": _mm2(area, image), "area_share": share, "mask_png": encoded(marked)}
        if not judged:
            return found
        truth = np.zeros_like(marked) if image.mask is None else image.mask & valid
        counts = overlap(truth, marked)
        return {
            **found,
            "truth_px": counts.truth,
            "truth_mm2": _mm2(counts.truth, image),
            "both_px": counts.both,
            "dice": float(dice([counts])[0]),
            "iou": float(iou([counts])[0]),
            "truth_png": encoded(truth),
        }

    def decided(self, rows: pa.Table, decision: Decision) -> pa.Table:
        """With ``found``: whether enough pixels are marked."""
        return rows.append_column(FOUND, pc.greater_equal(rows["area_px"], self.least_px))

    @property
    def decision_columns(self) -> tuple[str, ...]:
        """``found``."""
        return (FOUND,)

    def urgency(self, rows: pa.Table) -> Float64:
        """The marked share of the image, which compares images of known and of unknown spacing."""
        return floats(rows["area_share"])

    def scores(self, truth: NDArray[Any], output: Output) -> dict[str, float]:
        """``logloss`` of the pixels, mean ``dice`` and ``iou``, all on the preprocessed pixels."""
        return self.scores_of([(truth, output)])

    def scores_of(self, parts: Iterable[tuple[NDArray[Any], Output]]) -> dict[str, float]:
        """The same of a split in parts, of which only three numbers an image are kept."""
        counts, losses = list[Overlap](), list[float]()
        for truth, output in parts:
            probability = output["probability"]
            counts += [overlap(one, answer) for one, answer in zip(truth, probability >= self.cut, strict=True)]
            likelihood = np.where(truth, probability, 1 - probability).clip(1e-7, 1)
            losses += [-np.log(one).mean(dtype=np.float64) for one in likelihood]
        if not counts:
            return dict.fromkeys(("logloss", "dice", "iou"), float("nan"))
        return {"logloss": float(np.mean(losses)), "dice": float(dice(counts).mean()), "iou": float(iou(counts).mean())}

    def evaluate(self, rows: pa.Table, decision: Decision, seed: int = 0) -> SegmentationFigures:
        """Overlap and areas on the pixels of the decoded images."""
        found = overlap_metrics(_counts(rows), texts(rows["group"]), seed, self.least_px)
        mean = found.dice
        return SegmentationFigures(
            **dict(found),
            monitor=Monitored(figure="dice", sign=1, value=mean.value, low=mean.low, high=mean.high),
            area_error_px=_area_error(rows, "px", seed),
            area_error_mm2=_area_error(rows, "mm2", seed),
        )

    def gain(self, new: pa.Table, old: pa.Table, seed: int = 0) -> Interval:
        """Of the mean Dice coefficient."""
        return mean_difference(floats(new["dice"]), floats(old["dice"]), texts(new["group"]), seed)

    def cells(self, figures: Any) -> list[Cell]:
        """Dice first, then of lesions, then what is found."""
        found: SegmentationFigures = figures
        share = found.found / found.lesions if found.lesions else None
        return [
            Cell("Dice [95 %]", interval_text(found.dice), found.dice.value, 1),
            Cell("IoU", number(found.iou.value), found.iou.value, 1),
            Cell("Dice of lesions", number(found.lesion_dice.value), found.lesion_dice.value, 1),
            Cell("Lesions found", f"{found.found} of {found.lesions}", share, 1),
            Cell("False alarms", f"{found.false_alarms} of {found.n - found.lesions}", found.false_alarms, -1),
            Cell("Area off by", _area_text(found), found.area_error_px.value, -1),
        ]

    def page(self, models: Sequence[Judged], chosen: str, split: str) -> Page:
        """Overlap and areas of the chosen model."""
        best = next((model for model in models if model.name == chosen), None)
        if best is None:
            return Page(f"{len(models)} models were compared; none is chosen.", _NOTE)
        figures: Any = best.figures
        return Page(self._summary(best, split), _NOTE, self._tiles(figures), (_dice_histogram(best), _areas(best)))

    def caption(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """The area, and its overlap with the truth."""
        millimetres, pixels = row["area_mm2"], row["area_px"]
        answer = "nothing" if not pixels else f"{pixels} px" if millimetres is None else f"{millimetres:.0f} mm²"
        if row.get("dice") is None:
            return answer, ""
        return answer, f"Dice {row['dice']:.2f}" if row["truth_px"] else "nothing to outline"

    def urgent(self, row: Mapping[str, Any]) -> bool:
        """Whether something is found."""
        return bool(row[FOUND])

    def outlined(self, row: Mapping[str, Any]) -> tuple[Bool, ...]:
        """The mask of the answer, and the true one where it is known."""
        return tuple(decoded(row[name]) for name in ("mask_png", "truth_png") if row.get(name))

    def _summary(self, model: Judged, split: str) -> str:
        found: Any = model.figures
        return (
            f"{model.name} outlines {found.n} {split} images with a mean Dice coefficient of {interval_text(found.dice)}. "
            f"It marks something of {found.found} of {found.lesions} lesions, "
            f"and something in {found.false_alarms} of {found.n - found.lesions} images without one."
        )

    def _tiles(self, found: Any) -> tuple[Tile, ...]:
        return (
            Tile("Dice", number(found.dice.value), f"95 % interval {number(found.dice.low)}–{number(found.dice.high)}"),
            Tile("IoU", number(found.iou.value), f"95 % interval {number(found.iou.low)}–{number(found.iou.high)}"),
            Tile(
                "Lesions found", f"{found.found} of {found.lesions}", f"{number(found.sensitivity.value)} of a lesion on average"
            ),
            Tile("Area off by", _area_text(found), "mean absolute difference"),
        )


def encoded(mask: Bool) -> bytes:
    """A mask as an 8-bit PNG, 0 or 255."""
    _, data = cv2.imencode(".png", mask.astype(np.uint8) * np.uint8(255))
    return data.tobytes()


def decoded(png: bytes) -> Bool:
    """The mask of :func:`encoded`, bool (rows, columns)."""
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8) > 0


def _mm2(pixels: int, image: Image) -> float | None:
    spacing = image.header.spacing_mm
    return None if spacing is None else pixels * spacing[0] * spacing[1]


def _counts(rows: pa.Table) -> Int64:
    return np.stack([integers(rows[name]) for name in _COUNTS], axis=1)


def _area_error(rows: pa.Table, unit: str, seed: int) -> Interval:
    known = rows.filter(pc.is_valid(rows[f"area_{unit}"]))
    off = np.abs(floats(known[f"area_{unit}"]) - floats(known[f"truth_{unit}"]))
    return cluster_interval(off, texts(known["group"]), seed=seed)


def _area_text(found: SegmentationFigures) -> str:
    if found.area_error_mm2.value is not None:
        return f"{found.area_error_mm2.value:.0f} mm²"
    return f"{number(found.area_error_px.value, 0)} px"


def _dice_histogram(model: Judged) -> Plot:
    """Dice of each image, of images with a lesion and without."""
    values, lesion = floats(model.rows["dice"]), integers(model.rows["truth_px"]) > 0
    samples = Sample("lesion", values[lesion]), Sample("no lesion", values[~lesion], alarm=True)
    shown = tuple(sample for sample in samples if len(sample.values))
    mean, alt = float(values.mean()), f"Histogram of the Dice coefficients of {len(values)} images"
    return Histogram(f"Overlap of {model.name}", alt, "Dice coefficient", shown, {f"mean {mean:.3f}": mean})


def _areas(model: Judged) -> Plot:
    """True and outlined areas, in mm² where every spacing is known."""
    unit, shown = ("px", "pixels") if model.rows["area_mm2"].null_count else ("mm2", "mm²")
    truth, answer = floats(model.rows[f"truth_{unit}"]), floats(model.rows[f"area_{unit}"])
    alt = f"Outlined against true areas of {len(truth)} images"
    return Scatter(f"Areas by {model.name}", alt, f"true area, {shown}", f"outlined area, {shown}", truth, answer)
