"""The struct walker against pydicom, the judge: equal raw values on every file that the walker accepts, mutated ones too."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medray.data.dicom import boundary, tags
from medray.data.dicom.dataset import DicomFile
from medray.data.dicom.functional import group
from medray.data.dicom.parse import file_meta, parse, second_opinion
from medray.data.dicom.scan import MAX_DEPTH, MAX_ELEMENTS
from medray.errors import Quarantined

ROOT = Path(__file__).parents[3]
FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def is_dicom(path: Path) -> bool:
    return path.is_file() and path.read_bytes()[128:132] == b"DICM"


DICOM_FILES = sorted(path for path in FILES.rglob("*") if is_dicom(path))
BROKEN = {
    "DICOMDIR-nooffset": "DICOM_TRUNCATED",
    "meta_missing_tsyntax.dcm": "DICOM_NO_TRANSFER_SYNTAX",
    "rtplan_truncated.dcm": "DICOM_TRUNCATED",
}


def judged(file: DicomFile, data: bytes) -> tuple[object, object]:
    """What pydicom reads from the data set of a file."""
    start = file_meta(data, len(data))[1] if file.data is data else 0
    syntax = file.meta.text(tags.TRANSFER_SYNTAX)
    explicit = (syntax != ImplicitVRLittleEndian) != ("ENCODING_DIFFERS" in file.flags)
    return second_opinion(file.data, start, explicit, syntax != ExplicitVRBigEndian)


@pytest.mark.parametrize("path", DICOM_FILES, ids=lambda path: path.relative_to(FILES).as_posix())
def test_the_walker_reads_what_pydicom_reads(path: Path) -> None:
    data = path.read_bytes()
    if path.name in BROKEN:
        with pytest.raises(Quarantined) as caught:
            parse(data, len(data))
        assert caught.value.code == BROKEN[path.name]
        return
    file = parse(data, len(data))
    assert file is not None
    assert (file.dataset, file.pixels) == judged(file, data)


def test_there_are_many_files() -> None:
    assert len(DICOM_FILES) > 120


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The file with one to four bytes of its header changed."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(132, min(len(data), 6000))
        changed[at] = rng.choice((0, 255, rng.randrange(256), changed[at] ^ (1 << rng.randrange(8))))
    return bytes(changed)


def read_both(data: bytes) -> tuple[tuple[object, object], tuple[object, object]]:
    """What the walker and what pydicom make of a file.

    Raises:
        Quarantined: one of them cannot read it.
    """
    with boundary():
        file = parse(data, len(data))
        assert file is not None
        return (file.dataset, file.pixels), judged(file, data)


def test_the_walker_reads_mutated_headers_as_pydicom_does_or_not_at_all() -> None:
    rng = random.Random(20261125)
    contents = [path.read_bytes() for path in DICOM_FILES if path.stat().st_size < 100_000]
    equal = refused = 0
    for _ in range(2500):
        try:
            walked, read = read_both(mutated(rng.choice(contents), rng))
        except Quarantined:
            refused += 1
            continue
        assert walked == read
        equal += 1
    assert equal > 1500
    assert refused > 300


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "liver_1frame.dcm"])
def test_a_head_of_any_length_gives_the_same_or_asks_for_more(name: str) -> None:
    data = (FILES / name).read_bytes()
    whole = parse(data, len(data))
    assert whole is not None
    start = whole.pixels.start if whole.pixels else len(data)
    for length in range(140, start, 7):
        assert parse(data[:length], len(data)) is None
    head = parse(data[:start], len(data))
    assert head is not None
    assert (head.dataset, head.pixels) == (whole.dataset, whole.pixels)


# --- what is refused -----------------------------------------------------------------------------------------------------------


def explicit(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    """An element in explicit VR little endian."""
    long = vr in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    length = struct.pack("<2xI", len(value)) if long else struct.pack("<H", len(value))
    return struct.pack("<HH2s", group, element, vr) + length + value


def file_of(*elements: bytes) -> bytes:
    """A file with these elements as its data set."""
    meta = explicit(2, 0x10, b"UI", b"1.2.840.10008.1.2.1\0")
    return bytes(128) + b"DICM" + explicit(2, 0, b"UL", struct.pack("<I", len(meta))) + meta + b"".join(elements)


def code_of(data: bytes, size_bytes: int | None = None) -> str:
    with pytest.raises(Quarantined) as caught:
        parse(data, len(data) if size_bytes is None else size_bytes)
    return caught.value.code


MODALITY = explicit(8, 0x60, b"CS", b"CT")
ROWS = explicit(0x28, 0x10, b"US", b"\x40\0")


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ([ROWS, MODALITY], "DICOM_TAG_ORDER"),
        ([ROWS, ROWS], "DICOM_TAG_ORDER"),
        ([MODALITY, explicit(8, 0x70, b"@@", b"ab")], "DICOM_BAD_VR"),
        ([MODALITY, explicit(8, 0x70, b"LO", b"abcd")[:-1]], "DICOM_TRUNCATED"),
        ([MODALITY, b"\x08\0\x70"], "DICOM_TRUNCATED"),
        ([MODALITY, explicit(0xFFFE, 0xE000, b"OB", b"")], "DICOM_ENCODING"),
        ([explicit(8, 0x60, b"CS", b"CT"), explicit(0x28, 0x3000, b"SQ", b"\xfe\xff\0\xe0\xff\0\0\0")], "DICOM_TRUNCATED"),
    ],
    ids=["unordered", "twice", "no VR", "past the end", "half a tag", "an item", "an item past its sequence"],
)
def test_what_breaks_the_standard_has_its_code(elements: list[bytes], code: str) -> None:
    assert code_of(file_of(*elements)) == code


def test_too_many_elements() -> None:
    many = [explicit(9 + 2 * (index >> 16), index & 0xFFFF, b"CS", b"") for index in range(MAX_ELEMENTS + 1)]
    assert code_of(file_of(*many)) == "DICOM_TOO_MANY_ELEMENTS"


@pytest.mark.parametrize("defined", [True, False])
@pytest.mark.parametrize(("depth", "deep"), [(100, False), (MAX_DEPTH, False), (MAX_DEPTH + 1, True), (5000, True)])
def test_sequences_may_nest_but_not_without_end(defined: bool, depth: int, deep: bool) -> None:
    content = b""
    for _ in range(depth):
        if defined:
            content = explicit(9, 0x10, b"SQ", b"\xfe\xff\0\xe0" + struct.pack("<I", len(content)) + content)
        else:
            item = b"\xfe\xff\0\xe0\xff\xff\xff\xff" + content + b"\xfe\xff\x0d\xe0\0\0\0\0"
            content = b"\x09\0\x10\0SQ\0\0\xff\xff\xff\xff" + item + b"\xfe\xff\xdd\xe0\0\0\0\0"
    data = file_of(MODALITY, content, ROWS)
    if deep:
        assert code_of(data) == "DICOM_NESTED"
    else:
        file = parse(data, len(data))
        assert file is not None
        assert file.dataset.whole(tags.ROWS) == 64


def with_meta_length(data: bytes, length: int) -> bytes:
    return data[:140] + struct.pack("<I", length) + data[144:]


@pytest.mark.parametrize("length", [0, 5, 29, 1 << 31, 0xFFFFFFFF])
def test_a_wrong_length_of_the_file_meta_information_is_flagged(length: int) -> None:
    """De-identifiers and converters leave it as it was; the elements of group 2 say where the data set starts."""
    data = file_of(MODALITY, ROWS)
    found, plain = (parse(some, len(some)) for some in (with_meta_length(data, length), data))
    assert found is not None
    assert plain is not None
    assert (found.flags, plain.flags) == (("META_LENGTH_DIFFERS",), ())
    assert (found.dataset, found.pixels) == (plain.dataset, plain.pixels)


def test_a_wrong_length_of_a_broken_file_meta_information_does_not_mend_it() -> None:
    data = with_meta_length(file_of(MODALITY), 0)
    assert code_of(data.replace(b"\x02\0\x10\0UI", b"\x02\0\x10\0@@")) == "DICOM_BAD_VR"
    assert code_of(data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1\0" * 2)).startswith("DICOM_")


def test_a_broken_sequence_that_is_not_read_is_passed_over_and_flagged() -> None:
    broken = explicit(9, 0x10, b"SQ", b"\xfe\xff\0\xe0\x08\0\0\0garbage!")
    data = file_of(MODALITY, broken, ROWS)
    file = parse(data, len(data))
    assert file is not None
    assert file.flags == ("SEQUENCE_BROKEN",)
    assert file.dataset.whole(tags.ROWS) == 64


def test_a_data_set_in_the_other_encoding_than_stated_is_read_and_flagged() -> None:
    data = (FILES / "MR_small_implicit.dcm").read_bytes()
    lying = file_of(data[file_meta(data, len(data))[1] :])
    file, right = parse(lying, len(lying)), parse(data, len(data))
    assert file is not None
    assert right is not None
    assert "ENCODING_DIFFERS" in file.flags
    assert file.dataset == right.dataset


def test_sequences_of_undefined_length_are_followed() -> None:
    inner, outer = Dataset(), Dataset()
    inner.RescaleSlope, inner.RescaleIntercept = 2, -1024
    outer.Modality, outer.preamble = "MR", bytes(128)
    outer.SharedFunctionalGroupsSequence = [Dataset()]
    outer.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence = [inner]
    shared = outer["SharedFunctionalGroupsSequence"]
    shared.is_undefined_length = shared.value[0]["PixelValueTransformationSequence"].is_undefined_length = True
    outer.file_meta = FileMetaDataset()
    outer.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    stream = io.BytesIO()
    outer.save_as(stream, enforce_file_format=False)
    file = parse(stream.getvalue(), len(stream.getvalue()))
    assert file is not None
    transformation = group(file.dataset, 0, tags.PIXEL_VALUE_TRANSFORMATION)
    assert transformation is not None
    assert transformation.decimals(tags.RESCALE_SLOPE) == (2.0,)


@pytest.mark.slow
@pytest.mark.parametrize(
    "places", [{"HOME": "/proc/none"}, {"HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none"}, {"NUMBA_CACHE_DIR": "/proc/none"}]
)
def test_the_walk_is_compiled_where_no_folder_for_it_can_be_written_to(places: dict[str, str]) -> None:
    """As in a container whose file system is read-only."""
    assert _shape_of_ct_small(places) == "(128, 128)\n"


@pytest.mark.slow
@pytest.mark.parametrize("places", [{"XDG_CACHE_HOME": ""}, {"XDG_CACHE_HOME": "relative"}, {"HOME": "", "XDG_CACHE_HOME": ""}])
def test_compiled_loops_are_kept_in_no_checkout(places: dict[str, str], tmp_path: Path) -> None:
    """Neither beside the source nor where the command was typed; a cache named by a relative path does not count."""
    compiled = set(ROOT.rglob("*.nb[ci]"))
    assert _shape_of_ct_small({"HOME": str(tmp_path / "home"), **places}, cwd=tmp_path) == "(128, 128)\n"
    assert set(ROOT.rglob("*.nb[ci]")) == compiled
    assert {path.name for path in tmp_path.iterdir()} <= {"home"}


def _shape_of_ct_small(places: dict[str, str], cwd: Path | None = None) -> str:
    """What a new process prints that decodes a file, in an environment with other places for caches."""
    environment = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    code = f"from medray.data.dicom import decode; print(decode({str(FILES / 'CT_small.dcm')!r}).pixels.shape)"
    command = [sys.executable, "-B", "-c", code]
    done = subprocess.run(command, env={**environment, **places}, cwd=cwd, capture_output=True, text=True, timeout=120)
    return done.stdout or done.stderr
