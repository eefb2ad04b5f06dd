"""The first problem of a wrong configuration in one line: where, which value, what is allowed, what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import takewhile
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from medray.errors import shown
from medray.spec import Spec

_PHRASES = {
    "dict_type": "not a mapping",
    "list_type": "not a list",
    "model_attributes_type": "not a mapping",
    "model_type": "not a mapping",
    "tuple_type": "not a list",
    "bool_parsing": "neither true nor false",
    "bool_type": "neither true nor false",
    "finite_number": "not a finite number",
    "string_type": "not text: put it in quotes",
}
_BOUNDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


class _Place(NamedTuple):
    """What a setting may be: its type, and the limits of its value."""

    annotation: Any
    limits: Mapping[str, Any]


def explain(error: ValidationError, kind: type[Spec], prefix: str = "") -> str:
    """The first problem in one line.

    Args:
        error: what validation raised.
        kind: the model that was validated.
        prefix: where it stands, for example ``"params."``.
    """
    first, *others = _without_other_branches(error.errors())
    where = prefix + ".".join(str(part) for part in first["loc"] if not _is_branch(part)) or "the file"
    more = f" (and {len(others)} more)" if others else ""
    return _SAY.get(first["type"], _other)(first, where, kind) + more


def _without_other_branches(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """The problems, where the first lies in a union with that of its best member alone: the one that got deepest."""
    loc = errors[0]["loc"]
    place = tuple(takewhile(lambda part: not _is_branch(part), loc))
    if place == loc:
        return errors
    same = [one for one in errors if one["loc"][: len(place)] == place]
    return [max(same, key=lambda one: len(one["loc"])), *(one for one in errors if one not in same)]


def _is_branch(part: int | str) -> bool:
    """Whether this part of a place says which member of a union was tried."""
    return isinstance(part, str) and (part.startswith("literal[") or part in {kind.__name__ for kind in Spec.__subclasses__()})


def _other(first: ErrorDetails, where: str, kind: type[Spec]) -> str:
    if first["type"] in _PHRASES:
        return f"{where}: {_value(first)} is {_PHRASES[first['type']]}"
    if first["type"].startswith(("int_", "float_")):
        word = "not a whole number" if first["type"].startswith("int_") else "not a number"
        return f"{where}: {_value(first)} is {word} {_range(_limits(kind, first['loc']))}".rstrip()
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if first["loc"] else message


def _outside(first: ErrorDetails, where: str, kind: type[Spec]) -> str:
    return f"{where}: {_value(first)} is not {_range(_limits(kind, first['loc']))}"


def _no_choice(first: ErrorDetails, where: str, kind: type[Spec]) -> str:
    choices = [str(choice) for place in _places(kind, first["loc"]) for choice in _choices(place.annotation)]
    return f"{where}: {_value(first)} is not one of {', '.join(choices)}" + _meant(first["input"], choices)


def _unknown(first: ErrorDetails, where: str, kind: type[Spec]) -> str:
    beside = [name for place in _places(kind, first["loc"][:-1]) for name in _fields(place.annotation)]
    return f"unknown setting {where}" + (_meant(first["loc"][-1], beside) or f"; there is {', '.join(beside)}")


def _unknown_tag(first: ErrorDetails, where: str, kind: type[Spec]) -> str:
    name, tag = first["ctx"]["discriminator"].strip("'"), first["ctx"]["tag"]
    known = [one.strip("' ") for one in first["ctx"]["expected_tags"].split(",")]
    return f"{where}.{name}: there is no {name} {tag!r}" + (_meant(tag, known) or f"; use one of {', '.join(sorted(known))}")


def _no_match(first: ErrorDetails, where: str, kind: type[Spec]) -> str:
    return f"{where}: {first['msg']}, not {_value(first)}"


def _too_few(first: ErrorDetails, where: str, kind: type[Spec]) -> str:
    return f"{where}: {first['ctx']['actual_length']} given, at least {first['ctx']['min_length']} needed"


def _missing(first: ErrorDetails, where: str, kind: type[Spec]) -> str:
    return f"{where} is missing"


def _no_tag(first: ErrorDetails, where: str, kind: type[Spec]) -> str:
    name = first["ctx"]["discriminator"].strip("'")
    return f"{where}.{name} is missing"


_SAY: Mapping[str, Callable[[ErrorDetails, str, type[Spec]], str]] = {
    **dict.fromkeys(("greater_than", "greater_than_equal", "less_than", "less_than_equal"), _outside),
    "extra_forbidden": _unknown,
    "literal_error": _no_choice,
    "missing": _missing,
    "string_pattern_mismatch": _no_match,
    "too_short": _too_few,
    "union_tag_invalid": _unknown_tag,
    "union_tag_not_found": _no_tag,
}
"""Type of a problem (pydantic's) → (problem, where, model) → the line."""


def _value(first: ErrorDetails) -> str:
    value = first["input"]
    return {True: "true", False: "false", None: "null"}[value] if value is None or isinstance(value, bool) else shown(value)


def _meant(name: Any, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f", did you mean {close[0]}?" if close else ""


def _range(limits: Mapping[str, Any]) -> str:
    """ "from 0 to 100", "above 0 and at most 255"."""
    if {"ge", "le"} <= limits.keys():
        return f"from {_plain(limits['ge'])} to {_plain(limits['le'])}"
    return " and ".join(f"{word} {_plain(limits[name])}" for name, word in _BOUNDS.items() if name in limits)


def _plain(limit: Any) -> str:
    return f"{limit:.15g}" if isinstance(limit, float) else str(limit)


def _limits(kind: type[Spec], loc: tuple[int | str, ...]) -> dict[str, Any]:
    return {name: limit for place in _places(kind, loc) for name, limit in place.limits.items()}


def _places(kind: type[Spec], loc: tuple[int | str, ...]) -> list[_Place]:
    """What the setting at a place of the file may be."""
    places = list(_alternatives(kind, ()))
    for part in loc:
        if _is_branch(part):
            continue
        places = [after for place in places for after in _inside(place.annotation, part)]
    return places


def _alternatives(annotation: Any, metadata: Iterable[Any]) -> Iterator[_Place]:
    """The members of a union, with the limits that hold for each."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _alternatives(arguments[0], [*metadata, *arguments[1:]])
    elif origin in (Union, UnionType):
        for argument in arguments:
            yield from _alternatives(argument, metadata)
    else:
        flat = [inner for one in metadata for inner in (getattr(one, "metadata", None) or [one])]
        found = {name: getattr(one, name, None) for one in flat for name in _BOUNDS if hasattr(one, name)}
        yield _Place(annotation, found)


def _inside(annotation: Any, part: int | str) -> Iterator[_Place]:
    """What lies one step further: a field, an item, or the model of a union that has this tag."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        if part in annotation.model_fields:
            field = annotation.model_fields[str(part)]
            yield from _alternatives(field.annotation, field.metadata)
        elif part in _tags(annotation):
            yield _Place(annotation, {})
    elif origin in (dict, Mapping):
        yield from _alternatives(arguments[1], ())
    elif origin in (tuple, list) and isinstance(part, int):
        fixed = origin is tuple and arguments[-1] is not Ellipsis
        yield from _alternatives(arguments[min(part, len(arguments) - 1) if fixed else 0], ())


def _tags(kind: type[Spec]) -> set[Any]:
    """The tags that name this model in a union."""
    fields = kind.model_fields.values()
    return {choice for field in fields if len(choices := _choices(field.annotation)) == 1 for choice in choices}


def _choices(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _fields(annotation: Any) -> list[str]:
    return list(annotation.model_fields) if isinstance(annotation, type) and issubclass(annotation, Spec) else []
