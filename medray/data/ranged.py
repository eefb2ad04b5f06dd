"""A seekable file over one object of a store, read by ranges with read-ahead."""

from __future__ import annotations

import io
import tarfile

from medray.data import store
from medray.data.store import ObjectInfo
from medray.errors import StoreError

MIN_BYTES, MAX_BYTES = 64 << 10, 8 << 20
MAX_READ_BYTES = 64 << 20


class RangedFile(io.RawIOBase):
    """The bytes of an object; the read-ahead grows while reads follow each other and shrinks when they jump.

    Raises (while reading):
        StoreError: also OBJECT_CHANGED, where the etag is no longer the one of ``info``.
        tarfile.ReadError: more than 64 MiB are asked for at once.
    """

    def __init__(self, info: ObjectInfo) -> None:
        self._info = info
        self._position = 0
        self._start, self._data = 0, b""
        self._ahead = MIN_BYTES

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; nothing is read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._info.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Up to ``size`` bytes, fewer only at the end."""
        left = max(0, self._info.size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > MAX_READ_BYTES:
            raise tarfile.ReadError("an entry is too long")
        if not self._start <= self._position <= self._position + wanted <= self._start + len(self._data):
            self._fetch(wanted)
        begin = self._position - self._start
        self._position += wanted
        return self._data[begin : begin + wanted]

    def _fetch(self, wanted: int) -> None:
        end = self._start + len(self._data)
        follows = self._start <= self._position <= end + self._ahead
        self._ahead = min(self._ahead * 2, MAX_BYTES) if follows else max(self._ahead // 4, MIN_BYTES)
        stop = min(self._info.size, self._position + max(wanted, self._ahead))
        (answer,) = store.read_many([self._info.uri], [(self._position, stop)], [self._info.etag])
        if isinstance(answer, StoreError):
            raise answer
        if len(answer) != stop - self._position:
            raise StoreError("OBJECT_CHANGED", f"{self._info.uri} is shorter than listed", "run again", retryable=True)
        self._start, self._data = self._position, answer
