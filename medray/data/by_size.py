"""Groups of items that bound the memory in use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

MAX_BYTES_AT_ONCE = 64 << 20

_T = TypeVar("_T")


def by_size(items: Iterable[_T], size_bytes: Callable[[_T], int]) -> Iterator[list[_T]]:
    """Consecutive items in groups of at most 64 MiB, or of one."""
    group: list[_T] = []
    total = 0
    for item in items:
        size = size_bytes(item)
        if group and total + size > MAX_BYTES_AT_ONCE:
            yield group
            group, total = [], 0
        group.append(item)
        total += size
    if group:
        yield group
