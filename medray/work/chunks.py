"""Random access to the records of chunk files: mapped where they lie on this node, else read from the store in byte ranges.

No byte is used unless its checksum is the one that was noted when it was written.
"""

from __future__ import annotations

import logging
import zlib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from medray.data import store
from medray.errors import StoreError
from medray.types import Int64, UInt8

_MAPPED = 256
"""Files that are mapped at a time: each takes a file descriptor."""

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

    def path(self, name: str) -> Path | None:
        """Where a file is if it is there; None where none is kept."""
        ...

    def drop(self, name: str) -> None:
        """Forget a file that is not what it should be."""
        ...


class InPlace:
    """The files of a table on a local path."""

    def __init__(self, uri: str) -> None:
        self._folder = Path(store.normalise(uri))

    def path(self, name: str) -> Path:
        """In the table's folder."""
        return self._folder / name

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
        self._mapped = lru_cache(_MAPPED)(self._map)

    def read(self, places: Places) -> UInt8:
        """Some records, uint8 (n, size).

        Raises:
            StoreError: SAMPLE_CHANGED where what lies in the store is not what was written; what reading from it raises.
        """
        found = np.empty((len(places.file), self._size), np.uint8)
        there = np.zeros(len(found), np.bool_)
        for file in np.unique(places.file):
            wanted = np.flatnonzero(places.file == file)
            there[wanted] = self._copy(int(file), places.of(wanted), found, wanted)
        absent = np.flatnonzero(~there)
        if len(absent):
            found[absent] = self._fetched(places.of(absent))
        return found

    def _copy(self, file: int, places: Places, found: UInt8, at: Int64) -> bool:
        """Copy records of one file to their places in ``found``; False where the file is not here, or not what was written."""
        path = self._kept.path(self._names[file])
        if path is None:
            return False
        try:
            if path.stat().st_size < (int(places.row.max()) + 1) * self._size:  # else reading a mapping that was cut kills
                raise ValueError
            found[at] = self._mapped(file, path.stat().st_ino)[places.row]
        except FileNotFoundError:
            return False
        except (OSError, ValueError, IndexError):
            return self._damaged(file)
        return _sound(found[at], places.crc32) or self._damaged(file)

    def _map(self, file: int, inode: int) -> UInt8:
        """A file as records, uint8 (n, size), without reading it."""
        path = self._kept.path(self._names[file])
        assert path is not None
        data = np.memmap(path, np.uint8, mode="r")
        return data[: len(data) // self._size * self._size].reshape(-1, self._size)

    def _damaged(self, file: int) -> bool:
        _logger.warning(f"{self._names[file]} is not what was written: its samples are read from the store")
        self._kept.drop(self._names[file])
        return False

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


def _sound(records: UInt8, crcs: Int64) -> bool:
    return all(zlib.crc32(record) == crc for record, crc in zip(records, crcs.tolist(), strict=True))
