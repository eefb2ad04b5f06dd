"""The bytes inside a zstd file (RFC 8878) as a file that is read forwards, frame by frame, in bounded memory."""

from __future__ import annotations

import tarfile
from collections import OrderedDict, deque
from typing import Any

from medray.data.address import Address
from medray.data.ranged import RangedFile
from medray.data.store import ObjectInfo
from medray.errors import Quarantined

MAX_WINDOW_BYTES = 128 << 20
MAX_RATIO, SMALL_BYTES = 1000, 1 << 30
NEAR_BYTES = 1 << 20
_STEP_BYTES = 4096  # a step unpacks to 128 MiB at most
_KEPT = 4
_open: OrderedDict[tuple[str, str], Stream] = OrderedDict()


class Stream:
    """A forward reader; ``seek`` backwards is refused.

    Args:
        info: the object; a size of -1 is not known.
        frame: start at byte C of the object, which holds byte D of what is inside.
        max_read_bytes: most that one ``read`` may ask for.

    Raises (while reading):
        Quarantined: ARCHIVE_BROKEN, ARCHIVE_BOMB.
        StoreError
    """

    def __init__(self, info: ObjectInfo, frame: tuple[int, int] = (0, 0), max_read_bytes: int = 4 << 30) -> None:
        import zstandard

        self._file = RangedFile(info)
        self._file.seek(frame[0])
        self._first = frame
        self._codec = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
        self._frames: deque[tuple[int, int]] = deque()
        self._decoder: Any = None
        self._rest = b""
        self._start, self._data = frame[1], b""
        self._position = frame[1]
        self._max_read_bytes = max_read_bytes

    def tell(self) -> int:
        """The position in bytes of what is inside."""
        return self._position

    def packed(self) -> int:
        """The position in bytes of the object."""
        return self._file.tell() - len(self._rest)

    def frame(self, offset: int) -> tuple[int, int]:
        """The frame that holds byte ``offset``, which is not smaller than in the call before."""
        while len(self._frames) > 1 and self._frames[1][1] <= offset:
            self._frames.popleft()
        return self._frames[0] if self._frames else self._first

    def seek(self, offset: int) -> int:
        """Move forwards, or back to the start of the last step."""
        if offset < self._start:
            raise ValueError("a zstd stream is read forwards")
        while offset > self._start + len(self._data) and (data := self._more()) is not None:
            self._start, self._data = self._start + len(self._data), data
        self._position = offset
        return offset

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes, fewer only at the end."""
        if size > self._max_read_bytes:
            raise tarfile.ReadError("an entry is too long")
        parts = [self._data[max(0, self._position - self._start) :]]
        length = len(parts[0])
        while length < size and (data := self._more()) is not None:
            self._start, self._data = self._start + len(self._data), data
            parts.append(data)
            length += len(data)
        value = b"".join(parts)[:size]
        self._position += len(value)
        return value

    def _more(self) -> bytes | None:
        import zstandard

        chunk = self._rest or self._file.read(_STEP_BYTES)
        if not chunk:
            if self._decoder is not None:
                raise Quarantined("ARCHIVE_BROKEN", "the shard is cut inside a zstd frame")
            return None
        inside = self._start + len(self._data)
        if self._decoder is None:
            self._frames.append((self._file.tell() - len(chunk), inside))
            self._decoder = self._codec.decompressobj(write_size=1 << 15)
        try:
            data: bytes = self._decoder.decompress(chunk)
        except zstandard.ZstdError as error:
            raise Quarantined("ARCHIVE_BROKEN", "the shard is no zstd file, or damaged, or needs too much memory") from error
        self._rest = self._decoder.unused_data if self._decoder.eof else b""
        if self._decoder.eof:
            self._decoder = None
        unpacked = inside + len(data) - self._first[1]
        if unpacked > SMALL_BYTES + MAX_RATIO * (self.packed() - self._first[0]):
            raise Quarantined("ARCHIVE_BOMB", "the shard unpacks to more than a thousand times its size")
        return data


def read(found: Address, start: int, stop: int, etag: str) -> bytes:
    """Bytes [start, stop) of a member; members that are read in the order of their bytes cost one pass over the shard.

    Raises:
        Quarantined: ARCHIVE_BROKEN, ARCHIVE_BOMB; StoreError.
    """
    key = (found.shard, etag)
    stream = _open.pop(key, None)
    begin, frame = found.start + start, found.frame or (0, 0)
    if stream is None or stream.tell() > begin or frame[0] > stream.packed() + NEAR_BYTES:
        stream = Stream(ObjectInfo(found.shard, -1, etag), frame)
    stream.seek(begin)
    data = stream.read(stop - start)
    if len(data) != stop - start:
        raise Quarantined("ARCHIVE_BROKEN", "the shard ends inside this member")
    _open[key] = stream
    while len(_open) > _KEPT:
        _open.popitem(last=False)
    return data
