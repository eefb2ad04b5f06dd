"""Prepared samples as fits read them: what is small is in memory, the samples themselves stay in chunk files."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from medray.data import store
from medray.models.family import Batch, require_table
from medray.types import Int64
from medray.work.cache import CachedSet, CacheSpec
from medray.work.chunk_file import PLACE, SUFFIX
from medray.work.chunks import Chunks, InPlace, Kept, Places
from medray.work.record import Record
from medray.work.table import read_values

_AHEAD, _READERS = 8, 2

T = TypeVar("T")


class ChunkedSamples:
    """Samples of one split in chunk files: see :class:`medray.models.family.Samples`.

    Args:
        chunks: the files.
        record: how a sample lies in them.
        places: of each sample.
        y: the targets, None where they are the masks of the records.
        groups: int64 (n,).
        columns: names of features.
    """

    def __init__(
        self,
        chunks: Chunks,
        record: Record,
        places: Places,
        y: NDArray[Any] | None,
        groups: Int64,
        columns: tuple[str, ...] = (),
    ) -> None:
        self.groups, self.columns, self.shape = groups, columns, record.shape
        self._chunks, self._record, self._places, self._y = chunks, record, places, y

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def y(self) -> NDArray[Any]:
        """The targets of all; masks are read."""
        return self.batch(np.arange(len(self))).y if self._y is None else self._y

    def batch(self, indices: Int64) -> Batch:
        """Some samples. Raises StoreError."""
        rows = self._chunks.read(self._places.of(indices))
        return Batch(self._record.numbers(rows), self._record.masks(rows) if self._y is None else self._y[indices])

    def batches(self, parts: Iterable[Int64]) -> Iterator[Batch]:
        """The samples of each part, read ahead."""
        return _ahead(partial(self.batch, part) for part in parts)

    def table(self, most_bytes: int, who: str) -> Batch:
        """All of them. Raises ModelError MODEL_TABLE_TOO_LARGE; StoreError."""
        require_table(self, most_bytes, who)
        return self.batch(np.arange(len(self)))


def _ahead(calls: Iterable[Callable[[], T]]) -> Iterator[T]:
    """What the calls return, in order, some of them made before they are asked for."""
    waiting: deque[Future[T]] = deque()
    threads = ThreadPoolExecutor(_READERS)
    try:
        for call in calls:
            waiting.append(threads.submit(call))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        threads.shutdown(cancel_futures=True)


@contextmanager
def kept_files(uri: str, cache: CacheSpec) -> Iterator[Kept]:
    """The chunk files of a table for as long as a training uses them: where they are, or copied to this node by and by."""
    if "://" not in store.normalise(uri):
        yield InPlace(uri)
        return
    found = {info.uri.rsplit("/", 1)[-1]: info.size for info in store.list_objects(uri)}
    sizes = {name: size for name, size in sorted(found.items()) if name.endswith(SUFFIX)}
    with CachedSet(cache, store.normalise(uri), sizes) as kept:
        yield kept


def located(table_uri: str, rows: pa.Table, size: int, kept: Kept) -> tuple[Chunks, Places, pa.Table]:
    """Where the samples of those of ``rows`` lie that have one, and these rows, sorted by URI.

    Args:
        rows: ``uri``, ``etag`` and, of masks, ``mask``, ``mask_etag``, and what the caller needs.
        size: bytes of a sample.
    """
    found = read_values(table_uri, rows, [field.name for field in PLACE])
    rows = rows.filter(pc.is_in(rows["uri"], found["uri"].combine_chunks())).sort_by("uri")
    files = found["chunk"].combine_chunks().dictionary_encode()
    places = Places(_int64(files.indices), _int64(found["row"]), _int64(found["crc32"]))
    return Chunks(table_uri, files.dictionary.to_pylist(), size, kept), places, rows


def _int64(column: pa.Array | pa.ChunkedArray) -> Int64:
    return np.asarray(column.cast(pa.int64()), np.int64)
