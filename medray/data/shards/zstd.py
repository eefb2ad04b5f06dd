"""The bytes inside a zstd file (RFC 8878) as a file that is read forwards, frame by frame, in bounded memory."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Any

from medray.data.shards.address import Address
from medray.data.shards.ranged import RangedFile
from medray.data.store import ObjectInfo
from medray.errors import InputError, Quarantined, StoreError

MAX_WINDOW_BYTES = 128 << 20
MAX_RATIO, SMALL_BYTES = 1000, 1 << 30
NEAR_BYTES = 1 << 20
_STEP_BYTES = 4096  # a step unpacks to 128 MiB at most
_KEPT = 3
_guard = threading.Lock()
_shards: OrderedDict[tuple[str, str], _Shard] = OrderedDict()


class Stream:
    """A forward reader; ``seek`` backwards is refused.

    Args:
        info: the object; a size of -1 is not known.
        frame: start at byte C of the object, which holds byte D of what is inside.

    Raises (while reading):
        Quarantined: ARCHIVE_BROKEN, ARCHIVE_BOMB.
        StoreError
    """

    def __init__(self, info: ObjectInfo, frame: tuple[int, int] = (0, 0)) -> None:
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
            raise Quarantined(
                "ARCHIVE_BROKEN", "the shard is not a zstd file, or is damaged, or needs too much memory"
            ) from error
        self._rest = self._decoder.unused_data if self._decoder.eof else b""
        if self._decoder.eof:
            self._decoder = None
        unpacked = inside + len(data) - self._first[1]
        if unpacked > SMALL_BYTES + MAX_RATIO * (self.packed() - self._first[0]):
            raise Quarantined("ARCHIVE_BOMB", "the shard unpacks to more than a thousand times its size")
        return data


class _Shard:
    """The streams that are open on one shard; a reader holds the lock, so that no other reader moves its stream."""

    def __init__(self, info: ObjectInfo) -> None:
        self.lock = threading.Lock()
        self._info = info
        self._streams: list[Stream] = []

    def read(self, found: Address, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of a member."""
        begin = found.start + start
        stream = self._stream(begin, found.frame or (0, 0))
        stream.seek(begin)
        data = stream.read(stop - start)
        if len(data) != stop - start:
            raise Quarantined("ARCHIVE_BROKEN", "the shard ends inside this member")
        self._streams.append(stream)
        del self._streams[:-_KEPT]
        return data

    def _stream(self, begin: int, frame: tuple[int, int]) -> Stream:
        """The stream that is nearest before a byte, taken out; a new one where a jump to the frame is cheaper."""
        usable = [item for item in self._streams if item.tell() <= begin and frame[0] <= item.packed() + NEAR_BYTES]
        if not usable:
            return Stream(self._info, frame)
        nearest = max(usable, key=Stream.tell)
        self._streams.remove(nearest)
        return nearest


def read(shard: str, etag: str, wanted: Sequence[tuple[Address, int, int]]) -> list[bytes | StoreError | InputError]:
    """Bytes [start, stop) of members of a shard; what is asked for in the order of its bytes, here or call by call, is one pass.

    Args:
        wanted: member, start, stop, in the order of their bytes.
    """
    with _guard:
        opened = _shards.pop((shard, etag), None) or _Shard(ObjectInfo(shard, -1, etag))
        _shards[shard, etag] = opened
        while len(_shards) > _KEPT:
            _shards.popitem(last=False)
    answers: list[bytes | StoreError | InputError] = []
    with opened.lock:
        for found, start, stop in wanted:
            try:
                answers.append(opened.read(found, start, stop))
            except (StoreError, InputError) as error:
                answers.append(error)
    return answers
