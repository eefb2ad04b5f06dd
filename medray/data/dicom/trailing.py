"""Checks of what follows the pixel data (PS3.5 7.1): padding and signatures are accepted, pixel data is not."""

from __future__ import annotations

from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from medray.data.dicom import tags
from medray.data.dicom.dataset import DicomFile
from medray.data.dicom.walker import holds_pixels
from medray.errors import Quarantined

PADDING = b"\xfc\xff\xfc\xff"
"""Tag of Data Set Trailing Padding (PS3.10 7.2), little endian."""


def check_trailing(file: DicomFile, end: int, code: str) -> None:
    """Raise Quarantined (``code``) where another pixel data element follows: the image is then ambiguous.

    Bytes after the last element are skipped: some archives append to files.

    Args:
        file: the whole file.
        end: where its pixel data ends, counted in ``file.data``.
        code: what to raise.
    """
    data = file.data
    while data.startswith(PADDING, end):
        end = _after_padding(data, end)
    if end + 8 > len(data):
        return
    syntax = file.meta.text(tags.TRANSFER_SYNTAX)
    explicit = (syntax != ImplicitVRLittleEndian) != ("ENCODING_DIFFERS" in file.flags)
    if holds_pixels(data, end, explicit=explicit, little=syntax != ExplicitVRBigEndian):
        raise Quarantined(code, "a second pixel data element")


def _after_padding(data: bytes, at: int) -> int:
    """Where Data Set Trailing Padding (PS3.10 7.2) ends: with its value representation, or without."""
    length_at = at + 8 if data.startswith(b"OB", at + 4) else at + 4
    return length_at + 4 + int.from_bytes(data[length_at : length_at + 4], "little")
