"""The raw values of a DICOM data set by tag, and how to read them; the same for the walker and for pydicom."""

from __future__ import annotations

import logging
import math
import re
import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

from pydicom.charset import convert_encodings, decode_bytes

from medray.data.dicom import tags
from medray.types import Header

UNDEFINED_LENGTH = 0xFFFFFFFF
_INTEGER = re.compile(rb"[+-]?[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class DataSet:
    """Some elements of a data set (PS3.5 chapter 7): those of a :class:`medray.data.dicom.selection.Selection`.

    Attributes:
        values: tag → value field as stored.
        items: tag of a sequence → its items.
        little: whether numbers are little endian.
        charset: value of Specific Character Set in force, "" for the default.
    """

    values: Mapping[int, bytes]
    items: Mapping[int, tuple[DataSet, ...]] = field(default_factory=dict)
    little: bool = True
    charset: str = ""

    def __contains__(self, tag: int) -> bool:
        return tag in self.values or tag in self.items

    def text(self, tag: int) -> str:
        """A text value without its padding; "" where it is absent. Backslashes separate several values."""
        raw = self.values.get(tag)
        if not raw:
            return ""
        text = _plain(raw)
        return decoded(raw, self.charset).strip(" \0") if text is None else text

    def texts(self, tag: int) -> tuple[str, ...]:
        """The values of a text element."""
        whole = self.text(tag)
        if "\\" in whole:
            return tuple(part.strip(" \0") for part in whole.split("\\"))
        return (whole,) if whole else ()

    def whole(self, tag: int) -> int | None:
        """The first value of a US or SS-sized binary number, unsigned; None where it is absent or of another size."""
        raw = self.values.get(tag)
        if raw is None or len(raw) < 2:
            return None
        return int.from_bytes(raw[:2], "little" if self.little else "big")

    def long(self, tag: int) -> int | None:
        """The first value of a 32-bit unsigned binary number (UL); None where it is absent or of another size."""
        raw = self.values.get(tag)
        if raw is None or len(raw) < 4:
            return None
        return int.from_bytes(raw[:4], "little" if self.little else "big")

    def wholes(self, tag: int) -> tuple[int, ...]:
        """All values of an element of unsigned 16-bit numbers."""
        raw = self.values.get(tag, b"")
        count = len(raw) // 2
        return struct.unpack_from(f"{'<' if self.little else '>'}{count}H", raw)

    def decimals(self, tag: int) -> tuple[float, ...] | None:
        """The finite numbers of a decimal string (PS3.5 6.2 DS, IS); None where it is absent, empty or no number."""
        raw = self.values.get(tag)
        return _numbers(raw) if raw else None

    def decimal(self, tag: int) -> float | None:
        """The first of :meth:`decimals`."""
        numbers = self.decimals(tag)
        return None if numbers is None else numbers[0]

    def integer(self, tag: int) -> int | None:
        """The first value of an integer string; None where it is absent, empty or no integer of 32 bits (PS3.5 6.2 IS)."""
        raw = self.values.get(tag)
        return _integer(raw) if raw else None

    def doubles(self, tag: int) -> tuple[float, ...]:
        """All values of an element of 64-bit floating-point numbers (FD)."""
        raw = self.values.get(tag, b"")
        return struct.unpack_from(f"{'<' if self.little else '>'}{len(raw) // 8}d", raw)

    def floats(self, tag: int) -> tuple[float, ...]:
        """All values of an element of 32-bit floating-point numbers (FL)."""
        raw = self.values.get(tag, b"")
        return struct.unpack_from(f"{'<' if self.little else '>'}{len(raw) // 4}f", raw)

    def first_item(self, tag: int) -> DataSet | None:
        """The first item of a sequence, or None."""
        found = self.items.get(tag)
        return found[0] if found else None


@lru_cache(maxsize=4096)  # images of a series share most of their values
def _plain(raw: bytes) -> str | None:
    """Text of ASCII alone without its padding; None where a character set decides: an escape sequence is ASCII, too."""
    return raw.decode("ascii").strip(" \0") if raw.isascii() and b"\x1b" not in raw else None


@lru_cache(maxsize=4096)
def _integer(raw: bytes) -> int | None:
    """The first value of an integer string as ASCII; None if it is not a 32-bit integer."""
    first = raw.strip(b" \0").split(b"\\")[0].strip(b" \0")
    if not _INTEGER.fullmatch(first):
        return None
    number = int(first)
    return number if -(1 << 31) <= number < 1 << 31 else None


@lru_cache(maxsize=4096)
def _numbers(raw: bytes) -> tuple[float, ...] | None:
    """The finite numbers of a decimal string, which is ASCII in every character set; None if it is invalid."""
    if not raw.isascii() or b"_" in raw:  # Python reads other digits, and 1_000, as numbers too
        return None
    text = raw.decode("ascii").strip(" \0")
    try:
        numbers = tuple([float(part.strip(" \0")) for part in text.split("\\")])
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def decoded(raw: bytes, charset: str) -> str:
    """Text in a Specific Character Set (PS3.3 C.12.1.1.2); bytes outside the set are replaced."""
    with quiet():
        encodings = convert_encodings(charset.split("\\") if charset else "")
        return str(decode_bytes(raw, encodings, {ord("\\"), 10, 12, 13}))


@contextmanager
def quiet() -> Iterator[None]:
    """Silence pydicom's warnings and log lines, which may quote values of the file."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Where the pixel data element has its value.

    Attributes:
        tag: Pixel Data, Float Pixel Data or Double Float Pixel Data.
        start: offset of the value in :attr:`DicomFile.data`.
        length_bytes: the length that the element states; :data:`UNDEFINED_LENGTH` where it is encapsulated.
    """

    tag: int
    start: int
    length_bytes: int


@dataclass(frozen=True, slots=True)
class DicomFile:
    """A parsed DICOM file, or its head.

    Attributes:
        data: the bytes that ``pixels.start`` counts in: the file, or of a deflated file its inflated data set.
        meta: the file meta information (PS3.10 7.1).
        dataset: the data set up to the pixel data.
        pixels: the pixel data element, or None where there is none.
        flags: what is odd about the file, see :data:`medray.remedies.FLAGS`.
        start: where the data set starts in :attr:`data`.
    """

    data: bytes
    meta: DataSet
    dataset: DataSet
    pixels: PixelElement | None
    flags: tuple[str, ...] = ()
    start: int = 0


@dataclass(frozen=True, slots=True)
class ImagePixel:
    """What the Image Pixel module (PS3.3 C.7.6.3) says: all that decoding needs."""

    transfer_syntax: str
    rows: int
    columns: int
    samples: int
    frames: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    signed: bool


PixelModule = ImagePixel | Header


def image_pixel(file: DicomFile) -> ImagePixel:
    """The Image Pixel module of a file that :func:`medray.data.dicom.checks.classify` let pass."""
    found, whole = file.dataset, file.dataset.whole
    return ImagePixel(
        transfer_syntax=file.meta.text(tags.TRANSFER_SYNTAX),
        rows=whole(tags.ROWS) or 0,
        columns=whole(tags.COLUMNS) or 0,
        samples=whole(tags.SAMPLES_PER_PIXEL) or 1,
        frames=found.integer(tags.NUMBER_OF_FRAMES) or 1,
        photometric=found.text(tags.PHOTOMETRIC_INTERPRETATION),
        bits_allocated=whole(tags.BITS_ALLOCATED) or 0,
        bits_stored=whole(tags.BITS_STORED) or 0,
        signed=whole(tags.PIXEL_REPRESENTATION) == 1,
    )
