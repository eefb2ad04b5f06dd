"""Members of zip archives (APPNOTE 6.3.10): the central directory by the standard library, the data by ranges.

Stored and deflated members are read; encrypted ones, other methods, bombs and members that share bytes are refused one by one.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from medray.data.shards.address import Address
from medray.errors import InputError, Quarantined

MAX_MEMBER_BYTES, MAX_RATIO, SMALL_BYTES = 4 << 30, 1000, 1 << 20
_LOCAL = struct.Struct("<4s5H3L2H")
_EXTRA_BYTES = 2 * 65535 + 24  # name, extra field and data descriptor
_METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflate"}
_BROKEN = (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, OverflowError, IndexError, struct.error)


def entries(shard: str, file: Any, size: int) -> Iterator[tuple[Address, InputError | None]]:
    """The address of every member but folders, in the order of their bytes, and why one cannot be read.

    Args:
        shard: URI of the archive.
        file: its bytes, seekable.
        size: its length in bytes.

    Raises:
        Quarantined: ARCHIVE_BROKEN where there is no whole directory.
        StoreError
    """
    try:
        with zipfile.ZipFile(file) as archive:
            found, stop = archive.infolist(), min(archive.start_dir, size)
    except _BROKEN as error:
        raise Quarantined("ARCHIVE_BROKEN", f"no zip directory ({type(error).__name__})") from error
    found.sort(key=lambda entry: (entry.header_offset, entry.filename))
    last: tuple[int, str] | None = None
    for entry, following in zip_longest(found, found[1:]):
        key = (entry.header_offset, entry.filename)
        if (entry.filename.endswith("/") and not entry.file_size) or key == last:
            continue
        last = key
        end = min(following.header_offset, stop) if following else stop
        trouble = _problem(entry, end, stop)
        yield _address(shard, entry, end, trouble), trouble


def _address(shard: str, entry: zipfile.ZipInfo, end: int, error: InputError | None) -> Address:
    start = max(0, entry.header_offset)
    end = max(start, min(end, start + _LOCAL.size + entry.compress_size + _EXTRA_BYTES))
    method = _METHODS.get(entry.compress_type, "")
    code = error.code if error else ""
    return Address(shard, start, end, entry.filename, method, entry.file_size, entry.CRC, None, code)


def _problem(entry: zipfile.ZipInfo, end: int, stop: int) -> InputError | None:
    if stat.S_ISLNK(entry.external_attr >> 16):
        return Quarantined("ARCHIVE_UNSAFE_MEMBER", "a member is a link")
    if entry.flag_bits & 0x41:
        return Quarantined("ARCHIVE_ENCRYPTED", "a member is encrypted")
    if entry.compress_type not in _METHODS:
        return Quarantined("ARCHIVE_METHOD", f"a member is packed with method {entry.compress_type}")
    if not 0 <= entry.header_offset <= stop - _LOCAL.size - entry.compress_size:
        return Quarantined("ARCHIVE_BROKEN", "a member lies outside the archive")
    if entry.header_offset + _LOCAL.size + entry.compress_size > end:
        return Quarantined("ARCHIVE_BOMB", "a member shares bytes with the next one")
    ratio = entry.file_size / max(1, entry.compress_size)
    if entry.file_size > MAX_MEMBER_BYTES or (entry.file_size > SMALL_BYTES and ratio > MAX_RATIO):
        return Quarantined("ARCHIVE_BOMB", f"a member of {entry.compress_size} bytes unpacks to {entry.file_size}")
    return None


def needed(found: Address, stop: int) -> int:
    """Up to which byte of the shard to read for the first ``stop`` bytes of a member; rarely more is needed."""
    if stop >= found.length:
        return found.end
    return min(found.end, found.start + _LOCAL.size + 1024 + stop + stop // 256)


def unpack(data: bytes, found: Address, stop: int) -> bytes | None:
    """The first ``stop`` bytes of a member (all of it: checked against its length and CRC); None where ``data`` is too short.

    Args:
        data: the bytes of the shard from ``found.start``.

    Raises:
        Quarantined: ARCHIVE_BROKEN.
    """
    whole = len(data) >= found.end - found.start
    if len(data) < _LOCAL.size or not data.startswith(b"PK\x03\x04"):
        raise Quarantined("ARCHIVE_BROKEN", "the member has no local header")
    fields = _LOCAL.unpack_from(data)
    body = memoryview(data)[_LOCAL.size + fields[-2] + fields[-1] :]
    try:
        value = bytes(body[:stop]) if found.method == "stored" else zlib.decompressobj(-zlib.MAX_WBITS).decompress(body, stop + 1)
    except zlib.error as error:
        raise Quarantined("ARCHIVE_BROKEN", "the member cannot be inflated") from error
    if len(value) < min(stop, found.length):
        if not whole:
            return None
        raise Quarantined("ARCHIVE_BROKEN", "the member is shorter than stated")
    if stop >= found.length and (len(value) != found.length or (found.crc is not None and zlib.crc32(value) != found.crc)):
        raise Quarantined("ARCHIVE_BROKEN", "the member does not match its checksum")
    return value[:stop]
