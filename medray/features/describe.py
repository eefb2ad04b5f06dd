"""Descriptions of the feature families as plain data, made from their specs and features."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from medray.errors import ConfigError
from medray.features.families import FAMILIES, FamilyParams
from medray.features.family import Feature
from medray.features.table import FeatureSpec
from medray.spec import fields_of

_NUMBER = re.compile(r"\d+(\.\d+)?")


def every_family() -> FeatureSpec:
    """All families with their default parameters."""
    return FeatureSpec.model_validate({"families": [{"family": name} for name in FAMILIES]})


def describe_family(params: FamilyParams) -> dict[str, Any]:
    """One family with its parameters.

    Returns:
        ``name``, ``summary`` (one sentence), ``details`` (paragraphs), ``dimensions``, ``parameters`` (as
        :func:`medray.spec.fields_of` has them, each with its ``value`` here) and ``features`` (name, definition, source, unit).
    """
    family = FAMILIES[params.family]
    text = inspect.cleandoc(type(family).__doc__ or "").replace("``", "`")
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    values = params.model_dump(mode="json")
    return {
        "name": params.family,
        "summary": paragraphs[0],
        "details": paragraphs[1:],
        "dimensions": list(family.dimensions),
        "parameters": [{**field, "value": values[field["name"]]} for field in fields_of(family.params)],
        "features": [asdict(feature) for feature in family.features(params)],
    }


def describe(name: str, spec: FeatureSpec) -> list[dict[str, Any]]:
    """What a name means in a spec: its families (one name may have several), or one feature with its ``family``.

    Raises:
        ConfigError: FEATURE_UNKNOWN.
    """
    families = [describe_family(params) for params in spec.families if params.family == name]
    features = {feature.name: (params.family, feature) for params in spec.families for feature in _features(params)}
    if families:
        return families
    if name not in features:
        known = [*FAMILIES, *features]
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else "`medray features list` names the families"
        raise ConfigError("FEATURE_UNKNOWN", f"there is no feature or family {name!r} in the spec", hint)
    family, feature = features[name]
    return [{**asdict(feature), "family": family}]


def compact(features: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Features that differ in numbers alone as one: the names of the first and the last, and the definition of the first."""
    alike: dict[tuple[str, ...], list[Mapping[str, str]]] = {}
    for one in features:
        key = *(_NUMBER.sub("#", one[field]) for field in ("name", "definition")), one["source"], one["unit"]
        alike.setdefault(key, []).append(one)
    return [{**group[0], "name": _range(group)} for group in alike.values()]


def _range(group: Sequence[Mapping[str, str]]) -> str:
    first, last = group[0]["name"], group[-1]["name"]
    return first if len(group) == 1 else f"{first} … {last} ({len(group)})"


def _features(params: FamilyParams) -> tuple[Feature, ...]:
    return tuple(FAMILIES[params.family].features(params))
