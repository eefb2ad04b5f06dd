"""Universal Binary JSON (https://ubjson.org, draft 12), as far as XGBoost writes it: whether a file is whole.

XGBoost reads past the end of a file that was cut, and ends the process.
"""

from __future__ import annotations

_SIZES = {ord(kind): size for kind, size in zip("iUIlLdDTFZ", (1, 1, 2, 4, 8, 4, 8, 0, 0, 0), strict=True)}
_INTEGERS = frozenset(b"iUIlL")
_DEEPEST = 32


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def skip(self, size: int) -> bytes:
        start, self.at = self.at, self.at + size
        if size < 0 or self.at > len(self.data):
            raise ValueError("the file ends too early")
        return self.data[start : self.at]

    def peek(self) -> bytes:
        return self.data[self.at : self.at + 1]

    def count(self) -> int:
        kind = self.skip(1)[0]
        if kind not in _INTEGERS:
            raise ValueError("a length is no integer")
        return int.from_bytes(self.skip(_SIZES[kind]), "big", signed=kind != ord("U"))

    def value(self, depth: int = 0) -> None:
        kind = self.skip(1)
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        if kind == b"{":
            while self.peek() != b"}":
                self.skip(self.count())
                self.value(depth + 1)
            self.skip(1)
        elif kind == b"[":
            self._array(depth)
        elif kind == b"S":
            self.skip(self.count())
        else:
            self._number(kind[0], 1)

    def _array(self, depth: int) -> None:
        typed = self.skip(2)[1] if self.peek() == b"$" else None
        if self.peek() == b"#":
            self.skip(1)
            count = self.count()
            if typed is not None:
                self._number(typed, count)
                return
            for _ in range(count):
                self.value(depth + 1)
            return
        while self.peek() != b"]":
            self.value(depth + 1)
        self.skip(1)

    def _number(self, kind: int, count: int) -> None:
        if kind not in _SIZES or count < 0:
            raise ValueError("an unknown type")
        self.skip(_SIZES[kind] * count)


def require_whole(data: bytes) -> None:
    """Check that the bytes are one object to their last one; raises ValueError."""
    reader = _Reader(data)
    if reader.peek() != b"{":
        raise ValueError("no object")
    reader.value()
    if reader.at != len(data):
        raise ValueError("more than one object")
