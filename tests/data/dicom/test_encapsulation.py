"""Frames of encapsulated pixel data: found through every kind of table or none; tables that lie are refused."""

from __future__ import annotations

import contextlib
import struct
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import RLELossless

from medray.data.dicom import tags
from medray.data.dicom.dataset import UNDEFINED_LENGTH, DataSet, DicomFile, PixelElement
from medray.data.dicom.encapsulation import MAX_FRAGMENTS_PER_FRAME, frame_bytes
from medray.errors import Quarantined

ITEM, END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
FRAMES = [b"\xff\xd8" + bytes([number]) * size + b"\xff\xd9" for number, size in enumerate((300, 20, 1000, 64))]


def item(value: bytes) -> bytes:
    return ITEM + struct.pack("<I", len(value)) + value


def file(value: bytes, syntax: str = "", **table: bytes) -> DicomFile:
    """A file whose pixel data has this value; the extended offset table as ``offsets`` and ``lengths``."""
    names = {"offsets": tags.EXTENDED_OFFSET_TABLE, "lengths": tags.EXTENDED_OFFSET_TABLE_LENGTHS}
    dataset = DataSet({names[name]: raw for name, raw in table.items()})
    meta = DataSet({tags.TRANSFER_SYNTAX: syntax.encode()})
    return DicomFile(b"head" + value, meta, dataset, PixelElement(tags.PIXEL_DATA, 4, UNDEFINED_LENGTH))


def stream(value: bytes, frames: int, frame: int = 0, **table: bytes) -> bytes:
    return frame_bytes(file(value, **table), frames, frame)[0]


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
    assert stream(value, 4, frame) == theirs[frame]
    assert theirs[frame].rstrip(b"\0") == FRAMES[frame]


@pytest.mark.parametrize("frame", range(4))
def test_the_extended_offset_table_is_followed_and_its_padding_left_out(frame: int) -> None:
    value, offsets, lengths = encapsulate_extended(FRAMES)
    assert stream(value + END, 4, frame, offsets=offsets, lengths=lengths) == FRAMES[frame]
    shorter = struct.pack("<4Q", *(length - 1 for length in struct.unpack("<4Q", lengths)))
    assert stream(value + END, 4, frame, offsets=offsets, lengths=shorter) == FRAMES[frame][:-1]


def test_one_frame_of_many_fragments_and_the_cap() -> None:
    parts = [bytes([number % 256]) * 2 for number in range(MAX_FRAGMENTS_PER_FRAME)]
    whole = item(b"") + b"".join(map(item, parts))
    assert stream(whole + END, 1) == b"".join(parts)
    assert code_of(whole + item(b"xx") + END, 1) == "PIXELS_FRAGMENTS"
    assert code_of(item(bytes(4)) + b"".join(map(item, [*parts, b"xx"])) + END, 1) == "PIXELS_FRAGMENTS"


def test_a_marker_inside_a_fragment_is_no_end_of_a_frame() -> None:
    parts = [b"\xff\xd8aa", b"bb\xff\xd9cc", b"dd\xff\xd9", b"\xff\xd8ee", b"ff\xff\xd9"]
    value = item(b"") + b"".join(map(item, parts)) + END
    assert stream(value, 2, 0) == b"".join(parts[:3])
    assert stream(value, 2, 1) == b"".join(parts[3:])


def test_the_other_frames_are_not_needed() -> None:
    value = encapsulate(FRAMES, has_bot=True)
    assert stream(value[: len(value) // 2], 4, 0) == FRAMES[0]


TWO = [item(b"\xff\xd8a\xff\xd9\0"), item(b"\xff\xd8b\xff\xd9\0")]
BROKEN: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 1, "PIXELS_TRUNCATED"),
    "no table": (b"\x08\0\x05\0" + bytes(20), 1, "PIXELS_FRAGMENTS"),
    "no fragment": (item(b"") + END, 1, "PIXELS_FRAGMENTS"),
    "an empty frame": (item(b"") + item(b"") + END, 1, "PIXELS_FRAGMENTS"),
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


RLE_STREAM = struct.pack("<16I", 2, 64, 70, *[0] * 13) + bytes(range(20))
JP2 = b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(30)
CODE_STREAMS = {
    "JPEG": b"\xff\xd8\xff\xe0one\xff\xd9",
    "JPEG without its end": b"\xff\xd8\xff\xe0one",
    "JPEG 2000": b"\xff\x4f\xff\x51one\xff\xd9",
    "JP2": JP2 + b"\xff\x4f\xff\x51one\xff\xd9",
    "JPEG XL": b"\xff\x0a\x7f\x01one",
    "JPEG XL file": b"\0\0\0\x0cJXL \r\n\x87\none",
    "RLE": RLE_STREAM,
}


@pytest.mark.parametrize("kind", CODE_STREAMS)
@pytest.mark.parametrize("table", [(), (0,)], ids=["no table", "table"])
@pytest.mark.parametrize("pieces", [1, 2])
def test_more_code_streams_than_frames_are_refused(kind: str, table: tuple[int, ...], pieces: int) -> None:
    """One frame, which may be in pieces, is found; with a second code stream behind it nobody knows which one is meant."""
    whole = CODE_STREAMS[kind]
    cut = len(whole) - 3
    one = b"".join(map(item, [whole] if pieces == 1 else [whole[:cut], b"", whole[cut:]]))
    start, syntax = item(struct.pack(f"<{len(table)}I", *table)), RLELossless if kind == "RLE" else ""
    assert frame_bytes(file(start + one + END, syntax), 1) == (whole, ())
    for two in (one + one, one + item(b"") + one, item(b"") + one + one):
        with pytest.raises(Quarantined) as caught:
            frame_bytes(file(start + two + END, syntax), 1)
        assert caught.value.code == "PIXELS_FRAGMENTS"


@pytest.mark.parametrize("kind", CODE_STREAMS)
@pytest.mark.parametrize("frame", [0, 1])
def test_a_code_stream_behind_those_of_the_table_is_refused_for_every_frame(kind: str, frame: int) -> None:
    one = item(CODE_STREAMS[kind])
    syntax = RLELossless if kind == "RLE" else ""
    table = item(struct.pack("<2I", 0, len(one)))
    assert frame_bytes(file(table + one * 2 + END, syntax), 2, frame)[0] == CODE_STREAMS[kind]
    with pytest.raises(Quarantined) as caught:
        frame_bytes(file(table + one * 3 + END, syntax), 2, frame)
    assert caught.value.code == "PIXELS_FRAGMENTS"


def test_a_fragment_that_the_extended_table_leaves_out_is_refused() -> None:
    one = item(CODE_STREAMS["JPEG 2000"] + b"\0")
    size = len(CODE_STREAMS["JPEG 2000"])
    lengths, pair = struct.pack("<2Q", size, size), struct.pack("<2Q", 0, len(one))
    for frame in (0, 1):
        assert stream(item(b"") + one * 2 + END, 2, frame, offsets=pair, lengths=lengths) == CODE_STREAMS["JPEG 2000"]
        assert code_of(item(b"") + one * 3 + END, 2, frame, offsets=pair, lengths=lengths) == "PIXELS_FRAGMENTS"
    for offsets in ((0, 2 * len(one)), (len(one), 2 * len(one))):
        tables = {"offsets": struct.pack("<2Q", *offsets), "lengths": lengths}
        assert code_of(item(b"") + one * 3 + END, 2, 0, **tables) == "PIXELS_FRAGMENTS"


def test_a_jp2_file_may_be_cut_where_its_code_stream_begins() -> None:
    parts = [JP2, CODE_STREAMS["JPEG 2000"]]
    value = item(b"") + b"".join(map(item, parts)) + END
    assert stream(value, 1) == b"".join(parts)
    assert code_of(item(b"") + b"".join(map(item, parts * 2)) + END, 1) == "PIXELS_FRAGMENTS"


def test_empty_fragments_are_no_frames() -> None:
    value = item(b"") + item(b"") + TWO[0] + item(b"") + TWO[1] + item(b"") + END
    assert [stream(value, 2, frame) for frame in (0, 1)] == [TWO[0][8:], TWO[1][8:]]
    assert code_of(value, 3) == "PIXELS_FRAGMENTS"


@pytest.mark.parametrize("size", [301, 302])
def test_fragments_of_any_length_and_a_delimiter_that_states_one(size: int) -> None:
    whole = b"\xff\xd8" + bytes(size) + b"\xff\xd9"
    assert frame_bytes(file(item(b"") + item(whole) + END[:4] + b"\x08\0\0\0" + bytes(8)), 1) == (whole, ())


PADDING = b"\xfc\xff\xfc\xffOB\0\0\x06\0\0\0" + bytes(6)
NO_DELIMITER = {"nothing": b"", "cut": END[:5], "zeros": bytes(30), "ones": b"\xff" * 9, "padding": PADDING}


@pytest.mark.parametrize("rest", NO_DELIMITER.values(), ids=NO_DELIMITER)
@pytest.mark.parametrize("kind", ["JPEG", "JPEG 2000", "JP2", "JPEG XL", "RLE"])
def test_without_the_delimiter_a_whole_code_stream_is_found_and_flagged(kind: str, rest: bytes) -> None:
    whole = CODE_STREAMS[kind]
    syntax = RLELossless if kind == "RLE" else ""
    for value, frames in ((item(b""), 1), (item(bytes(4)), 1), (item(b"") + item(whole), 2)):
        found = frame_bytes(file(value + item(whole) + rest, syntax), frames, frames - 1)
        assert found == (whole, ("DELIMITER_MISSING",))
    tables = {"offsets": struct.pack("<Q", 0), "lengths": struct.pack("<Q", len(whole))}
    assert frame_bytes(file(item(b"") + item(whole) + rest, syntax, **tables), 1) == (whole, ("DELIMITER_MISSING",))


@pytest.mark.parametrize("rest", NO_DELIMITER.values(), ids=NO_DELIMITER)
@pytest.mark.parametrize("kind", ["JPEG", "JPEG 2000", "JP2"])
def test_without_the_delimiter_a_code_stream_without_its_end_is_truncated(kind: str, rest: bytes) -> None:
    cut = CODE_STREAMS[kind][:-3]
    assert code_of(item(b"") + item(cut) + rest, 1) == "PIXELS_TRUNCATED"
    assert code_of(item(bytes(4)) + item(cut) + rest, 1) == "PIXELS_TRUNCATED"
    assert code_of(item(b"") + item(CODE_STREAMS[kind]) + rest, 2) == "PIXELS_TRUNCATED"
    offsets = struct.pack("<2I", 0, len(item(CODE_STREAMS[kind])))
    assert code_of(item(offsets) + item(CODE_STREAMS[kind]) + rest, 2, 1) in ("PIXELS_TRUNCATED", "PIXELS_FRAGMENTS")


def test_a_fragment_that_ends_after_the_file_is_truncated_with_a_delimiter_or_without() -> None:
    whole = item(CODE_STREAMS["JPEG 2000"])
    for cut in range(1, len(whole)):
        assert code_of(item(b"") + whole[:-cut], 1) == "PIXELS_TRUNCATED"
        assert code_of(item(b"") + whole + whole[:-cut], 2) == "PIXELS_TRUNCATED"


PIXELS = {
    "explicit": b"\xe0\x7f\x10\0OW\0\0\x02\0\0\0ab",
    "float": b"\xe0\x7f\x08\0OF\0\0\x04\0\0\0abcd",
    "fragments": b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff" + item(b"") + END,
    "behind padding": PADDING + b"\xe0\x7f\x10\0OW\0\0\x02\0\0\0ab",
    "behind a private element": b"\xe1\x7f\x10\0LO\x02\0ab\xe1\x7f\x10\x10OB\0\0\x02\0\0\0ab"
    + b"\xe0\x7f\x10\0OW\0\0\x02\0\0\0ab",
}


@pytest.mark.parametrize("second", PIXELS.values(), ids=PIXELS)
def test_a_second_pixel_data_element_is_refused(second: bytes) -> None:
    assert code_of(item(b"") + TWO[0] + END + second, 1) == "PIXELS_FRAGMENTS"
    assert code_of(item(struct.pack("<2I", 0, 14)) + TWO[0] + TWO[1] + END + second, 2, 0) == "PIXELS_FRAGMENTS"


@pytest.mark.parametrize("rest", [PADDING, bytes(40), b"PK\x03\x04" + bytes(range(100)), b"\xfa\xff\xfa\xffSQ\0\0\0\0\0\0"])
def test_what_else_follows_is_passed_over(rest: bytes) -> None:
    assert frame_bytes(file(item(b"") + TWO[0] + END + rest), 1) == (TWO[0][8:], ())


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


MIDDLES = st.binary(max_size=30).map(lambda some: b"x" + some)
"""Fragments with which no code stream begins."""


@given(st.lists(st.lists(MIDDLES, min_size=1, max_size=4), min_size=1, max_size=6), st.data())
def test_what_was_put_in_comes_out(frames: list[list[bytes]], data: st.DataObject) -> None:
    sizes = [sum(8 + len(fragment) for fragment in frame) for frame in frames]
    table = struct.pack(f"<{len(frames)}I", *accumulate([0, *sizes[:-1]]))
    value = item(table) + b"".join(item(fragment) for frame in frames for fragment in frame) + END
    frame = data.draw(st.integers(0, len(frames) - 1))
    assert stream(value, len(frames), frame) == b"".join(frames[frame])


@given(st.binary(max_size=200), st.integers(1, 5), st.booleans())
def test_any_bytes_give_a_frame_or_a_typed_error(tail: bytes, frames: int, with_table: bool) -> None:
    with contextlib.suppress(Quarantined):
        found = stream((item(b"") if with_table else b"") + tail, frames, frames - 1)
        assert 0 < len(found) < len(tail)
