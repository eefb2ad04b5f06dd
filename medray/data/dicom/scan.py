"""The loop over the elements of a DICOM data set (PS3.5 chapter 7), compiled: where the wanted ones lie. It reads no values.

The nesting of sequences is a stack of levels, items and the sequences they are in by turns; level 0 is the data set itself. A
sequence that is not wanted is walked through as well, so that errors inside it are found.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medray.compiled import compiled
from medray.data.dicom.tags import DOUBLE_PIXEL_DATA, FLOAT_PIXEL_DATA, PIXEL_DATA

MAX_ELEMENTS = 50_000
"""Of one data set or item."""
MAX_DEPTH = 150
"""Of nested sequences."""

# how a scan ends
DONE, NEEDS_MORE, NEEDS_ROOM, DOUBT, TRUNCATED, ENCODING, BAD_VR, TAG_ORDER, NESTED, TOO_MANY = range(10)
# kinds of events: a wanted value, a wanted sequence and its items, the end of either, the pixel data
VALUE, SEQUENCE, ITEM, END, PIXELS = range(5)

_UNDEFINED_LENGTH = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_SHORT_VR, _LONG_VR, _SQ, _UN = 1, 2, 3, 4
_END, _LIMIT, _EXPLICIT, _PREVIOUS, _COUNT, _WANTED = range(6)  # columns of the stack


def _vr_kinds() -> NDArray[np.uint8]:
    """Two letters as a big-endian number → kind of value representation, 0 for none (PS3.5 7.1.2)."""
    kinds = np.zeros(1 << 16, np.uint8)
    for kind, names in (
        (_SHORT_VR, b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US"),
        (_LONG_VR, b"OB OD OF OL OV OW SV UC UR UT UV"),
        (_SQ, b"SQ"),
        (_UN, b"UN"),
    ):
        for name in names.split():
            kinds[int.from_bytes(name, "big")] = kind
    return kinds


VR_KINDS = _vr_kinds()


@compiled
def _number(data, at, count, little):  # type: ignore[no-untyped-def]
    """The unsigned number in ``count`` bytes."""
    value = 0
    for index in range(count):
        value = value << 8 | data[at + count - 1 - index if little else at + index]
    return value


@compiled
def _holds(ordered, tag):  # type: ignore[no-untyped-def]
    at = np.searchsorted(ordered, tag)
    return at < len(ordered) and ordered[at] == tag


@compiled
def _reach(end, limit, have):  # type: ignore[no-untyped-def]
    """Whether bytes up to ``end`` lie inside what holds them, and are at hand."""
    if end > limit:
        return TRUNCATED
    return NEEDS_MORE if end > have else DONE


@compiled
def _push(stack, level, after, explicit, wanted):  # type: ignore[no-untyped-def]
    """Open a level that ends at ``after``, or with a delimiter where that is -1; returns its number."""
    limit = stack[level, _LIMIT] if after < 0 else after
    level += 1
    stack[level, _END], stack[level, _LIMIT], stack[level, _EXPLICIT] = after, limit, explicit
    stack[level, _PREVIOUS], stack[level, _COUNT], stack[level, _WANTED] = -1, 0, wanted
    return level


@compiled
def _tell(events, count, wanted, what, tag, start, length):  # type: ignore[no-untyped-def]
    """Add an event, if it is wanted; returns how many there are."""
    if not wanted:
        return count
    events[count, 0], events[count, 1], events[count, 2], events[count, 3] = what, tag, start, length
    return count + 1


@compiled
def _value(data, position, states_vr, little, limit, have):  # type: ignore[no-untyped-def]
    """Trouble with the header of an element (PS3.5 7.1.2, 7.1.3); where its value starts, its length, its kind of VR."""
    if not states_vr:
        return DONE, position + 8, _number(data, position + 4, 4, little), _UN
    kind = VR_KINDS[data[position + 4] << 8 | data[position + 5]]
    if kind == 0:
        return BAD_VR, position, 0, kind
    if kind == _SHORT_VR:
        return DONE, position + 8, _number(data, position + 6, 2, little), kind
    trouble = _reach(position + 12, limit, have)
    return trouble, position + 12, _number(data, position + 8, 4, little) if trouble == DONE else 0, kind


@compiled
def scan(data, position, whole, explicit, little, only_group, wanted, sequences, events):  # type: ignore[no-untyped-def]
    """Walk over a data set up to its pixel data or its end. One function: divided into three, it takes 1.4 times as long.

    Args:
        data: uint8 (bytes at hand,).
        position: where the first element starts.
        whole: size of the whole file; ``data`` is its first part.
        explicit: whether elements state their value representation.
        little: whether numbers are little endian.
        only_group: the one group to read, or -1 for all.
        wanted, sequences: int64, sorted: tags whose values, and whose items, are asked for.
        events: int64 (room, 4), filled with rows of what (``VALUE``, …), tag, start and length of the value.

    Returns:
        How it ended (``DONE``, …), the number of events, where, the tag there, whether it passed over a sequence that is broken.
    """
    have, room = len(data), len(events)
    stack = np.empty((2 * MAX_DEPTH + 2, 6), np.int64)
    stack[0, _LIMIT] = whole
    level = _push(stack, -1, whole, 1 if explicit else 0, 1)
    count, broken, tag = 0, False, 0
    while count < room - 1:
        end, limit, keep = stack[level, _END], stack[level, _LIMIT], stack[level, _WANTED]
        trouble, closed = DONE, False
        if position >= limit:
            if level == 0:
                return DONE, count, position, tag, broken
            trouble, closed = (TRUNCATED, False) if end < 0 else (DONE, True)
        elif _reach(position + 8, limit, have) != DONE:
            trouble = _reach(position + 8, limit, have)
        else:
            group = _number(data, position, 2, little)
            if only_group >= 0 and group != only_group:
                return DONE, count, position, tag, broken
            tag = group << 16 | _number(data, position + 2, 2, little)
            if level % 2:
                closed = tag == _SEQUENCE_END and end < 0
                length = _number(data, position + 4, 4, little)
                position += 8
                if not closed:
                    after = -1 if length == _UNDEFINED_LENGTH else position + length
                    trouble = _reach(after, limit, have) if tag == _ITEM else ENCODING
                    if trouble == DONE:
                        level = _push(stack, level, after, stack[level, _EXPLICIT], keep)
                        count = _tell(events, count, keep, ITEM, 0, position, 0)
            elif tag <= stack[level, _PREVIOUS]:
                trouble = TAG_ORDER
            elif group == 0xFFFE:
                closed = tag == _ITEM_END and level > 0 and end < 0
                trouble = DONE if closed else ENCODING
                position += 8
            else:
                stack[level, _PREVIOUS] = tag
                stack[level, _COUNT] += 1
                if stack[level, _COUNT] > MAX_ELEMENTS:
                    return TOO_MANY, count, position, tag, broken
                trouble, start, length, kind = _value(data, position, stack[level, _EXPLICIT], little, limit, have)
                if trouble == DONE and level == 0 and tag in (PIXEL_DATA, FLOAT_PIXEL_DATA, DOUBLE_PIXEL_DATA):
                    return DONE, _tell(events, count, 1, PIXELS, tag, start, length), start, tag, broken
                after = -1 if length == _UNDEFINED_LENGTH else start + length
                if trouble == DONE:
                    trouble = _reach(after, limit, have)
                if trouble == DONE and (after < 0 or kind == _SQ or _holds(sequences, tag)):
                    if level == 2 * MAX_DEPTH:
                        return NESTED, count, position, tag, broken
                    keep = keep and _holds(sequences, tag)
                    states_vr = stack[level, _EXPLICIT] if kind != _UN else 0  # PS3.5 6.2.2, note 2
                    level = _push(stack, level, after, states_vr, keep)
                    count = _tell(events, count, keep, SEQUENCE, tag, start, 0)
                    position = start
                elif trouble == DONE:
                    count = _tell(events, count, keep and _holds(wanted, tag), VALUE, tag, start, length)
                    position = after
        if closed:
            count = _tell(events, count, keep, END, 0, position, 0)
            level -= 1
        if trouble == NEEDS_MORE:
            return NEEDS_MORE, count, position, tag, broken
        if trouble != DONE:
            around = level - 1 + level % 2  # the innermost sequence
            if around < 0 or stack[around, _WANTED]:
                return trouble, count, position, tag, broken
            if stack[around, _END] < 0:
                return DOUBT, count, position, tag, broken
            position, level, broken = stack[around, _END], around - 1, True
    return NEEDS_ROOM, count, position, tag, broken
