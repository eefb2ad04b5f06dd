"""JSON from files that anyone may have written: one object, strict, of bounded size and depth."""

from __future__ import annotations

import json
from typing import Any, NoReturn

LARGEST_BYTES = 16 << 20
DEEPEST = 64


def json_object(data: bytes) -> dict[str, Any]:
    """The object in these bytes.

    Raises:
        ValueError: they are not UTF-8, no JSON (NaN and infinity are none), no object, larger than 16 MiB, nested more than 64
            deep, or name a key twice, which readers take in different ways.
    """
    if len(data) > LARGEST_BYTES:
        raise ValueError(f"more than {LARGEST_BYTES} bytes")
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(found, dict) or _deeper(found):
        raise ValueError(f"not an object, or nested more than {DEEPEST} deep")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _deeper(found: dict[str, Any]) -> bool:
    level: list[Any] = [found]
    for _ in range(DEEPEST):
        inner = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list)))
        level = [value for values in inner for value in values]
        if not level:
            return False
    return True
