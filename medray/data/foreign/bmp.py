"""BMP: 4 to 32 bits, palettes and run lengths, by Pillow."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image as Pillow

from medray.data.foreign.picture import Picture, check_plane, without_alpha
from medray.errors import Quarantined

SIGNATURE = b"BM"


def read(data: bytes) -> Picture:
    """The picture of a BMP.

    Raises:
        Quarantined: IMPORT_BROKEN, IMPORT_ONE_BIT, IMPORT_ALPHA, IMPORT_TOO_LARGE, IMPORT_EMPTY.
    """
    if len(data) < 30:
        raise Quarantined("IMPORT_BROKEN", "the BMP ends in its header")
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    columns, rows = struct.unpack_from("<HH" if header_bytes == 12 else "<ii", data, 18)
    check_plane(abs(rows), columns, 3)
    try:
        with Pillow.open(io.BytesIO(data), formats=["BMP"]) as found:
            mode = found.mode
            pixels = np.asarray(found.convert("RGB") if mode == "P" else found)
    except (OSError, ValueError, SyntaxError, struct.error, Pillow.DecompressionBombError) as error:
        raise Quarantined("IMPORT_BROKEN", f"the BMP is broken ({type(error).__name__})") from error
    if mode == "1":
        raise Quarantined("IMPORT_ONE_BIT", "a picture of two grey levels")
    pixels, notes = without_alpha(pixels, pixels.shape[2] if pixels.ndim == 3 else 1)
    return Picture(np.ascontiguousarray(pixels), "RGB" if pixels.ndim == 3 else "MONOCHROME2", notes=notes)
