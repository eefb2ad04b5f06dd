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

_GAP_BYTES, _AT_ONCE_BYTES = 1 << 20, 64 << 20

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


class NotKept:
    """Files that stay in the store."""

    def path(self, name: str) -> None:
        """Nowhere."""

    def drop(self, name: str) -> None:
        """Nothing to do."""


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

    def close(self) -> None:
        """Map nothing any more."""
        self._mapped.cache_clear()

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
        """Records from the store: those that lie close together with one request, some 64 MiB at a time."""
        found = np.empty((len(places.file), self._size), np.uint8)
        order = np.lexsort((places.row, places.file))
        apart = (np.diff(places.row[order]) * self._size > _GAP_BYTES) | (np.diff(places.file[order]) != 0)
        waiting: list[Int64] = []
        for run in np.split(order, np.flatnonzero(apart) + 1):
            waiting.append(run)
            if len(waiting) == store.THREADS or sum(map(len, waiting)) * self._size > _AT_ONCE_BYTES:
                self._fetch(waiting, places, found)
                waiting = []
        self._fetch(waiting, places, found)
        return found

    def _fetch(self, runs: list[Int64], places: Places, found: UInt8) -> None:
        """Put the records of runs, each within one file and in its order, to their places in ``found``."""
        uris = [store.join(self._uri, self._names[places.file[run[0]]]) for run in runs]
        spans = [(int(places.row[run[0]]), int(places.row[run[-1]]) + 1) for run in runs]
        answers = store.read_many(uris, [(first * self._size, end * self._size) for first, end in spans])
        for uri, run, (first, end), answer in zip(uris, runs, spans, answers, strict=True):
            if isinstance(answer, StoreError):
                raise answer
            if len(answer) != (end - first) * self._size:
                raise self._changed(uri)
            found[run] = np.frombuffer(answer, np.uint8).reshape(-1, self._size)[places.row[run] - first]
            if not all(zlib.crc32(found[at]) == crc for at, crc in zip(run, places.crc32[run].tolist(), strict=True)):
                raise self._changed(uri)

    def _changed(self, uri: str) -> StoreError:
        return StoreError(
            "SAMPLE_CHANGED", f"{uri} is not what was written", f"remove {self._uri}: the samples are prepared again"
        )


def _most_mapped() -> int:
    """Files that are mapped at a time: each takes a file descriptor."""
    return min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
