"""JPEG (ITU-T T.81): baseline, extended and lossless code streams are kept byte for byte, others decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import imagecodecs
import numpy as np
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1

from medray.data.dicom.codecs import MAX_SCANS
from medray.data.dicom.jpeg2000 import segments
from medray.data.foreign.exif import check_orientation, orientation
from medray.data.foreign.picture import PROFILE, TRANSCODED, JpegStream, Picture, check_plane
from medray.errors import Quarantined

SIGNATURE = b"\xff\xd8\xff"
_SOS, _DHT, _JPG, _DAC = 0xDA, 0xC4, 0xC8, 0xCC
_BASELINE, _EXTENDED, _LOSSLESS = 0xC0, 0xC1, 0xC3
_EOI, _SCAN = b"\xff\xd9", b"\xff\xda"


@dataclass
class _Said:
    """What the marker segments say: frame (start-of-frame marker, bits, rows, columns, component ids) and colours."""

    frame: int = 0
    bits: int = 0
    rows: int = 0
    columns: int = 0
    ids: bytes = b""
    jfif: bool = False
    adobe: int | None = None
    turned: int = 1
    profile: bool = False
    predictor: int = 0

    @property
    def photometric(self) -> str:
        """As libjpeg decides: JFIF, then Adobe's transform, then the component ids (jdapimin.c, default_decompress_parms)."""
        if len(self.ids) == 1:
            return "MONOCHROME2"
        if self.frame == _LOSSLESS:  # never subsampled; without a mark nothing is transformed
            return "YBR_FULL" if self.jfif or self.adobe else "RGB"
        if self.jfif or (self.adobe is None and self.ids not in (b"RGB", b"rgb")):
            return "YBR_FULL_422"
        return "RGB" if not self.adobe else "YBR_FULL_422"


def read(data: bytes) -> Picture:
    """The picture of a JPEG: its code stream where DICOM has a transfer syntax for it, else its pixels.

    Raises:
        Quarantined: IMPORT_BROKEN, IMPORT_CMYK, IMPORT_TURNED, IMPORT_TOO_LARGE, IMPORT_EMPTY, IMPORT_DEPTH.
    """
    said = _said(data)
    if not said.frame:
        raise Quarantined("IMPORT_BROKEN", "the JPEG has no frame header")
    check_plane(said.rows, said.columns, len(said.ids))
    if len(said.ids) not in (1, 3):
        raise Quarantined("IMPORT_CMYK", f"a JPEG of {len(said.ids)} components")
    check_orientation(said.turned)
    end = data.rfind(_EOI)
    if end < 0 or data.find(_SCAN, end) >= 0:
        raise Quarantined("IMPORT_BROKEN", "the JPEG has no end")
    notes = (PROFILE,) if said.profile else ()
    if syntax := _syntax(said):
        stream = JpegStream(data[: end + 2], syntax, said.rows, said.columns, len(said.ids), said.bits)
        ratio = None if said.frame == _LOSSLESS else _ratio(said, len(data))
        return Picture(None, said.photometric, stream=stream, lossy_ratio=ratio, notes=notes)
    return _decoded(data, said, notes)


def _syntax(said: _Said) -> str:
    """The transfer syntax of PS3.5 8.2.1 that takes the code stream, or ""."""
    if said.frame == _BASELINE and said.bits == 8:
        return str(JPEGBaseline8Bit)
    if said.frame == _EXTENDED and said.bits in (8, 12) and (said.bits == 8 or len(said.ids) == 1):
        return str(JPEGExtended12Bit)
    if said.frame == _LOSSLESS:
        return str(JPEGLosslessSV1 if said.predictor == 1 else JPEGLossless)
    return ""


def _decoded(data: bytes, said: _Said, notes: tuple[str, ...]) -> Picture:
    """Progressive and arithmetic processes, which the standard has retired."""
    if data.count(_SCAN) > MAX_SCANS:
        raise Quarantined("IMPORT_BROKEN", f"a JPEG of more than {MAX_SCANS} scans")
    try:
        pixels = np.asarray(imagecodecs.jpeg8_decode(data))
    except (RuntimeError, ValueError) as error:
        raise Quarantined("IMPORT_BROKEN", f"the JPEG is broken, or of a rare process ({type(error).__name__})") from error
    expected = (said.rows, said.columns) + ((3,) if len(said.ids) == 3 else ())
    if pixels.shape != expected:
        raise Quarantined("IMPORT_BROKEN", f"the JPEG decodes to {pixels.shape}, its header says {expected}")
    photometric = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    return Picture(pixels, photometric, lossy_ratio=_ratio(said, len(data)), notes=(*notes, TRANSCODED))


def _ratio(said: _Said, size_bytes: int) -> float:
    return said.rows * said.columns * len(said.ids) * (2 if said.bits > 8 else 1) / size_bytes


def _said(data: bytes) -> _Said:
    said, scan = _Said(), 2
    for marker, at, length in segments(data, 2, _SOS):
        if at + length > len(data):
            break
        content, scan = data[at : at + length], at + length
        if marker == 0xE0 and content.startswith(b"JFIF\0"):
            said.jfif = True
        elif marker == 0xE1 and content.startswith(b"Exif\0\0"):
            said.turned = orientation(content[6:])
        elif marker == 0xE2 and content.startswith(b"ICC_PROFILE\0"):
            said.profile = True
        elif marker == 0xEE and content.startswith(b"Adobe") and length >= 12:
            said.adobe = content[11]
        elif 0xC0 <= marker <= 0xCF and marker not in (_DHT, _JPG, _DAC) and length >= 6:
            said.frame = marker
            said.bits, said.rows, said.columns = struct.unpack_from(">BHH", content)
            said.ids = content[6 : 6 + 3 * content[5] : 3]
    scan = data.find(_SCAN, scan)
    predictor = scan + 5 + 2 * data[scan + 4] if 0 <= scan < len(data) - 5 else len(data)  # after the components (T.81 B.2.3)
    said.predictor = data[predictor] if predictor < len(data) else 0
    return said
