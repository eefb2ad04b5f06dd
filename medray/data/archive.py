"""Archives: loose objects and the members of shards (.tar, .tar.zst, .tzst, .zip) behind one way to list and to read.

Members are read by ranges out of their shard, which is never unpacked. The URI of a member is its address (see
:mod:`medray.data.address`); its etag is the shard's. An archive inside a shard is a member like any other and is not entered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from medray.data import address, store, tar
from medray.data.address import Address
from medray.data.ranged import RangedFile
from medray.data.spans import Span, fetch
from medray.data.store import ObjectInfo
from medray.errors import InputError, Quarantined, StoreError

_SHARD = re.compile(r"\.(tar|tar\.zst|tzst|zip)$", re.I)
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True)
class Member:
    """One member of a shard; with ``error`` it has a row of its own but cannot be read.

    Attributes:
        info: address, size once unpacked, and the shard's etag. The shard's own URI where the shard itself is broken.
        name: as in the shard.
        error: ARCHIVE_UNSAFE_MEMBER, ARCHIVE_ENCRYPTED, ARCHIVE_METHOD, ARCHIVE_BOMB, ARCHIVE_BROKEN.
    """

    info: ObjectInfo
    name: str
    error: InputError | None = None


def is_shard(uri: str) -> bool:
    """Whether a URI names a shard, by its ending."""
    return _SHARD.search(uri) is not None


def shard_of(uri: str) -> str:
    """The shard that an address is in; a loose object's URI as it is."""
    found = address.parse(uri)
    return found.shard if found else uri


def members(info: ObjectInfo) -> Iterator[Member]:
    """The members of a shard in the order of their bytes, folders left out, in bounded memory.

    Damage ends the iteration with a member whose ``info`` is the shard itself; those before it can be read.

    Raises:
        StoreError
    """
    try:
        yield from _tar_members(info)
    except Quarantined as error:
        yield Member(info, "", error)


def _tar_members(info: ObjectInfo) -> Iterator[Member]:
    for header in tar.headers(RangedFile(info), info.size):
        start, end = header.offset_data, header.offset_data + (header.size if header.isreg() else 0)
        error = tar.problem(header) or unsafe_name(header.name) or _cut(end, info.size)
        yield member(info, Address(info.uri, start, end, header.name, error=error.code if error else ""), error)


def member(info: ObjectInfo, found: Address, error: InputError | None = None) -> Member:
    """The member of the shard ``info`` at an address."""
    return Member(ObjectInfo(str(found), found.length, info.etag), found.name, error)


def unsafe_name(name: str) -> InputError | None:
    """ARCHIVE_UNSAFE_MEMBER where a name would leave the folder that it is unpacked in."""
    plain = name.replace("\\", "/")
    if not name or plain.startswith("/") or _DRIVE.match(plain) or ".." in plain.split("/") or "\0" in name:
        return Quarantined("ARCHIVE_UNSAFE_MEMBER", "the name of a member points outside the archive")
    return None


def _cut(end: int, size: int) -> InputError | None:
    return Quarantined("ARCHIVE_BROKEN", "the shard ends inside this member") if end > size else None


def list_objects(source: str) -> list[ObjectInfo]:
    """Loose objects and the members of shards under a prefix, sorted by URI; a broken shard stands for what it lost.

    Raises:
        StoreError
    """
    found = (members(info) if is_shard(info.uri) else [Member(info, "")] for page in store.pages(source) for info in page)
    return sorted((item.info for item in chain.from_iterable(found)), key=lambda info: info.uri)


def read_many(
    uris: Sequence[str], ranges: Sequence[tuple[int, int]] | None = None, etags: Sequence[str] | None = None
) -> list[bytes | StoreError | InputError]:
    """Many objects or members, or one byte range [start, end) of each; a failure takes its own place only.

    Args:
        uris: URIs of loose objects and addresses of members; neighbours of a shard are fetched together.
        ranges: within the unpacked member; one that is shorter gives what it has.
        etags: as listed (a member's is its shard's); other content by now gives OBJECT_CHANGED.
    """
    answers: dict[int, bytes | StoreError | InputError] = {}
    spans: dict[int, Span] = {}
    for index, uri in enumerate(uris):
        try:
            spans[index] = _span(uri, ranges[index] if ranges else None, etags[index] if etags else "")
        except InputError as error:
            answers[index] = error
    answers |= zip(spans, fetch(list(spans.values())), strict=True)
    return [answers[index] for index in range(len(uris))]


def _span(uri: str, bounds: tuple[int, int] | None, etag: str) -> Span:
    found = address.parse(uri)
    if found is None:
        if is_shard(uri):
            raise Quarantined("ARCHIVE_BROKEN", "the shard is broken")
        return Span(uri, bounds[0], bounds[1], etag) if bounds else Span(uri, etag=etag)
    if found.error:
        raise Quarantined(found.error, "the member was refused when the shard was listed")
    start, end = bounds or (0, found.length)
    return Span(found.shard, found.start + start, min(found.start + end, found.end), etag)
