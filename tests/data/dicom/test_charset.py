"""Text in another character set than stated is flagged, and never makes one patient of two."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from hostile.layout import layout
from hostile.samples import change, mr
from pydicom.charset import python_encoding

from medray.data.dicom import inspect
from medray.data.pseudonym import patient_key
from medray.types import Header

FOLDER = Path(pydicom.__file__).parent / "data" / "charset_files"
CHARSET_FILES = sorted(path for path in FOLDER.glob("chr*.dcm") if not path.stem.startswith("chrSQ"))  # these name nobody


def header(charset: str, **texts: bytes) -> Header:
    """Of the MR image with these raw texts."""
    padded = {keyword: raw + b" " * (len(raw) % 2) for keyword, raw in texts.items()}
    data = change(mr(), SpecificCharacterSet=charset or None, **padded)
    found = inspect(data, len(data))
    assert found is not None
    return found


def key_of(charset: str, raw: bytes) -> str:
    return header(charset, PatientID=raw).patient_key


VALID = {
    "none, ASCII": ("", b"Muller^Jan"),
    "Latin-1": ("ISO_IR 100", "Müller^Ján".encode("latin-1")),
    "Latin-2": ("ISO_IR 101", "Dvořák^Jiří".encode("iso8859_2")),
    "Latin-9": ("ISO_IR 203", "Šimek^Žofie".encode("iso8859_15")),
    "Turkish": ("ISO_IR 148", "Çelik^Gülşah".encode("iso8859_9")),
    "Cyrillic": ("ISO_IR 144", "Люкceмбypг".encode("iso8859_5")),
    "Greek": ("ISO_IR 126", "Διονυσιος".encode("iso8859_7")),
    "Hebrew": ("ISO_IR 138", "שרון^דבורה".encode("iso8859_8")),
    "UTF-8": ("ISO_IR 192", "Müller^王^小東".encode()),
    "UTF-8 with a replacement character that was stored": ("ISO_IR 192", "M\ufffdller".encode()),
    "GB18030": ("GB18030", "王^小东".encode("gb18030")),
    "GBK": ("GBK", "王^小东".encode("gbk")),
    "katakana": ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ".encode("shift_jis")),
    "Japanese": ("\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"),
    "Korean": ("\\ISO 2022 IR 149", b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7"),
    "Greek by an escape sequence": ("ISO 2022 IR 100\\ISO 2022 IR 126", b"Dionysios is \x1b-F\xc4\xe9\xef\xed"),
    "a term that is spelt otherwise": ("ISO-IR 100", "Müller".encode("latin-1")),
}
FOREIGN = {
    "none, Latin-1": ("", "Müller".encode("latin-1")),
    "none, UTF-8": ("", "Müller".encode()),
    "ASCII, Latin-1": ("ISO_IR 6", "Müller".encode("latin-1")),
    "Latin-1, UTF-8": ("ISO_IR 100", "Müller".encode()),
    "Latin-1, UTF-8 of Chinese": ("ISO_IR 100", "王^小東".encode()),
    "Latin-1, Windows": ("ISO_IR 100", "Šimek".encode("cp1252")),
    "Latin-2, UTF-8": ("ISO_IR 101", "Dvořák".encode()),
    "Cyrillic, UTF-8": ("ISO_IR 144", "Иванова".encode()),
    "Greek, UTF-8": ("ISO_IR 126", "Διονυσιος".encode()),
    "Greek, no character": ("ISO_IR 126", b"\xd2\xff"),
    "UTF-8, Latin-1": ("ISO_IR 192", "Müller".encode("latin-1")),
    "UTF-8, cut": ("ISO_IR 192", "Müllü".encode()[:-1]),
    "GB18030, Latin-1": ("GB18030", b"M\xfc"),
    "katakana, Latin-1": ("ISO_IR 13", "Müller".encode("latin-1")),
    "katakana, shift JIS": ("ISO_IR 13", "山田".encode("shift_jis")),
    "Japanese, no escape sequence": ("\\ISO 2022 IR 87", "Müller".encode("latin-1")),
    "Japanese, Korean": ("\\ISO 2022 IR 87", b"\x1b$)C\xfb\xf3"),
    "Japanese, before the escape sequence": ("\\ISO 2022 IR 87", b"\xfcb\x1b$B;3ED\x1b(B"),
    "Japanese, half a character": ("\\ISO 2022 IR 87", b"\x1b$B;3E\x1b(B"),
    "none, Japanese": ("", b"\x1b$B;3ED\x1b(B"),
    "Latin-1, escape sequence": ("ISO_IR 100", b"Dionysios \x1b-F\xc4\xe9"),
    "UTF-8, escape sequence": ("ISO_IR 192", b"\x1b$B;3ED\x1b(B"),
    "unknown": ("ISO_IR 999", "Müller".encode("latin-1")),
    "unknown, UTF-8": ("WINDOWS-1252", "Müller".encode()),
    "unknown extension": ("\\ISO 2022 IR 999", b"\x1b$B;3ED\x1b(B"),
}
KEYWORDS = ("PatientName", "PatientID", "Manufacturer")


@pytest.mark.parametrize("keyword", KEYWORDS)
@pytest.mark.parametrize(("charset", "raw"), VALID.values(), ids=VALID)
def test_text_in_its_character_set_has_no_flag(charset: str, raw: bytes, keyword: str) -> None:
    assert header(charset, **{keyword: raw}).flags == ()


@pytest.mark.parametrize("keyword", KEYWORDS)
@pytest.mark.parametrize(("charset", "raw"), FOREIGN.values(), ids=FOREIGN)
def test_text_in_another_character_set_is_flagged(charset: str, raw: bytes, keyword: str) -> None:
    assert header(charset, **{keyword: raw}).flags == ("CHARSET_INVALID",)


@pytest.mark.parametrize("path", CHARSET_FILES, ids=lambda path: path.stem)
def test_the_files_of_pydicom_have_no_flag(path: Path) -> None:
    parts = {part.tag: part for part in layout(path.read_bytes()) if part.depth == 0}
    charset, name = (path.read_bytes()[parts[tag].value : parts[tag].end] for tag in (0x00080005, 0x00100010))
    assert header(charset.decode().strip(), PatientName=name).flags == ()


@pytest.mark.parametrize(("charset", "raw"), VALID.values(), ids=VALID)
def test_the_key_of_text_is_that_of_its_letters(charset: str, raw: bytes) -> None:
    """As a table of labels gives them: the character set of the file does not matter."""
    if b"\x1b" in raw or charset == "ISO_IR 203":
        return
    assert key_of(charset, raw) == patient_key(raw.decode(python_encoding[charset.replace("-", "_")]))


@pytest.mark.parametrize(("charset", "raw"), FOREIGN.values(), ids=FOREIGN)
def test_ids_that_differ_in_what_cannot_be_read_have_keys_of_their_own(charset: str, raw: bytes) -> None:
    first = next(at for at, byte in enumerate(raw) if byte > 127) if not raw.isascii() else raw.index(b";")
    keys = {key_of(charset, raw[:first] + bytes([raw[first] ^ flip]) + raw[first + 1 :]) for flip in (0, 1, 2, 3)}
    assert len(keys) == 4


def test_an_id_that_cannot_be_read_is_taken_by_its_bytes() -> None:
    raw = "MÜLLER1".encode("latin-1")
    assert key_of("ISO_IR 192", raw) == patient_key(raw) == key_of("ISO_IR 192", raw + b" ")
    assert key_of("ISO_IR 192", raw) != key_of("ISO_IR 192", "MÖLLER1".encode("latin-1"))
    assert key_of("ISO_IR 192", "MÜLLER1".encode()) == key_of("ISO_IR 100", raw) == patient_key("MÜLLER1")


def test_no_id_has_no_key() -> None:
    assert (patient_key(""), patient_key(b"")) == ("", "")
