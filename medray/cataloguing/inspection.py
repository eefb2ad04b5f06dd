"""Objects → catalog entries: read the first bytes of many objects at once, and more only where needed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from medray.data import archive
from medray.data.by_size import by_size
from medray.data.catalog import Entry
from medray.data.store import ObjectInfo
from medray.errors import InputError, MedrayError, Quarantined, StoreError
from medray.types import Header

FIRST_BYTES, NEXT_BYTES = 16 * 1024, 64 * 1024
"""98 % of headers end in the first; the others are read on to the next, then to twice as much again and again."""

TAIL_BYTES = 4 * 1024
BATCH = 256
_UNKNOWN_SIZE_BYTES = 4 << 20
_SEQUENCE_DELIMITER = bytes.fromhex("feffdde000000000")  # ends encapsulated pixel data (PS3.5 A.4)


@dataclass(frozen=True)
class Item:
    """An object to look at; with an ``error`` it is known already that it has no header.

    Attributes:
        info: size −1 where it is unknown.
        shard_uri, member: the shard and the member's name in it; "" for a loose object.
    """

    info: ObjectInfo
    shard_uri: str = ""
    member: str = ""
    error: InputError | StoreError | None = None

    def entry(self, outcome: Header | MedrayError, content_sha256: str = "") -> Entry:
        """The catalog entry that this outcome makes."""
        return Entry(self.info, outcome, self.shard_uri, self.member, content_sha256)


@dataclass(frozen=True)
class _Read:
    """An item and the bytes of it that were read so far, from its start; or why it cannot be read."""

    item: Item
    data: bytes = b""
    error: InputError | StoreError | None = None

    @property
    def whole(self) -> bool:
        size = self.item.info.size
        return self.error is None and (len(self.data) >= size if size >= 0 else bool(self.data))

    def content(self) -> bytes:
        """The bytes.

        Raises:
            InputError, StoreError
        """
        if self.error is not None:
            raise self.error
        return self.data

    def on(self, part: archive.Answer) -> _Read:
        """The same item with more bytes."""
        if isinstance(part, bytes):
            return _Read(self.item, self.data + part)
        return _Read(self.item, self.data, part)


def inspected(items: Iterable[Item]) -> Iterator[list[Entry]]:
    """Entries of objects in batches, in no order; the next batch is fetched while the present one is parsed."""
    with ThreadPoolExecutor(1) as pool:
        ahead: Future[list[_Read]] | None = None
        for batch in _batches(items):
            ahead, ready = pool.submit(_heads, batch), ahead
            if ready is not None:
                yield list(_entries(ready.result()))
        if ahead is not None:
            yield list(_entries(ahead.result()))


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Up to 256 objects whose first reads are at most 64 MiB (objects of unknown size are read whole)."""
    rest = iter(items)
    for batch in iter(lambda: list(islice(rest, BATCH)), []):
        yield from by_size(batch, lambda item: _UNKNOWN_SIZE_BYTES if item.info.size < 0 else FIRST_BYTES)


def _heads(items: list[Item]) -> list[_Read]:
    failed = [_Read(item, error=item.error) for item in items if item.error is not None]
    good = [_Read(item) for item in items if item.error is None]
    sized = [read for read in good if read.item.info.size >= 0]
    return failed + _read_on(sized, FIRST_BYTES) + _whole([read for read in good if read.item.info.size < 0])


def _entries(reads: list[_Read]) -> Iterator[Entry]:
    """Entries of objects whose first bytes, at least, were read."""
    from medray.data.dicom.syntaxes import is_encapsulated  # here, because a run that finds nothing new loads no decoder

    short: list[_Read] = []
    compressed: list[tuple[_Read, Header]] = []
    for read in reads:
        try:
            header = _header(read)
        except (InputError, StoreError) as error:
            yield read.item.entry(error, _sha256(read))
            continue
        if header is None:
            short.append(read)
        elif is_encapsulated(header.transfer_syntax):
            compressed.append((read, header))
        else:
            yield read.item.entry(header, _sha256(read))
    yield from _ended(compressed)
    end = max((_next_end(read) for read in short), default=0)
    for group in by_size(short, lambda read: min(end, read.item.info.size)):
        yield from _entries(_read_on(group, end))


def _header(read: _Read) -> Header | None:
    from medray.data.dicom import inspect

    header = inspect(read.content(), max(read.item.info.size, len(read.data)))
    if header is None and read.whole:
        raise Quarantined("DICOM_TRUNCATED", "the file ends inside its header")
    return header


def _next_end(read: _Read) -> int:
    return max(NEXT_BYTES, 2 * len(read.data))


def _ended(reads: list[tuple[_Read, Header]]) -> Iterator[Entry]:
    """Entries of compressed images; those that are whole or lack the mark of an end have their last frame decoded."""
    parts = [(read, header) for read, header in reads if not read.whole]
    open_ended = [read for read, _ in reads if read.whole]
    for (read, header), tail in zip(parts, _tails([read for read, _ in parts]), strict=True):
        if isinstance(tail, bytes) and _SEQUENCE_DELIMITER not in tail:
            open_ended.append(read)
        else:
            yield read.item.entry(header if isinstance(tail, bytes) else tail)
    for group in by_size(open_ended, lambda read: 0 if read.whole else read.item.info.size):
        yield from map(_decoded, _whole(group))


def _tails(reads: list[_Read]) -> list[archive.Answer]:
    """The last bytes of objects, without those that may belong to the header."""
    found = _fetch([(read.item, max(len(read.data), read.item.info.size - TAIL_BYTES), read.item.info.size) for read in reads])
    seam = len(_SEQUENCE_DELIMITER) - 1
    return [read.data[-seam:] + tail if isinstance(tail, bytes) else tail for read, tail in zip(reads, found, strict=True)]


def _decoded(read: _Read) -> Entry:
    from medray.data.dicom import decode

    try:
        header = _header(read)
        if header is None:
            raise Quarantined("PIXELS_TRUNCATED", "the pixel data is cut off")
        decode(read.content(), header.frames - 1 if header.frames > 1 else None)
        return read.item.entry(header, _sha256(read))
    except (InputError, StoreError) as error:
        return read.item.entry(error, _sha256(read))


def _sha256(read: _Read) -> str:
    return hashlib.sha256(read.data).hexdigest() if read.whole else ""


def _read_on(reads: list[_Read], end: int) -> list[_Read]:
    """The same objects, read up to byte ``end``."""
    parts = _fetch([(read.item, len(read.data), min(end, read.item.info.size)) for read in reads])
    return [read.on(part) for read, part in zip(reads, parts, strict=True)]


def _whole(reads: list[_Read]) -> list[_Read]:
    """The same objects, read to their end."""
    infos = [read.item.info for read in reads if not read.whole]
    found = iter(archive.read_many([info.uri for info in infos], etags=[info.etag for info in infos]))
    return [read if read.whole else _Read(read.item).on(next(found)) for read in reads]


def _fetch(wanted: Sequence[tuple[Item, int, int]]) -> list[archive.Answer]:
    """Byte ranges of objects, each only if it is still the object that was listed; an empty range needs no request."""
    asked = [(item.info, (start, end)) for item, start, end in wanted if end > start]
    found = iter(
        archive.read_many([info.uri for info, _ in asked], [part for _, part in asked], etags=[info.etag for info, _ in asked])
    )
    return [next(found) if end > start else b"" for _, start, end in wanted]
