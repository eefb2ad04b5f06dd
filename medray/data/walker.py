"""The elements of a DICOM data set that medray reads (PS3.5 chapter 7), by one walk over its bytes; far faster than pydicom.

The walk keeps to the letter of the standard. What breaks it is refused with a code; what another reader may still understand
raises :class:`Doubt`, and pydicom decides.
"""

from __future__ import annotations

from struct import Struct
from typing import NoReturn

from medray.data.dataset import UNDEFINED_LENGTH, DataSet, PixelElement
from medray.data.tags import PIXEL_TAGS, SEQUENCES, SPECIFIC_CHARACTER_SET, WANTED
from medray.errors import Quarantined

MAX_ELEMENTS = 50_000
"""Of one data set or item."""
MAX_DEPTH = 150
"""Of nested sequences."""
SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())  # 16-bit length, PS3.5 7.1.2
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LITTLE = (Struct("<HH2sH"), Struct("<HHI"), Struct("<I"))
_BIG = (Struct(">HH2sH"), Struct(">HHI"), Struct(">I"))


class NeedsMore(Exception):
    """The bytes at hand end before the pixel data; the file goes on."""


class Doubt(Exception):
    """Not understood here, but perhaps by another reader."""


class Walker:
    """One walk over the first bytes of a data set.

    Args:
        data: the bytes at hand.
        size_bytes: size of the whole, of which ``data`` is the first part.
        little: whether numbers are little endian.

    Attributes:
        broken: whether a sequence was passed over that is broken inside.
    """

    __slots__ = ("_data", "_have", "_little", "_structs", "_whole", "broken")

    def __init__(self, data: bytes, size_bytes: int, *, little: bool = True) -> None:
        self._data = data
        self._have = len(data)
        self._whole = max(size_bytes, len(data))
        self._little = little
        self._structs = _LITTLE if little else _BIG
        self.broken = False

    def data_set(
        self,
        position: int,
        explicit: bool,
        *,
        group_only: int | None = None,
        end: int | None = None,
        depth: int = 0,
        charset: str = "",
    ) -> tuple[DataSet, PixelElement | None, int]:
        """Read elements up to the pixel data, to the end, or in an item of undefined length to its delimiter.

        Args:
            position: where the first element starts.
            explicit: whether elements state their value representation.
            group_only: the one group that is read, if not all.
            end: where the data set ends, if its length is known.
            depth: number of sequences around it; pixel data ends the walk at depth 0 only.
            charset: Specific Character Set of the data set around it.

        Returns:
            The elements of :data:`medray.data.tags.WANTED`, the pixel data element, and where the walk ended.

        Raises:
            NeedsMore, Doubt
            Quarantined: DICOM_TAG_ORDER, DICOM_BAD_VR, DICOM_TRUNCATED, DICOM_ENCODING, DICOM_NESTED, DICOM_TOO_MANY_ELEMENTS.
        """
        data, (short, long, word) = self._data, self._structs
        values: dict[int, bytes] = {}
        items: dict[int, tuple[DataSet, ...]] = {}
        limit = self._whole if end is None else end
        bound = min(limit, self._have)
        previous, count, pixels = -1, 0, None
        while position < limit:
            start = position + 8
            if start > bound:
                self._short_of(start, limit)
            group, element, vr, length = short.unpack_from(data, position)
            if group_only is not None and group != group_only:
                break
            tag = group << 16 | element
            if tag <= previous:
                raise Quarantined("DICOM_TAG_ORDER", f"{_name(tag)} does not come after {_name(previous)}")
            if group == 0xFFFE:
                if tag == _ITEM_END and depth and end is None:
                    return DataSet(values, items, self._little, charset), None, start
                raise Quarantined("DICOM_ENCODING", f"{_name(tag)} where an element is expected")
            previous = tag
            count += 1
            if not explicit:
                length = long.unpack_from(data, position)[2]
            elif vr in LONG_VRS:
                start = position + 12
                if start > bound:
                    self._short_of(start, limit)
                length = word.unpack_from(data, position + 8)[0]
            elif vr not in SHORT_VRS:
                raise Quarantined("DICOM_BAD_VR", f"{_name(tag)} has no valid value representation")
            if tag in PIXEL_TAGS and not depth:
                pixels, position = PixelElement(tag, start, length), start
                break
            if length == UNDEFINED_LENGTH or tag in SEQUENCES or (explicit and vr == b"SQ"):
                states_vr = explicit and vr != b"UN"  # PS3.5 6.2.2, note 2
                found, position = self._sequence(tag, start, length, limit, states_vr, depth + 1, charset)
                if tag in SEQUENCES:
                    items[tag] = found
                continue
            position = start + length
            if position > bound:
                self._short_of(position, limit)
            if tag in WANTED:
                values[tag] = data[start:position]
                if tag == SPECIFIC_CHARACTER_SET:
                    charset = values[tag].decode("ascii", "replace").strip(" \0")
        if count > MAX_ELEMENTS:
            raise Quarantined("DICOM_TOO_MANY_ELEMENTS", f"{count} elements; at most {MAX_ELEMENTS} are read")
        if depth and end is None:
            raise Quarantined("DICOM_TRUNCATED", "an item has no end")
        return DataSet(values, items, self._little, charset), pixels, position

    def _sequence(
        self, tag: int, start: int, length: int, limit: int, explicit: bool, depth: int, charset: str
    ) -> tuple[tuple[DataSet, ...], int]:
        """The items of a sequence (PS3.5 7.5) and where it ends; no items of one that is not wanted and broken."""
        if depth > MAX_DEPTH:
            raise Quarantined("DICOM_NESTED", f"sequences are nested more than {MAX_DEPTH} deep")
        end = None if length == UNDEFINED_LENGTH else start + length
        if end is not None and end > min(limit, self._have):
            self._short_of(end, limit)
        try:
            return self._items(start, end, limit, explicit, depth, charset)
        except Quarantined as error:
            if tag in SEQUENCES or error.code in ("DICOM_NESTED", "DICOM_TOO_MANY_ELEMENTS"):
                raise
            if end is None:
                raise Doubt from error
            self.broken = True
            return (), end

    def _items(
        self, position: int, end: int | None, limit: int, explicit: bool, depth: int, charset: str
    ) -> tuple[tuple[DataSet, ...], int]:
        """The items of a sequence, or the fragments of encapsulated pixel data as empty ones, and where it ends."""
        found: list[DataSet] = []
        stop = limit if end is None else end
        while position < stop:
            if position + 8 > min(stop, self._have):
                self._short_of(position + 8, stop)
            group, element, length = self._structs[1].unpack_from(self._data, position)
            tag = group << 16 | element
            position += 8
            if tag == _SEQUENCE_END and end is None:
                return tuple(found), position
            if tag != _ITEM:
                raise Quarantined("DICOM_ENCODING", f"{_name(tag)} where an item is expected")
            item_end = None if length == UNDEFINED_LENGTH else position + length
            if item_end is not None and item_end > min(stop, self._have):
                self._short_of(item_end, stop)
            item, _, after = self.data_set(position, explicit, end=item_end, depth=depth, charset=charset)
            position = after if item_end is None else item_end
            found.append(item)
        if end is None:
            raise Quarantined("DICOM_TRUNCATED", "a sequence has no end")
        return tuple(found), position

    def _short_of(self, wanted: int, limit: int) -> NoReturn:
        """Raise for bytes up to ``wanted`` that are not at hand, or that lie outside ``limit``."""
        if wanted > limit:
            raise Quarantined("DICOM_TRUNCATED", f"an element ends at byte {wanted}, what holds it at byte {limit}")
        raise NeedsMore


def _name(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
