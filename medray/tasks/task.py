"""The contract of a task: what is learnt, what an answer is, and when it is right.

A task is a part of the configuration and of every bundle. Families learn a :class:`Head` and know nothing of tasks; runs, tune,
screening, the endpoint and the report go by what a task says here. One file of this package is one task, listed in ``table.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from medray.data.segmentation import ALL, MaskChoice
from medray.errors import ConfigError
from medray.evaluation.intervals import Interval
from medray.evaluation.recalibration import Calibration
from medray.evaluation.thresholds import ThresholdPolicy
from medray.spec import Spec, canonical_json
from medray.tasks.decision import Decision, Figures, Judged
from medray.tasks.head import Answer, Head, Monitor, Output
from medray.tasks.page import Cell, Page
from medray.types import Bool, Float64, Image, Int64


class Task(Spec, ABC):
    """Base of every task. A subclass sets ``kind`` to a literal of its own and fills in the rest."""

    kind: str
    target: str = Field(description="label column to learn")

    masked: ClassVar[bool] = False
    """Whether the target is a mask: the prepared samples hold it, and held-out images are judged against it."""

    decides: ClassVar[bool] = False
    """Whether a threshold policy applies."""

    asks: ClassVar[tuple[str, ...]] = ()
    """Further fields without which the answers of two models do not mean the same."""

    @property
    @abstractmethod
    def head(self) -> Head:
        """What a model has to give."""
        ...

    @property
    @abstractmethod
    def monitor(self) -> Monitor:
        """What fits, sweeps and the registry go by."""
        ...

    @property
    def question(self) -> str:
        """What is asked, as one text: models with the same one may take each other's place."""
        values = self.model_dump(mode="json", include=set(self.asks))
        return " ".join([self.kind, *filter(None, [self.target]), *(f"{key}={canonical_json(values[key])}" for key in self.asks)])

    @property
    def labelled(self) -> bool:
        """Whether only images with a label take part."""
        return True

    @property
    def mask_choice(self) -> MaskChoice:
        """What of the masks counts, where :attr:`masked`."""
        return ALL

    @property
    def title(self) -> str:
        """What is learnt, for headings."""
        return self.target

    @property
    def positive_value(self) -> str:
        """The label of a positive, "" for tasks without one."""
        return ""

    # ---- labels

    @property
    def label_columns(self) -> tuple[str, ...]:
        """Columns of the label table that the target is read from. Masks that no column names lie in the archive."""
        return (self.target,)

    @abstractmethod
    def targets(self, labels: Mapping[str, pa.ChunkedArray]) -> pa.Array:
        """The target of each label row; null where there is none.

        ``labels`` holds the :attr:`label_columns` as text without blanks around it, "" for empty; where :attr:`masked`, the
        ``target`` with the URIs of masks. Raises LabelError on a value that cannot be a target.
        """
        ...

    @abstractmethod
    def strata(self, targets: pa.ChunkedArray) -> Int64:
        """The stratum of each target, int64 (n,): drawn splits hold each in equal shares."""
        ...

    @abstractmethod
    def require(self, targets: pa.ChunkedArray, split: str = "", found: str = "") -> None:
        """Check that the images of a split ("" for all that take part) can be learnt from or judged.

        Args:
            found: some of the label texts, for the message.

        Raises:
            LabelError: LABELS_SINGLE_CLASS, LABELS_TOO_FEW, …
        """
        ...

    def classes_of(self, targets: pa.ChunkedArray) -> dict[str, Bool]:
        """Name of each class → which of the targets have it, bool (n,); nothing where there are no classes."""
        return {}

    def comparable(self, targets: pa.ChunkedArray) -> bool:
        """Whether the monitored figure is defined on images with these targets."""
        return True

    @abstractmethod
    def truth(self, targets: pa.ChunkedArray) -> NDArray[Any]:
        """Targets as the head takes them; not called where :attr:`masked`."""
        ...

    def learnt_from(self, targets: pa.ChunkedArray) -> Bool:
        """Which images of the training split a model is fitted on, bool (n,)."""
        return np.ones(len(targets), dtype=np.bool_)

    # ---- answers

    @abstractmethod
    def fields(self, judged: bool = False) -> list[pa.Field]:
        """Columns of the answer in a result table; with ``judged``, those of the comparison with the image's mask as well."""
        ...

    @abstractmethod
    def answer(self, output: Output, prepared: Image, image: Image, judged: bool = False) -> Answer:
        """The answer for one image.

        Args:
            output: the model's arrays without the axis of images.
            prepared, image: after and before preprocessing; with ``judged``, the image's mask is the truth.
        """
        ...

    def table(self, answers: Sequence[Answer | None], judged: bool = False) -> pa.Table:
        """Answers as columns; null where there is none."""
        fields = self.fields(judged)
        columns = [pa.array([answer and answer[one.name] for answer in answers], one.type) for one in fields]
        return pa.Table.from_arrays(columns, schema=pa.schema(fields))

    def outputs(self, rows: pa.Table) -> Output:
        """The arrays of the head that answers were made of.

        Raises:
            ConfigError: TASK_NO_OUTPUTS where answers do not tell them, as those of maps.
        """
        message = f"answers of the task {self.kind} do not tell the arrays that they were made of"
        raise ConfigError("TASK_NO_OUTPUTS", message, "such models cannot be stacked")

    # ---- decisions

    def calibration(self, rows: pa.Table) -> Calibration | None:
        """A map fitted to answers out of fold (``target`` and the answer's columns); None where they are no probabilities."""
        return None

    def recalibrated(self, rows: pa.Table, calibration: Calibration) -> pa.Table:
        """The rows with the probabilities of their answers mapped."""
        columns = self.columns_of({"probability": calibration.apply(self.outputs(rows)["probability"])})
        for name, values in columns.items():
            rows = rows.set_column(rows.column_names.index(name), name, pa.array(values))
        return rows

    def columns_of(self, output: Output) -> Mapping[str, Float64]:
        """The answer's columns, of the arrays of many images; the inverse of :meth:`outputs`. Raises as that does."""
        message = f"answers of the task {self.kind} are not made of arrays alone"
        raise ConfigError("TASK_NO_OUTPUTS", message, "they cannot be calibrated")

    def decision(self, rows: pa.Table, policy: ThresholdPolicy, where: str = "validation") -> Decision:
        """Choose how to decide, on images that the model has not seen (``target`` and the answer's columns).

        Args:
            where: what these images are, for the reason: ``validation``, ``out-of-fold``.

        Raises:
            ModelError: THRESHOLD_ONE_CLASS, THRESHOLD_UNREACHABLE.
        """
        return Decision()

    def decided(self, rows: pa.Table, decision: Decision) -> pa.Table:
        """The rows with the columns of the decision added; null where there is no answer."""
        return rows

    @property
    def answer_columns(self) -> tuple[str, ...]:
        """Names of the columns of an answer and its decision, in order."""
        return (*(field.name for field in self.fields()), *self.decision_columns)

    @property
    def decision_columns(self) -> tuple[str, ...]:
        """Names of the columns that :meth:`decided` adds."""
        return ()

    @abstractmethod
    def urgency(self, rows: pa.Table) -> Float64:
        """What a worklist is sorted by, float64 (n,): higher first; NaN where there is no answer."""
        ...

    # ---- figures

    @abstractmethod
    def scores(self, truth: NDArray[Any], output: Output) -> dict[str, float]:
        """Quick figures of a validation split while a model is fitted, the monitored one among them; NaN where undefined."""
        ...

    def scores_of(self, parts: Iterable[tuple[NDArray[Any], Output]]) -> dict[str, float]:
        """The same of a split that comes in parts (truth, output), at least one, which may be empty."""
        truths, outputs = zip(*parts, strict=True)
        whole = {name: np.concatenate([output[name] for output in outputs]) for name in outputs[0]}
        return self.scores(np.concatenate(truths), whole)

    @abstractmethod
    def evaluate(self, rows: pa.Table, decision: Decision, seed: int = 0) -> Figures:
        """All figures of held-out images.

        Args:
            rows: ``target``, ``group`` (patient) and the answer's columns (judged).
            decision: of the model.
            seed: of the intervals.
        """
        ...

    @abstractmethod
    def gain(self, new: pa.Table, old: pa.Table, seed: int = 0) -> Interval:
        """By how much the monitored figure is better, by paired draws; of the same images in order."""
        ...

    def skill(self, figures: Any) -> dict[str, float | None]:
        """Youden's J of each decision, None where undefined; nothing where no threshold decides."""
        return {}

    # ---- what people see

    @abstractmethod
    def cells(self, figures: Any) -> list[Cell]:
        """The figures of one model as a row of a table, the monitored one first."""
        ...

    @abstractmethod
    def page(self, models: Sequence[Judged], chosen: str, split: str) -> Page:
        """The sections of a report.

        Args:
            models: on the same images.
            chosen: name of the best one.
            split: "test" or "validation".
        """
        ...

    @abstractmethod
    def caption(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """(answer, truth) of one row in a few words; the truth is "" where it is not known."""
        ...

    def urgent(self, row: Mapping[str, Any]) -> bool:
        """Whether a decided row wants attention."""
        return False

    def outlined(self, row: Mapping[str, Any]) -> tuple[Bool, ...]:
        """What an answer marks on the decoded image, bool (rows, columns), then what is truly marked where that is known."""
        return ()
