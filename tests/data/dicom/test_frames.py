"""Files of compressed frames: none is lost in silence, and a missing delimiter costs no pixels, for every codec."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, RLELossless
from syntax_matrix import SYNTAXES, Kind, Syntax, dataset, file_bytes, values_of

from medray.data.dicom import decode
from medray.data.dicom.syntaxes import ENCAPSULATED_UNCOMPRESSED, is_encapsulated
from medray.errors import Quarantined
from medray.types import Image

GREY = Kind("MONOCHROME2", 8)
DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"
COMPRESSED = {UID(syntax.uid).name: syntax for syntax in SYNTAXES if is_encapsulated(syntax.uid) and syntax.defined(GREY)}


def streams(syntax: Syntax, count: int) -> list[bytes]:
    """Code streams of as many pictures that differ."""
    found = []
    for number in range(count):
        made = dataset(syntax, GREY, np.ascontiguousarray(np.roll(values_of(GREY), 7 * number, axis=0)))
        found.append(next(generate_frames(made.PixelData, number_of_frames=1)))
    return found


def file_of(
    syntax: Syntax, code_streams: list[bytes], stated: int | None, *, pieces: int = 1, table: bool = False, delimited: bool = True
) -> bytes:
    """A file of these code streams that states another number of frames, or none."""
    made: pydicom.FileDataset = dataset(syntax, GREY, values_of(GREY))
    if stated is not None:
        made.NumberOfFrames = stated
    made.PixelData = encapsulate(code_streams, fragments_per_frame=pieces, has_bot=table)
    made["PixelData"].VR = "OB"
    data = file_bytes(made)
    end = data.rindex(DELIMITER)
    return data[:end] if not delimited else data


def outcome(data: bytes, frame: int | None = None) -> Image | str:
    try:
        return decode(data, frame)
    except Quarantined as error:
        return error.code


@pytest.mark.parametrize("syntax", COMPRESSED.values(), ids=COMPRESSED)
@pytest.mark.parametrize("table", [False, True], ids=["no table", "table"])
@pytest.mark.parametrize("stated", [None, 1, 2])
def test_more_code_streams_than_frames_are_refused(syntax: Syntax, table: bool, stated: int | None) -> None:
    three = streams(syntax, 3)
    has_length = syntax.uid == ENCAPSULATED_UNCOMPRESSED and not table and stated != 2  # as in native pixel data
    code = "PIXELS_LENGTH" if has_length else "PIXELS_FRAGMENTS"
    assert outcome(file_of(syntax, three, stated, table=table), 0) == code
    assert isinstance(outcome(file_of(syntax, three, 3, table=table), 2), Image)


@pytest.mark.parametrize("syntax", COMPRESSED.values(), ids=COMPRESSED)
def test_two_code_streams_in_one_fragment_are_refused(syntax: Syntax) -> None:
    """A decoder stops where the first one ends."""
    found = outcome(file_of(syntax, [b"".join(streams(syntax, 2))], None))
    others = {RLELossless: "PIXELS_CODEC", ENCAPSULATED_UNCOMPRESSED: "PIXELS_LENGTH"}
    assert found == others.get(syntax.uid, "PIXELS_FRAGMENTS")


@pytest.mark.parametrize("syntax", COMPRESSED.values(), ids=COMPRESSED)
@pytest.mark.parametrize("table", [False, True], ids=["no table", "table"])
@pytest.mark.parametrize("stated", [None, 1])
def test_a_frame_in_several_fragments_is_one_frame(syntax: Syntax, table: bool, stated: int | None) -> None:
    (one,) = streams(syntax, 1)
    whole = outcome(file_of(syntax, [one], stated))
    cut = outcome(file_of(syntax, [one], stated, pieces=5, table=table))
    assert isinstance(whole, Image)
    assert isinstance(cut, Image)
    assert whole.header.flags == cut.header.flags
    np.testing.assert_array_equal(whole.pixels, cut.pixels)


@pytest.mark.parametrize("syntax", COMPRESSED.values(), ids=COMPRESSED)
@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("rest", [b"", DELIMITER[:6], bytes(64)], ids=["nothing", "half", "zeros"])
def test_a_missing_delimiter_is_flagged_and_costs_no_pixels(syntax: Syntax, pieces: int, rest: bytes) -> None:
    (one,) = streams(syntax, 1)
    whole = outcome(file_of(syntax, [one], None, pieces=pieces))
    found = outcome(file_of(syntax, [one], None, pieces=pieces, delimited=False) + rest)
    assert isinstance(whole, Image)
    assert isinstance(found, Image)
    assert found.header.flags == tuple(sorted({*whole.header.flags, "DELIMITER_MISSING"}))
    np.testing.assert_array_equal(whole.pixels, found.pixels)
    assert replace(found.header, flags=()) == replace(whole.header, flags=())


@pytest.mark.parametrize("syntax", COMPRESSED.values(), ids=COMPRESSED)
@pytest.mark.parametrize("pieces", [1, 3])
def test_a_code_stream_that_is_cut_is_truncated(syntax: Syntax, pieces: int) -> None:
    """Cut within a fragment, and where a fragment ends."""
    (one,) = streams(syntax, 1)
    data = file_of(syntax, [one], None, pieces=pieces, delimited=False)
    for cut in (1, 9, len(one) // 4):
        assert outcome(data[:-cut]) == "PIXELS_TRUNCATED"
    last = data.rindex(b"\xfe\xff\x00\xe0")
    expected = {"PIXELS_TRUNCATED", "PIXELS_CODEC"} if syntax.uid == RLELossless else {"PIXELS_TRUNCATED"}
    assert outcome(data[:last]) in expected  # RLE has no end mark
    for cut in (4, 50, len(one) // 2):
        assert outcome(file_of(syntax, [one[:-cut]], None, pieces=pieces, delimited=False)) == "PIXELS_TRUNCATED"


def test_the_last_of_several_frames_is_missing() -> None:
    for syntax in COMPRESSED.values():
        data = file_of(syntax, streams(syntax, 2), 3, delimited=False)
        assert outcome(data, 0) == "PIXELS_TRUNCATED"


def test_there_are_many_syntaxes() -> None:
    assert len(COMPRESSED) >= 15
