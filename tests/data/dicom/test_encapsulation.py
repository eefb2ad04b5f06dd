"""Frames of encapsulated pixel data: found through every kind of table or none; tables that lie are refused."""

from __future__ import annotations

import contextlib
import struct
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames

from medray.data.dicom import tags
from medray.data.dicom.dataset import UNDEFINED_LENGTH, DataSet, DicomFile, PixelElement
from medray.data.dicom.encapsulation import MAX_FRAGMENTS_PER_FRAME, frame_bytes
from medray.errors import Quarantined

ITEM, END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
FRAMES = [b"\xff\xd8" + bytes([number]) * size + b"\xff\xd9" for number, size in enumerate((300, 20, 1000, 64))]


def item(value: bytes) -> bytes:
    return ITEM + struct.pack("<I", len(value)) + value


def file(value: bytes, **table: bytes) -> DicomFile:
    """A file whose pixel data has this value; the extended offset table as ``offsets`` and ``lengths``."""
    names = {"offsets": tags.EXTENDED_OFFSET_TABLE, "lengths": tags.EXTENDED_OFFSET_TABLE_LENGTHS}
    dataset = DataSet({names[name]: raw for name, raw in table.items()})
    return DicomFile(b"head" + value, DataSet({}), dataset, PixelElement(tags.PIXEL_DATA, 4, UNDEFINED_LENGTH))


def code_of(value: bytes, frames: int, frame: int = 0, **table: bytes) -> str:
    with pytest.raises(Quarantined) as caught:
        frame_bytes(file(value, **table), frames, frame)
    return caught.value.code


@pytest.mark.parametrize("has_table", [True, False])
@pytest.mark.parametrize("fragments", [1, 2, 5])
@pytest.mark.parametrize("frame", range(4))
def test_each_frame_is_found_alone(has_table: bool, fragments: int, frame: int) -> None:
    value = encapsulate(FRAMES, fragments_per_frame=fragments, has_bot=has_table) + END
    theirs = list(generate_frames(value, number_of_frames=4))
    assert frame_bytes(file(value), 4, frame) == theirs[frame]
    assert theirs[frame].rstrip(b"\0") == FRAMES[frame]


@pytest.mark.parametrize("frame", range(4))
def test_the_extended_offset_table_is_followed_and_its_padding_left_out(frame: int) -> None:
    value, offsets, lengths = encapsulate_extended(FRAMES)
    assert frame_bytes(file(value + END, offsets=offsets, lengths=lengths), 4, frame) == FRAMES[frame]
    shorter = struct.pack("<4Q", *(length - 1 for length in struct.unpack("<4Q", lengths)))
    assert frame_bytes(file(value + END, offsets=offsets, lengths=shorter), 4, frame) == FRAMES[frame][:-1]


def test_one_frame_of_many_fragments_and_the_cap() -> None:
    parts = [bytes([number % 256]) * 2 for number in range(MAX_FRAGMENTS_PER_FRAME)]
    whole = item(b"") + b"".join(map(item, parts))
    assert frame_bytes(file(whole + END), 1) == b"".join(parts)
    assert code_of(whole + item(b"xx") + END, 1) == "PIXELS_FRAGMENTS"
    assert code_of(item(bytes(4)) + b"".join(map(item, [*parts, b"xx"])) + END, 1) == "PIXELS_FRAGMENTS"


def test_a_marker_inside_a_fragment_is_no_end_of_a_frame() -> None:
    parts = [b"\xff\xd8aa", b"bb\xff\xd9cc", b"dd\xff\xd9", b"\xff\xd8ee", b"ff\xff\xd9"]
    value = item(b"") + b"".join(map(item, parts)) + END
    assert frame_bytes(file(value), 2, 0) == b"".join(parts[:3])
    assert frame_bytes(file(value), 2, 1) == b"".join(parts[3:])


def test_the_other_frames_are_not_needed() -> None:
    value = encapsulate(FRAMES, has_bot=True)
    assert frame_bytes(file(value[: len(value) // 2]), 4, 0) == FRAMES[0]


TWO = [item(b"\xff\xd8a\xff\xd9\0"), item(b"\xff\xd8b\xff\xd9\0")]
BROKEN: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 1, "PIXELS_TRUNCATED"),
    "no table": (b"\x08\0\x05\0" + bytes(20), 1, "PIXELS_FRAGMENTS"),
    "no fragment": (item(b"") + END, 1, "PIXELS_FRAGMENTS"),
    "an empty frame": (item(b"") + item(b"") + END, 1, "PIXELS_FRAGMENTS"),
    "no delimiter": (item(b"") + TWO[0], 1, "PIXELS_TRUNCATED"),
    "no delimiter behind a table": (item(bytes(4)) + TWO[0], 1, "PIXELS_TRUNCATED"),
    "a fragment past the end": (item(b"") + ITEM + struct.pack("<I", 1 << 30) + b"\xff\xd8", 1, "PIXELS_TRUNCATED"),
    "a fragment of undefined length": (item(b"") + ITEM + b"\xff" * 4 + TWO[0] + END, 1, "PIXELS_FRAGMENTS"),
    "another element": (item(b"") + TWO[0] + b"\x08\0\x05\0" + bytes(4) + END, 1, "PIXELS_FRAGMENTS"),
    "fewer fragments than frames": (item(b"") + TWO[0] + TWO[1] + END, 3, "PIXELS_FRAGMENTS"),
    "more frames than the header says": (item(struct.pack("<2I", 0, 14)) + TWO[0] + TWO[1] + END, 1, "PIXELS_FRAGMENTS"),
    "fragments that end no frame": (item(b"") + item(b"aa") * 3 + END, 2, "PIXELS_FRAGMENTS"),
    "an odd table": (item(b"abcde") + TWO[0] + END, 1, "PIXELS_FRAGMENTS"),
    "a table past the end": (ITEM + b"\xff\xff\xff\x7f" + TWO[0] + END, 1, "PIXELS_TRUNCATED"),
    "a table of another count": (item(struct.pack("<3I", 0, 14, 28)) + TWO[0] + TWO[1] + END, 2, "PIXELS_FRAGMENTS"),
    "a table that does not start at 0": (item(struct.pack("<2I", 2, 14)) + TWO[0] + TWO[1] + END, 2, "PIXELS_FRAGMENTS"),
    "a table that goes back": (item(struct.pack("<2I", 0, 0)) + TWO[0] + TWO[1] + END, 2, "PIXELS_FRAGMENTS"),
    "a table that points into a fragment": (item(struct.pack("<2I", 0, 10)) + TWO[0] + TWO[1] + END, 2, "PIXELS_FRAGMENTS"),
    "a table that points far away": (item(struct.pack("<2I", 0, 1 << 31)) + TWO[0] + TWO[1] + END, 2, "PIXELS_FRAGMENTS"),
}


@pytest.mark.parametrize(("value", "frames", "code"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_or_lies_is_refused(value: bytes, frames: int, code: str) -> None:
    assert code_of(value, frames) == code


@pytest.mark.parametrize(
    ("offsets", "lengths"),
    [
        ((0,), (5,)),
        ((0, 14), (5,)),
        ((0, 15), (5, 5)),
        ((0, 14), (5, 4)),
        ((0, 14), (5, 7)),
        ((0, 1 << 60), (5, 5)),
        ((0, 28), (5, 0)),
    ],
)
def test_an_extended_table_that_lies_is_refused(offsets: tuple[int, ...], lengths: tuple[int, ...]) -> None:
    tables = {"offsets": struct.pack(f"<{len(offsets)}Q", *offsets), "lengths": struct.pack(f"<{len(lengths)}Q", *lengths)}
    assert code_of(item(b"") + TWO[0] + TWO[1] + END, 2, 1, **tables) in ("PIXELS_FRAGMENTS", "PIXELS_TRUNCATED")


@given(st.lists(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=4), min_size=1, max_size=6), st.data())
def test_what_was_put_in_comes_out(frames: list[list[bytes]], data: st.DataObject) -> None:
    sizes = [sum(8 + len(fragment) for fragment in frame) for frame in frames]
    table = struct.pack(f"<{len(frames)}I", *accumulate([0, *sizes[:-1]]))
    value = item(table) + b"".join(item(fragment) for frame in frames for fragment in frame) + END
    frame = data.draw(st.integers(0, len(frames) - 1))
    assert frame_bytes(file(value), len(frames), frame) == b"".join(frames[frame])


@given(st.binary(max_size=200), st.integers(1, 5), st.booleans())
def test_any_bytes_give_a_frame_or_a_typed_error(tail: bytes, frames: int, with_table: bool) -> None:
    with contextlib.suppress(Quarantined):
        found = frame_bytes(file((item(b"") if with_table else b"") + tail), frames, frames - 1)
        assert 0 < len(found) < len(tail)
