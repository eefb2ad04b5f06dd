"""What ``medray train`` and ``medray tune`` are told."""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationError, model_validator

from medray.bundles.input_spec import InputSpec
from medray.data.labels import SplitSpec
from medray.distributed.session import ClusterSpec
from medray.distributed.train import Scaling
from medray.distributed.tune import TuneSpec
from medray.evaluation.thresholds import ThresholdPolicy
from medray.explain import explain
from medray.models.table import FAMILIES
from medray.runs.resources import Resources
from medray.spec import Spec


class LabelSpec(Spec):
    """What is learnt."""

    target: str = Field(description="label column to learn")
    positive: str = Field(
        "1", coerce_numbers_to_str=True, description="value of the target that makes a positive; every other one is negative"
    )
    split: SplitSpec = SplitSpec()


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


class TrainConfig(Spec):
    """``medray train`` and ``medray tune``."""

    output: str = Field(description="root of everything a run makes")
    catalog: str = Field(description="where `medray ingest` wrote")
    name: str = Field("model", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    seed: int = Field(0, ge=0, le=2**31 - 1)
    labels: LabelSpec
    inputs: dict[str, InputSpec] = Field(min_length=1)
    models: dict[str, ModelSpec] = Field(min_length=1)
    threshold: ThresholdPolicy = ThresholdPolicy()
    cluster: ClusterSpec = ClusterSpec()
    resources: Resources = Resources()
    tune: TuneSpec = TuneSpec()

    @model_validator(mode="after")
    def _inputs_fit(self) -> TrainConfig:
        for name, model in self.models.items():
            if model.input not in self.inputs:
                raise ValueError(f"models.{name}.input is {model.input!r}, but inputs has {', '.join(self.inputs)}")
            needed, given = FAMILIES[model.family].input, self.inputs[model.input]
            if needed != given.kind:
                raise ValueError(f"models.{name} ({model.family}) takes a {needed}, inputs.{model.input} gives a {given.kind}")
            if given.kind == "image" and given.preprocess.output_shape is None:
                raise ValueError(f"inputs.{model.input} must end in a fixed size (add a resize or pad step) for models.{name}")
        return self
