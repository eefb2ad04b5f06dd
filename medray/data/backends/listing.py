"""The items of a listing, and their order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter

from medray.errors import StoreError

PAGE = 10_000
HELD = 100_000
"""Objects that a listing holds back to put them in order: some servers list ``a/x`` before ``a-b``."""


@dataclass(frozen=True)
class ObjectInfo:
    """One object of a listing; ``etag`` changes whenever the content does. A size of -1 is not known."""

    uri: str
    size: int
    etag: str


def in_order(found: Iterator[list[ObjectInfo]], uri: str) -> Iterator[list[ObjectInfo]]:
    """A listing in pages of at most 10,000 objects, sorted by URI.

    Raises:
        StoreError: STORE_ORDER where sorting would take more than 100,000 objects at a time.
    """
    held: list[ObjectInfo] = []
    last = ""
    for part in chain(found, [None]):
        held += part or []
        while held and (part is None or len(held) >= HELD + PAGE):
            held.sort(key=attrgetter("uri"))
            page, held = held[:PAGE], held[PAGE:]
            if page[0].uri < last:
                raise StoreError("STORE_ORDER", f"the server lists {uri} out of order", "take its folders one by one")
            last = page[-1].uri
            yield page
