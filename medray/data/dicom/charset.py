"""Whether text is in the Specific Character Set that the file states (PS3.3 C.12.1.1.2, PS3.5 6.1)."""

from __future__ import annotations

import re

from pydicom.charset import python_encoding

from medray.data.dicom.dataset import decoded

_ESCAPE = b"\x1b"
_LATIN = {"100", "101", "109", "110", "148", "203"}
_CONTROL = re.compile(rb"[\x80-\x9f]")  # C1: no character of an ISO 8859 set, and not used (PS3.5 6.1.1)
_NOT_KATAKANA = re.compile(rb"[\x80-\xa0\xe0-\xff]")  # JIS X 0201
_LATIN_9 = "iso8859_15"  # ISO_IR 203, which pydicom does not know


def is_plain(raw: bytes) -> bool:
    """Whether text is the same in every character set: ASCII without escape sequences."""
    return raw.isascii() and _ESCAPE not in raw


def is_valid(raw: bytes, charset: str) -> bool:
    """Whether text that is not plain is in its character set.

    Not so is text of bytes that the set has no characters for, of more than ASCII where none is stated, of escape sequences to
    sets that are not stated, and of a set that the standard does not know. UTF-8 reads as characters of a Latin set, too, but as
    pairs that no name holds ("Ã¼"): such text is UTF-8.

    Args:
        raw: the value field.
        charset: value of Specific Character Set.
    """
    names = [_normal(name) for name in charset.split("\\")]
    if any(name and name not in _KNOWN for name in names):
        return False
    first = names[0].split(" ")[-1]
    if _ESCAPE not in raw:
        return _is_of(raw, first)
    text = decoded(raw, charset)
    start = raw[: raw.index(_ESCAPE)]
    allows_escapes = any("2022" in name for name in names)
    return allows_escapes and not {"\ufffd", "\x1b"} & set(text) and (start.isascii() or _is_of(start, first))


def _is_of(raw: bytes, name: str) -> bool:
    """Whether text without escape sequences is in one set, named by the last word of its defined term."""
    if name in ("", "6"):
        return raw.isascii()
    if name == "13":
        return _NOT_KATAKANA.search(raw) is None
    encoding = _LATIN_9 if name == "203" else next(value for key, value in python_encoding.items() if key.split(" ")[-1] == name)
    if not _decodes(raw, encoding):
        return False
    is_eight_bits = name in _LATIN or encoding.startswith("iso_ir_1")
    return not (is_eight_bits and _CONTROL.search(raw)) and not (name in _LATIN and _decodes(raw, "utf-8"))


def _decodes(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _normal(name: str) -> str:
    """A defined term with the spaces of the standard: ``ISO-IR 100`` and ``ISO_IR_100`` are often seen and understood."""
    return re.sub(r"[ _-]+", " ", name.strip(" \0").upper())


_KNOWN = frozenset(map(_normal, python_encoding)) | {"ISO IR 203", "ISO 2022 IR 203"}
