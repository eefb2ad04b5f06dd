"""Archives: loose objects and the members of shards (.tar, .tar.zst, .tzst, .zip) behind one way to list and to read.

Members are read by ranges out of their shard, which is never unpacked. The URI of a member is its address (see
:mod:`medray.data.shards.address`); its etag is the shard's. An archive inside a shard is a member like any other, and not
entered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby

from medray.data import store
from medray.data.backends.troubles import changed
from medray.data.shards import address, tar, zips, zstd
from medray.data.shards.address import Address
from medray.data.shards.ranged import RangedFile
from medray.data.shards.spans import Span, fetch
from medray.data.store import ObjectInfo
from medray.errors import InputError, Quarantined, StoreError

_SHARD = re.compile(r"\.(tar|tar\.zst|tzst|zip)$", re.I)
_DRIVE = re.compile(r"[A-Za-z]:")

Answer = bytes | StoreError | InputError


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


def members(info: ObjectInfo) -> Iterator[Member]:
    """The members of a shard in the order of their bytes, folders left out, in bounded memory.

    Damage ends the iteration with a member whose ``info`` is the shard itself; those before it can be read.

    Raises:
        StoreError
    """
    listed = _zip_members if info.uri.lower().endswith(".zip") else _tar_members
    try:
        yield from listed(info)
    except Quarantined as error:
        yield Member(info, "", error)


def _tar_members(info: ObjectInfo) -> Iterator[Member]:
    plain = info.uri.lower().endswith(".tar")
    stream = None if plain else zstd.Stream(info)
    for header in tar.headers(stream or RangedFile(info), info.size if plain else None):
        start, end = header.offset_data, header.offset_data + (header.size if header.isreg() else 0)
        error = tar.problem(header) or _unsafe_name(header.name)
        if plain and end > info.size:
            error = Quarantined("ARCHIVE_BROKEN", "the shard ends inside this member")
        code = error.code if error else ""
        frame = stream.frame(start) if stream else None
        yield _member(info, Address(info.uri, start, end, header.name, "zstd" if stream else "", frame=frame, error=code), error)


def _zip_members(info: ObjectInfo) -> Iterator[Member]:
    for found, trouble in zips.entries(info.uri, RangedFile(info), info.size):
        error = trouble or _unsafe_name(found.name)
        yield _member(info, replace(found, error=error.code if error else ""), error)


def _member(info: ObjectInfo, found: Address, error: InputError | None) -> Member:
    return Member(ObjectInfo(str(found), found.length, info.etag), found.name, error)


def _unsafe_name(name: str) -> InputError | None:
    plain = name.replace("\\", "/")
    if not name or plain.startswith("/") or _DRIVE.match(plain) or ".." in plain.split("/") or "\0" in name:
        return Quarantined("ARCHIVE_UNSAFE_MEMBER", "the name of a member points outside the archive")
    return None


def list_objects(source: str) -> list[ObjectInfo]:
    """Loose objects and the members of shards under a prefix, sorted by URI; a broken shard stands for what it lost.

    Raises:
        StoreError
    """
    found = (members(info) if is_shard(info.uri) else [Member(info, "")] for page in store.pages(source) for info in page)
    return sorted((item.info for item in chain.from_iterable(found)), key=lambda info: info.uri)


def read_many(
    uris: Sequence[str], ranges: Sequence[tuple[int, int]] | None = None, etags: Sequence[str] | None = None
) -> list[Answer]:
    """Many objects or members, or one byte range [start, end) of each; a failure takes its own place only.

    Args:
        uris: URIs of loose objects and addresses of members; neighbours of a shard are fetched together.
        ranges: within the unpacked member; one that is shorter gives what it has.
        etags: as listed (a member's is its shard's); other content by now gives OBJECT_CHANGED.
    """
    wanted = [_wanted(uri, ranges[i] if ranges else None, etags[i] if etags else "") for i, uri in enumerate(uris)]
    answers: dict[int, Answer] = {i: item for i, item in enumerate(wanted) if isinstance(item, InputError)}
    parts = {i: item for i, item in enumerate(wanted) if isinstance(item, _Part)}
    packed = {i: part for i, part in parts.items() if part.found and part.found.method == "zstd"}
    answers |= _unpacked(packed)
    direct = {i: part for i, part in parts.items() if i not in packed}
    again = {}
    for index, data in zip(direct, fetch([part.span for part in direct.values()]), strict=True):
        answer = direct[index].unpack(data)
        if answer is None:
            again[index] = direct[index].whole()
        else:
            answers[index] = answer
    for index, data in zip(again, fetch([part.span for part in again.values()]), strict=True):
        answers[index] = again[index].unpack(data) or b""
    return [answers[index] for index in range(len(uris))]


def read(uri: str) -> bytes:
    """A whole object or member.

    Raises:
        StoreError, InputError
    """
    (answer,) = read_many([uri])
    if isinstance(answer, bytes):
        return answer
    raise answer


@dataclass(frozen=True)
class _Part:
    """What to fetch, and which bytes [start, stop) of the member ``found`` to take out of it."""

    span: Span
    found: Address | None = None
    start: int = 0
    stop: int = 0

    def unpack(self, data: bytes | StoreError) -> Answer | None:
        """The bytes asked for; None where more has to be fetched."""
        if self.found is None or isinstance(data, StoreError):
            return data
        if len(data) < (self.span.end or 0) - self.span.start:
            return changed(self.span.uri)
        if not self.found.method:
            return data
        try:
            value = zips.unpack(data, self.found, self.stop)
        except Quarantined as error:
            return error
        return None if value is None else value[self.start :]

    def whole(self) -> _Part:
        """The same out of all bytes of the member."""
        assert self.found
        return replace(self, span=replace(self.span, end=self.found.end))


def _wanted(uri: str, bounds: tuple[int, int] | None, etag: str) -> _Part | InputError:
    found = address.parse(uri)
    if found is None:
        if is_shard(uri):
            return Quarantined("ARCHIVE_BROKEN", "the shard is broken")
        return _Part(Span(uri, bounds[0], bounds[1], etag) if bounds else Span(uri, etag=etag))
    if found.error:
        return Quarantined(found.error, "it was refused when it was listed")
    start, stop = bounds or (0, found.length)
    stop = max(0, min(stop, found.length))
    start = min(start, stop)
    if found.method in ("stored", "deflate"):
        return _Part(Span(found.shard, found.start, zips.needed(found, stop), etag), found, start, stop)
    return _Part(Span(found.shard, found.start + start, found.start + stop, etag), found, start, stop)


def _unpacked(parts: Mapping[int, _Part]) -> dict[int, Answer]:
    """Members of zstd shards, each shard in the order of its bytes."""
    answers: dict[int, Answer] = {}
    ordered = sorted(parts, key=lambda i: (parts[i].span.uri, parts[i].span.etag, parts[i].span.start))
    for (shard, etag), group in groupby(ordered, key=lambda i: (parts[i].span.uri, parts[i].span.etag)):
        indices = list(group)
        wanted = [(part.found, part.start, part.stop) for part in map(parts.__getitem__, indices) if part.found]
        answers |= zip(indices, zstd.read(shard, etag, wanted), strict=True)
    return answers
