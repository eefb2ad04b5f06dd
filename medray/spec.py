"""Frozen configuration models, their canonical JSON, and their fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

_WORDS = {bool: "true | false", int: "integer", float: "number", str: "text", NoneType: "null"}
_SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤", "min_length": "at least", "max_length": "at most"}


class Spec(BaseModel):
    """Base of every configuration model: frozen, no unknown fields, finite numbers, fingerprinted."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def fingerprint(self) -> str:
        """First 16 hex digits of the sha256 of the canonical JSON."""
        return fingerprint(self.model_dump(mode="json"))


def canonical_json(value: Any) -> str:
    """JSON text with sorted keys and no white space: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def fingerprint(value: Any) -> str:
    """First 16 hex digits of the sha256 of the canonical JSON of plain data."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def fields_of(kind: type[Spec]) -> list[dict[str, Any]]:
    """The fields of a kind of spec, in order, for people: all but the tag that names the kind (``family``, ``op``).

    Each has ``name``, ``type`` (in words), ``range`` ("" for none), ``required``, ``default`` (plain data) and ``description``.
    """
    return [_field(name, info) for name, info in kind.model_fields.items() if not _is_tag(info.annotation)]


def _is_tag(annotation: Any) -> bool:
    return get_origin(annotation) is Literal and len(get_args(annotation)) == 1


def _field(name: str, info: FieldInfo) -> dict[str, Any]:
    required = info.is_required()
    return {
        "name": name,
        "type": _type(info.annotation),
        "range": ", ".join(filter(None, [_bounds(info.metadata), *_bounds_inside(info.annotation)])),
        "required": required,
        "default": None if required else to_jsonable_python(info.get_default(call_default_factory=True)),
        "description": info.description or "",
    }


def _type(annotation: Any) -> str:
    """A type in words: "integer", "list of number", "a | b", "(number, number) or null"."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin in (Union, UnionType):
        return " or ".join(map(_type, arguments))
    if origin is Mapping:
        return "mapping"
    if origin in (tuple, list):
        many = origin is list or arguments[-1] is Ellipsis
        return f"list of {_type(arguments[0])}" if many else f"({', '.join(map(_type, arguments))})"
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _bounds(metadata: Iterable[Any]) -> str:
    """Constraints in words: "≥ 0, < 1"."""
    known = ((sign, getattr(one, attribute, None)) for one in metadata for attribute, sign in _SIGNS.items())
    return ", ".join(f"{sign} {_plain(bound)}" for sign, bound in known if bound is not None)


def _plain(bound: Any) -> str:
    return f"{bound:.4g}" if isinstance(bound, float) else str(bound)


def _bounds_inside(annotation: Any) -> list[str]:
    """The same of the parts of a type: "each ≥ 1" for the items of a list."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        own = (_bounds(getattr(one, "metadata", None) or [one]) for one in arguments[1:])
        return [*filter(None, own), *_bounds_inside(arguments[0])]
    if origin is Literal:
        return []
    found = dict.fromkeys(bounds for argument in arguments for bounds in _bounds_inside(argument))
    return [f"each {bounds}" if origin in (tuple, list) else bounds for bounds in found]
