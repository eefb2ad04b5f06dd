"""Random access to the records of chunk files: mapped where they lie on this node, else read from the store in byte ranges.

No byte is used unless its checksum is the one that was noted when it was written.
"""

from __future__ import annotations

import logging
import os
import resource
import zlib
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np

from medray.data import store
from medray.errors import StoreError
from medray.types import Int64, UInt8

_logger = logging.getLogger("medray")


class Places(NamedTuple):
    """Where records lie.

    Attributes:
        file: number of the chunk file of each, int64 (n,).
        row: place in it, int64 (n,).
        crc32: checksum, int64 (n,).
    """

    file: Int64
    row: Int64
    crc32: Int64

    def of(self, indices: Int64) -> Places:
        """The places of some records."""
        return Places(self.file[indices], self.row[indices], self.crc32[indices])


class Kept(Protocol):
    """Files that are on this node, or come there by and by."""

    def path(self, name: str) -> str | None:
        """Where a file is if it is there; None where none is kept."""
        ...

    def drop(self, name: str) -> None:
        """Forget a file that is not what it should be."""
        ...


class InPlace:
    """The files of a table on a local path."""

    def __init__(self, uri: str) -> None:
        self._uri = store.normalise(uri)

    def path(self, name: str) -> str:
        """In the table's folder."""
        return f"{self._uri}/{name}"

    def drop(self, name: str) -> None:
        """Stays: it is nobody's copy."""


class Chunks:
    """The records of the chunk files of one table.

    Args:
        uri: the table's.
        names: of the files.
        size: bytes of a record.
        kept: the files on this node.
    """

    def __init__(self, uri: str, names: list[str], size: int, kept: Kept) -> None:
        self._uri, self._names, self._size, self._kept = uri, names, size, kept
        self._mapped = lru_cache(_most_mapped())(self._map)
        self._nothing = np.empty((0, size), np.uint8)

    def read(self, places: Places) -> UInt8:
        """Some records, uint8 (n, size).

        Raises:
            StoreError: SAMPLE_CHANGED where what lies in the store is not what was written; what reading from it raises.
        """
        found = np.empty((len(places.file), self._size), np.uint8)
        absent: list[int] = []
        last, records = -1, self._nothing
        for at, (file, row, crc) in enumerate(zip(*(column.tolist() for column in places), strict=True)):
            if file != last:
                last, records = file, self._records(file)
            if row < len(records):
                found[at] = records[row]
            if row >= len(records) or zlib.crc32(found[at]) != crc:
                if records is not self._nothing:
                    self._forget(file)
                    records = self._nothing
                absent.append(at)
        if absent:
            found[absent] = self._fetched(places.of(np.array(absent)))
        return found

    def _records(self, file: int) -> UInt8:
        """The records of a file, mapped as long as it is what it was; none where it is not here.

        A file that was cut is mapped anew: to read the old mapping beyond the end would kill the process.
        """
        path = self._kept.path(self._names[file])
        if path is None:
            return self._nothing
        try:
            status = os.stat(path)  # noqa: PTH116 (for every read)
            return self._mapped(path, status.st_ino, status.st_size)
        except OSError:
            return self._nothing

    def _map(self, path: str, inode: int, size: int) -> UInt8:
        """A file as records, uint8 (n, size), without reading it."""
        whole = size // self._size
        if not whole:
            return np.empty((0, self._size), np.uint8)
        return np.asarray(np.memmap(path, np.uint8, "r", shape=(whole, self._size)))

    def _forget(self, file: int) -> None:
        _logger.warning(f"{self._names[file]} is not what was written: its samples are read from the store")
        self._kept.drop(self._names[file])

    def _fetched(self, places: Places) -> UInt8:
        uris = [store.join(self._uri, self._names[file]) for file in places.file]
        starts = [int(row) * self._size for row in places.row]
        answers = store.read_many(uris, [(start, start + self._size) for start in starts])
        for uri, answer in zip(uris, answers, strict=True):
            if isinstance(answer, StoreError):
                raise answer
            if len(answer) != self._size:
                raise self._changed(uri)
        found = np.frombuffer(b"".join(answer for answer in answers if isinstance(answer, bytes)), np.uint8)
        found = found.reshape(-1, self._size)
        if not _sound(found, places.crc32):
            raise self._changed(", ".join(sorted(set(uris))[:3]))
        return found

    def _changed(self, uri: str) -> StoreError:
        return StoreError(
            "SAMPLE_CHANGED", f"{uri} is not what was written", f"remove {self._uri}: the samples are prepared again"
        )


def _most_mapped() -> int:
    """Files that are mapped at a time: each takes a file descriptor."""
    return min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)


def _sound(records: UInt8, crcs: Int64) -> bool:
    return all(zlib.crc32(record) == crc for record, crc in zip(records, crcs.tolist(), strict=True))
