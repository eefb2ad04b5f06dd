"""Segmented lookup table data (PS3.3 C.7.9.2) → its entries."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medray.errors import Quarantined

MAX_ENTRIES = 1 << 16
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2


def expanded(raw: bytes, bits: int, *, little: bool) -> NDArray[np.unsignedinteger[Any]]:
    """The entries that segments stand for.

    Args:
        raw: Segmented Palette Color Lookup Table Data.
        bits: of an entry; 8, or up to 16.
        little: byte order.

    Returns:
        uint8 or uint16 (entries,).

    Raises:
        Quarantined: PIXELS_LUT.
    """
    size = 2 if bits > 8 else 1
    words = struct.unpack_from(f"{'<' if little else '>'}{len(raw) // size}{'BH'[size - 1]}", raw)
    entries: list[int] = []
    at = 0
    try:
        while at + 1 < len(words):  # a lone last word pads
            if words[at] == _INDIRECT:
                source = _offset_bytes(words, at + 2, size, little) // size
                for _ in range(words[at + 1]):
                    source = _append(words, source, entries)
                at += 2 + 4 // size  # 32 bits of offset
            else:
                at = _append(words, at, entries)
    except IndexError as error:
        raise Quarantined("PIXELS_LUT", "the segments of a lookup table end in the middle") from error
    return np.array(entries, np.uint16 if size == 2 else np.uint8)


def _append(words: tuple[int, ...], at: int, entries: list[int]) -> int:
    """Add the entries of the discrete or linear segment at a place; where the next segment starts."""
    kind, count = words[at], words[at + 1]
    if kind not in (_DISCRETE, _LINEAR) or len(entries) + count > MAX_ENTRIES or (kind == _LINEAR and not entries):
        raise Quarantined("PIXELS_LUT", "a lookup table with impossible segments")
    if kind == _DISCRETE:
        if at + 2 + count > len(words):
            raise IndexError
        entries.extend(words[at + 2 : at + 2 + count])
        return at + 2 + count
    entries.extend(np.rint(np.linspace(entries[-1], words[at + 2], count + 1)[1:]).astype(int).tolist())
    return at + 3


def _offset_bytes(words: tuple[int, ...], at: int, size: int, little: bool) -> int:
    """The offset of an indirect segment: 32 bits, the low 16-bit word first (C.7.9.2.3)."""
    if size == 2:
        return words[at] | words[at + 1] << 16
    order = (0, 1, 2, 3) if little else (1, 0, 3, 2)
    return sum(words[at + place] << 8 * power for power, place in enumerate(order))
