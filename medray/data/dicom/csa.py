"""Siemens CSA headers: named values in a private element (0029,xx10), in either of two undocumented layouts.

As nibabel (``nibabel/nicom/csareader.py``) and dcm2niix read them: a count of elements, and for each its name, its number of
items, and the items, each with a length. Everything is bounded by the length of the header.
"""

from __future__ import annotations

import struct

_ELEMENT = struct.Struct("<64si4s3i")  # name, number of values that count, VR, type, number of items, a mark
_ITEM = struct.Struct("<4i")
_MAX_ITEMS = 4096  # of one header; real ones hold some hundreds


def csa_values(data: bytes, names: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """The values of some elements of a CSA header; what is cut off or broken ends the reading.

    Args:
        data: value of the private element.
        names: of the elements that are read.

    Returns:
        Name → its values without padding, empty ones left out; of the names that are there.
    """
    second = data[:4] == b"SV10"
    at, first_length, left = (16 if second else 8), 0, _MAX_ITEMS
    found: dict[str, tuple[str, ...]] = {}
    elements = struct.unpack_from("<I", data, at - 8)[0] if len(data) >= at else 0
    for _ in range(elements):
        if at + _ELEMENT.size > len(data):
            break
        name, _, _, _, count, _ = _ELEMENT.unpack_from(data, at)
        if left == _MAX_ITEMS:
            first_length = count
        items = _items(data, at + _ELEMENT.size, min(count, left), None if second else first_length)
        if items is None or count > left:
            break
        values, at = items
        left -= len(values)
        key = _text(name)
        if key in names:
            found[key] = tuple(value for value in values if value)
    return found


def _items(data: bytes, at: int, count: int, first_length: int | None) -> tuple[list[str], int] | None:
    """The items of an element and where they end; None where they go past the end of the header.

    Args:
        first_length: None for the second layout; the first one adds the item count of its first element to each length.
    """
    values = []
    for _ in range(count):
        if at + _ITEM.size > len(data):
            return None
        head = _ITEM.unpack_from(data, at)
        length = head[1] if first_length is None else head[0] - first_length
        at += _ITEM.size
        if not 0 <= length <= len(data) - at:
            return None
        values.append(_text(data[at : at + length]))
        at += -(-length // 4) * 4
    return values, at


def _text(padded: bytes) -> str:
    return padded.split(b"\0")[0].decode("latin-1").strip()
