"""Orientation out of an Exif block (CIPA DC-008 4.6.4, tag 0x0112): whether viewers rotate or flip the picture."""

from __future__ import annotations

import struct

from medray.errors import Quarantined

_ORIENTATION, _ENTRY_BYTES = 0x0112, 12


def orientation(block: bytes) -> int:
    """Of a TIFF structure as Exif embeds it; 1 (as stored) where it is missing or unreadable."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        return 1
    (start,) = struct.unpack_from(f"{order}I", block, 4)
    if start + 2 > len(block):
        return 1
    (count,) = struct.unpack_from(f"{order}H", block, start)
    for at in range(start + 2, min(start + 2 + count * _ENTRY_BYTES, len(block) - _ENTRY_BYTES + 1), _ENTRY_BYTES):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", block, at)
        if tag == _ORIENTATION:
            return int(value)
    return 1


def check_orientation(value: int) -> None:
    """Refuse a picture that must be rotated or mirrored for display: left and right would be wrong without it.

    Raises:
        Quarantined: IMPORT_TURNED.
    """
    if value not in (0, 1):
        raise Quarantined("IMPORT_TURNED", f"the file asks to be rotated or flipped on display (orientation {value})")
