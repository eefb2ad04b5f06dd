"""What ``medray train`` and ``medray tune`` are told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from medray.bundles.input_spec import InputSpec
from medray.data.splits import SplitSpec
from medray.distributed.session import ClusterSpec
from medray.distributed.tune import TuneSpec
from medray.evaluation.thresholds import ThresholdPolicy
from medray.explain import explain
from medray.models.abilities import Sized
from medray.models.table import FAMILIES
from medray.runs.promotion import PromoteSpec
from medray.runs.resources import Resources
from medray.spec import Spec
from medray.tasks.classes import Others, Value
from medray.tasks.table import AnyTask
from medray.tasks.task import Task
from medray.work.cache import CacheSpec
from medray.work.fit import Scaling

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
"""Names of runs and models, which become folders."""

_SHORT = ("target", "positive", "negative", "others")
"""Settings of ``labels`` that stand for those of a task of two classes."""


class LabelSpec(Spec):
    """How labelled images are divided; and, in short, a task of two classes."""

    target: str | None = Field(None, description="short for `task: {kind: binary, target: …}`: the label column to learn")
    positive: str | None = Field(
        None, coerce_numbers_to_str=True, description="short for the task's `positive`: the value that makes a positive"
    )
    negative: tuple[Value, ...] | None = Field(
        None, description="short for the task's `negative`: the values that make a negative"
    )
    others: Others | None = Field(None, description="short for the task's `others`: what every other value is")
    split: SplitSpec = SplitSpec()
    keep: tuple[str, ...] = Field((), description="further columns of the labels, which stand beside the run's samples")


class ModelSpec(Spec):
    """One model of a training run."""

    family: str
    input: str = Field(description="name of an entry of `inputs`")
    params: dict[str, Any] = Field(default_factory=dict)
    scaling: Scaling = Scaling()

    @model_validator(mode="after")
    def _known(self) -> ModelSpec:
        if self.family not in FAMILIES:
            raise ValueError(f"there is no model family {self.family!r}; use one of {', '.join(FAMILIES)}")
        kind = FAMILIES[self.family].params
        try:
            kind.model_validate(self.params)
        except ValidationError as error:
            raise ValueError(explain(error, kind, "params.")) from error
        return self

    def check(self, name: str, given: InputSpec, task: Task) -> None:
        """Raise ValueError unless the family takes this input and learns this task."""
        family, head = FAMILIES[self.family], task.head.kind
        where = f"models.{name} ({self.family})"
        if given.kind not in family.inputs:
            raise ValueError(f"{where} takes a {' or '.join(sorted(family.inputs))}, inputs.{self.input} gives a {given.kind}")
        if head not in family.heads:
            fitting = ", ".join(key for key, other in FAMILIES.items() if head in other.heads)
            raise ValueError(f"{where} does not learn the task {task.kind}; use one of {fitting}")
        if given.kind == "image":
            self._check_shape(name, given.preprocess.output_shape)

    def _check_shape(self, name: str, shape: tuple[int, ...] | None) -> None:
        if shape is None:
            raise ValueError(f"inputs.{self.input} must end in a fixed size (add a resize or pad step) for models.{name}")
        params = FAMILIES[self.family].params.model_validate(self.params)
        if isinstance(params, Sized) and not params.takes(shape):
            size = " x ".join(map(str, shape[-2:]))
            multiples = f"multiples of {params.side_multiple} from {2 * params.side_multiple} on"
            raise ValueError(f"inputs.{self.input} gives {size} pixels, models.{name} takes {multiples}: resize or pad to such")


class TrainConfig(Spec):
    """``medray train`` and ``medray tune``."""

    output: str = Field(description="root of everything a run makes")
    catalog: str = Field(description="where `medray ingest` wrote")
    name: str = Field("model", pattern=NAME)
    seed: int = Field(0, ge=0, le=2**31 - 1)
    task: AnyTask = Field(description="what is learnt")
    labels: LabelSpec = LabelSpec()
    inputs: dict[str, InputSpec] = Field(min_length=1)
    models: dict[str, ModelSpec] = Field(min_length=1)
    folds: int = Field(
        0,
        ge=0,
        le=50,
        description="0: train on one split, decide on the other; from 2 on: fit each model once a fold of the patients of both, "
        "and decide on what the fits say of those left out. A column fold of the labels gives the folds themselves",
    )
    repeats: int = Field(1, ge=1, le=50, description="how often the folds are drawn anew; answers are the mean of the repeats")
    publish: Literal["mean", "refit"] = Field(
        "mean", description="of models fitted in folds: the mean of their answers, or one model fitted to all of the images"
    )
    threshold: ThresholdPolicy = ThresholdPolicy()
    cluster: ClusterSpec = ClusterSpec()
    resources: Resources = Resources()
    cache: CacheSpec = CacheSpec()
    tune: TuneSpec = TuneSpec()
    promote: PromoteSpec = PromoteSpec()

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, raw: Any) -> Any:
        """``labels: {target: …, positive: …, …}`` becomes ``task: {kind: binary, target: …, positive: …, …}``."""
        labels = raw.get("labels") if isinstance(raw, Mapping) else None
        if not isinstance(labels, Mapping):
            return raw
        given = {name: labels[name] for name in _SHORT if labels.get(name) is not None}
        if not given:
            return raw
        if "task" in raw:
            first = next(iter(given))
            raise ValueError(f"labels.{first}: the task says what is learnt: set task.{first}")
        if "target" not in given:
            raise ValueError(f"labels.target is missing: the column that labels.{next(iter(given))} is a value of")
        rest = {name: value for name, value in labels.items() if name not in given}
        return {**raw, "labels": rest, "task": {"kind": "binary", **given}}

    @model_validator(mode="after")
    def _fits(self) -> TrainConfig:
        for name, model in self.models.items():
            if not re.fullmatch(NAME, name):
                raise ValueError(f"models.{name}: a name has letters, digits, _ and -, at most 64")
            if model.input not in self.inputs:
                raise ValueError(f"models.{name}.input is {model.input!r}, but inputs has {', '.join(self.inputs)}")
            model.check(name, self.inputs[model.input], self.task)
        self._check_folds()
        if not self.task.decides and "threshold" in self.model_fields_set:
            raise ValueError(f"threshold: the task {self.task.kind} takes none; remove it")
        return self

    def _check_folds(self) -> None:
        if self.folds == 1:
            raise ValueError("folds: 1 leaves nothing to learn from; give at least 2, or 0 for one split")
        if not self.folds:
            if self.repeats > 1 or self.publish == "refit":
                raise ValueError("repeats and publish are of models that are fitted in folds; set folds, too")
            return
        if self.task.head.kind == "map" and (self.publish == "mean" or self.repeats > 1):
            raise ValueError(f"publish: answers of a {self.task.kind} have no mean; set publish to refit, and repeats to 1")
