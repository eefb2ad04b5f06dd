"""PNG (ISO/IEC 15948): 2 to 16 bits, grey, RGB and palette, value for value."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import imagecodecs
import numpy as np

from medray.data.foreign.exif import check_orientation, orientation
from medray.data.foreign.picture import PROFILE, Picture, check_plane, without_alpha
from medray.errors import Quarantined

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SAMPLES = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # colour type → samples once decoded


def read(data: bytes) -> Picture:
    """The picture of a PNG; palettes become RGB, 2 and 4 bits of grey are spread over 8.

    Raises:
        Quarantined: IMPORT_BROKEN, IMPORT_ANIMATED, IMPORT_ONE_BIT, IMPORT_ALPHA, IMPORT_TURNED, IMPORT_TOO_LARGE, IMPORT_EMPTY.
    """
    found = dict(chunks(data))
    header = found.get(b"IHDR", b"")
    if len(header) != 13 or b"IDAT" not in found or b"IEND" not in found:
        raise Quarantined("IMPORT_BROKEN", "the PNG has no header, no pixels or no end")
    columns, rows, bits, colour = struct.unpack_from(">IIBB", header)
    check_plane(rows, columns, _SAMPLES.get(colour, 4))
    if b"acTL" in found:
        raise Quarantined("IMPORT_ANIMATED", "an animated PNG")
    if bits == 1 and colour == 0:
        raise Quarantined("IMPORT_ONE_BIT", "a picture of two grey levels")
    check_orientation(orientation(found.get(b"eXIf", b"")))
    try:
        decoded = np.asarray(imagecodecs.png_decode(data))
    except (RuntimeError, ValueError) as error:
        raise Quarantined("IMPORT_BROKEN", f"the PNG is broken ({type(error).__name__})") from error
    pixels, notes = without_alpha(decoded, decoded.shape[2] if decoded.ndim == 3 else 1)
    if b"iCCP" in found:
        notes = (*notes, PROFILE)
    return Picture(pixels, "RGB" if pixels.ndim == 3 else "MONOCHROME2", notes=notes)


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, content) of each chunk up to the end; of the pixels no content. A chunk that is cut off ends it."""
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        if at + 12 + length > len(data):
            return
        yield kind, b"" if kind == b"IDAT" else data[at + 8 : at + 8 + length]
        if kind == b"IEND":
            return
        at += 12 + length
