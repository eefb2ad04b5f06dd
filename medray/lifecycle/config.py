"""Configuration files: YAML, overrides of the form ``a.b=c``, and one clear line when something is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from medray.bundle import InputSpec
from medray.data import store
from medray.data.correction import Correction, Interpolation
from medray.data.labels import SplitSpec
from medray.distributed.extraction import WithoutMask
from medray.distributed.jobs import Volumes
from medray.distributed.session import ClusterSpec
from medray.distributed.train import Scaling
from medray.distributed.tune import TuneSpec
from medray.embedding import EmbeddingSpec
from medray.errors import ConfigError
from medray.features import table as features
from medray.features.table import FeatureSpec
from medray.imaging.preprocess import PreprocessSpec
from medray.lifecycle.explain import explain
from medray.metrics import ThresholdPolicy
from medray.models.table import FAMILIES
from medray.remedies import FLAGS, REMEDIES
from medray.spec import Spec

S = TypeVar("S", bound=Spec)


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


class Resources(Spec):
    """Actors that fetch, decode and prepare images."""

    actors: int | None = Field(None, ge=1, description="one CPU each; default: every CPU of the cluster")


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


def _date_as_text(value: Any) -> Any:
    """YAML reads 2026-11-23 as a date; as the name of a night it is text."""
    return value.isoformat() if isinstance(value, date) else value


class ScreenConfig(Spec):
    """``medray screen``."""

    output: str = Field(description="root of everything a run makes")
    source: str = Field(description="the archive to screen: a prefix of DICOM objects")
    bundle: str | None = Field(None, description="URI of a bundle; default: the champion of the registry under output")
    night: Annotated[str, BeforeValidator(_date_as_text)] = Field(
        "night", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="name of this run; the same name resumes"
    )
    cluster: ClusterSpec = ClusterSpec()
    resources: Resources = Resources()


class ExtractConfig(Spec):
    """``medray extract``."""

    output: str = Field(description="root of everything a run makes")
    catalog: str = Field(description="where `medray ingest` wrote")
    of: Literal["images", "volumes"] = Field("images", description="what is measured: images, or stacks of series as volumes")
    where: str | None = Field(None, description="SQL condition on the columns of the catalog that chooses among its images")
    allow: tuple[str, ...] = Field((), description="codes of volumes that become flags: VOLUME_GAP, …")
    max_bytes: int = Field(1 << 30, ge=1, le=16 << 30, description="size of a volume: 4 bytes a voxel; larger ones are refused")
    correct: tuple[Correction, ...] = Field((), description="what is corrected in volumes by interpolation: tilt, spacing")
    interpolation: Interpolation = Field("linear", description="of corrected volumes: linear or cubic")
    preprocess: PreprocessSpec = PreprocessSpec()
    features: FeatureSpec = FeatureSpec()
    embeddings: tuple[EmbeddingSpec, ...] = Field((), description="networks whose activations are features as well")
    masks: str | None = Field(
        None, description="CSV or Parquet table with the columns SOPInstanceUID (of volumes: SeriesInstanceUID) and mask"
    )
    segment: int | None = Field(None, ge=0, le=65535, description="segment of the masks that counts; default: all")
    level: float | None = Field(
        None, gt=0, le=1, description="from which fraction on a pixel of a fractional SEG counts; without it, such are refused"
    )
    without_mask: WithoutMask = Field("whole", description="an input without a mask is measured as a whole, or excluded")
    cluster: ClusterSpec = ClusterSpec()
    resources: Resources = Resources()

    @model_validator(mode="after")
    def _names_differ(self) -> ExtractConfig:
        names = [spec.name for spec in self.embeddings]
        if len(set(names)) < len(names):
            raise ValueError("embeddings must differ in their names")
        return self

    @model_validator(mode="after")
    def _settings_fit(self) -> ExtractConfig:
        features.check_range(self.features, self.preprocess.unit_range)
        if unknown := [code for code in self.allow if code not in REMEDIES and code not in FLAGS]:
            raise ValueError(f"allow: there is no code {unknown[0]!r}")
        if self.of == "images":
            if given := self.model_fields_set & {"allow", "correct", "interpolation", "max_bytes"}:
                raise ValueError(f"{min(given)} is of volumes: set of: volumes")
            return self
        if self.embeddings:
            raise ValueError("embeddings are of images: a network takes planes")
        for step in self.preprocess.steps:
            if 3 not in step.dimensions:
                raise ValueError(f"preprocess: {step.op} takes no volumes")
        for params in self.features.families:
            if 3 not in features.FAMILIES[params.family].dimensions:
                raise ValueError(f"features: {params.family} takes no volumes")
        return self

    @property
    def volumes(self) -> Volumes | None:
        """How inputs become volumes, where they are not images."""
        if self.of == "images":
            return None
        return Volumes(self.allow, self.max_bytes, self.correct, self.interpolation)


def load_config(uri: str, kind: type[S], overrides: Sequence[str] = ()) -> S:
    """Read a YAML file, apply the overrides and validate.

    Args:
        uri: path or URI of the file.
        kind: the model to validate against.
        overrides: ``a.b=value`` each, the value in YAML.

    Raises:
        ConfigError: CONFIG_UNREADABLE, CONFIG_OVERRIDE, CONFIG_INVALID.
        StoreError: the file cannot be fetched.
    """
    try:
        raw = yaml.safe_load(store.read(uri))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError("CONFIG_UNREADABLE", f"{uri} is no valid YAML: {error}", "check its indentation and quotes") from error
    if not isinstance(raw, dict):
        raise ConfigError("CONFIG_UNREADABLE", f"{uri} holds no mapping", "a configuration is a YAML mapping")
    return validated(raw, kind, overrides, uri)


def validated(raw: dict[str, Any], kind: type[S], overrides: Sequence[str], source: str) -> S:
    """Plain data with overrides as a model.

    Raises:
        ConfigError: CONFIG_OVERRIDE, CONFIG_INVALID.
    """
    for override in overrides:
        apply_override(raw, override)
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(
            "CONFIG_INVALID", f"{source}: {explain(error, kind)}", "see the configuration reference in the README"
        ) from error


def apply_override(raw: dict[str, Any], override: str) -> None:
    """Set ``a.b.c=value`` in nested mappings (and lists, by index).

    Raises:
        ConfigError: CONFIG_OVERRIDE.
    """
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError("CONFIG_OVERRIDE", f"--set {override!r} is not of the form a.b=value", "for example --set seed=1")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError("CONFIG_OVERRIDE", f"--set {override!r}: the value is no valid YAML", "quote it") from error
    node: Any = raw
    for key in keys[:-1]:
        node = _child(node, key, override)
    _assign(node, keys[-1], value, override)


def _child(node: Any, key: str, override: str) -> Any:
    if isinstance(node, list):
        return node[_index(node, key, override)]
    child = node.setdefault(key, {})
    if child is None:
        child = node[key] = {}
    if not isinstance(child, (dict, list)):
        raise ConfigError("CONFIG_OVERRIDE", f"--set {override!r}: {key} is a value, not a mapping")
    return child


def _assign(node: Any, key: str, value: Any, override: str) -> None:
    if isinstance(node, list):
        node[_index(node, key, override)] = value
    else:
        node[key] = value


def _index(node: list[Any], key: str, override: str) -> int:
    if not key.isdigit() or int(key) >= len(node):
        raise ConfigError("CONFIG_OVERRIDE", f"--set {override!r}: {key} is no index of a list of {len(node)}")
    return int(key)
