"""Universal Binary JSON (https://ubjson.org, draft 12), as far as XGBoost writes it, as plain values and arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_NUMBERS = {
    kind.encode(): np.dtype(f">{name}") for kind, name in zip("iUIlLdD", ("i1", "u1", "i2", "i4", "i8", "f4", "f8"), strict=True)
}
_NAMES = {b"T": True, b"F": False, b"Z": None}
_DEEPEST = 32


def ubj_object(data: bytes) -> dict[str, Any]:
    """The one object that the bytes are, to their last one.

    Raises:
        ValueError: they are cut, no UBJ, no object, more than one, nested more than 32 deep, or name a key twice.
    """
    reader = _Reader(data)
    found = reader.value()
    if not isinstance(found, dict) or reader.at != len(data):
        raise ValueError("not one object")
    return found


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        start, self.at = self.at, self.at + size
        if size < 0 or self.at > len(self.data):
            raise ValueError("the file ends too early")
        return self.data[start : self.at]

    def peek(self) -> bytes:
        return self.data[self.at : self.at + 1]

    def count(self) -> int:
        (number,) = self.numbers(self.take(1), 1)
        if not isinstance(number, np.integer):
            raise ValueError("a length is no integer")
        return int(number)

    def numbers(self, kind: bytes, count: int) -> NDArray[Any]:
        if kind not in _NUMBERS:
            raise ValueError("an unknown type")
        return np.frombuffer(self.take(_NUMBERS[kind].itemsize * count), _NUMBERS[kind])

    def text(self) -> str:
        return self.take(self.count()).decode("utf-8")

    def value(self, depth: int = 0) -> Any:
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        kind = self.take(1)
        if kind == b"{":
            return self.members(depth)
        if kind == b"[":
            return self.array(depth)
        if kind == b"S":
            return self.text()
        return _NAMES[kind] if kind in _NAMES else self.numbers(kind, 1)[0].item()

    def members(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.peek() != b"}":
            name = self.text()
            if name in found:
                raise ValueError("a key occurs twice")
            found[name] = self.value(depth + 1)
        self.take(1)
        return found

    def array(self, depth: int) -> NDArray[Any] | list[Any]:
        kind = self.take(2)[1:] if self.peek() == b"$" else b""
        if self.peek() == b"#":
            self.take(1)
            count = self.count()
            return self.numbers(kind, count) if kind else [self.value(depth + 1) for _ in range(count)]
        found = []
        while self.peek() != b"]":
            found.append(self.value(depth + 1))
        self.take(1)
        return found
