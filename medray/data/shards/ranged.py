"""A seekable file over one object of a store, read by ranges with read-ahead."""

from __future__ import annotations

import io

from medray.data import store
from medray.data.backends.troubles import changed
from medray.data.store import ObjectInfo
from medray.errors import StoreError

MIN_BYTES, MAX_BYTES = 64 << 10, 8 << 20
PART_BYTES = 2 << 20
MAX_READ_BYTES = 64 << 20
UNKNOWN_BYTES = 1 << 62


class RangedFile(io.RawIOBase):
    """The bytes of an object; the read-ahead grows while reads follow each other and shrinks when they jump.

    Raises (while reading):
        StoreError: also OBJECT_CHANGED, where the etag is no longer the one of ``info``.
        ValueError: more than ``max_read_bytes`` are asked for at once.
    """

    def __init__(self, info: ObjectInfo, max_read_bytes: int = MAX_READ_BYTES) -> None:
        self._info = info
        self._size = info.size if info.size >= 0 else UNKNOWN_BYTES
        self._max_read_bytes = max_read_bytes
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
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Up to ``size`` bytes, fewer only at the end."""
        left = max(0, self._size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > self._max_read_bytes:
            raise ValueError("too much is asked for at once")
        if wanted and not self._start <= self._position <= self._position + wanted <= self._start + len(self._data):
            self._fetch(wanted)
        begin = self._position - self._start
        data = self._data[begin : begin + wanted] if wanted else b""
        self._position += len(data)
        return data

    def _fetch(self, wanted: int) -> None:
        end = self._start + len(self._data)
        follows = self._start <= self._position <= end + self._ahead
        self._ahead = min(self._ahead * 2, MAX_BYTES) if follows else max(self._ahead // 4, MIN_BYTES)
        stop = min(self._size, self._position + max(wanted, self._ahead))
        starts = range(self._position, stop, PART_BYTES)
        bounds = [(start, min(start + PART_BYTES, stop)) for start in starts]
        parts = store.read_many([self._info.uri] * len(bounds), bounds, [self._info.etag] * len(bounds))
        for part, (start, end) in zip(parts, bounds, strict=True):
            if isinstance(part, StoreError):
                raise part
            if len(part) != end - start and self._info.size >= 0:
                raise changed(self._info.uri)
        self._start, self._data = self._position, b"".join(part for part in parts if isinstance(part, bytes))
