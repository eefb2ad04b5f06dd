"""Prepared samples as fits read them: what is small is in memory, the samples themselves stay in chunk files."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from medray.data import store
from medray.errors import StoreError
from medray.models.family import Batch, require_table
from medray.types import Int64
from medray.work.cache import CachedSet, CacheSpec
from medray.work.chunk_file import PLACE
from medray.work.chunks import Chunks, InPlace, Kept, NotKept, Places
from medray.work.record import Record
from medray.work.table import read_values

_AHEAD, _AHEAD_BYTES, _READERS = 8, 64 << 20, 2


class ChunkedSamples:
    """Samples of one split in chunk files: see :class:`medray.models.family.Samples`.

    Args:
        chunks: the files.
        record: how a sample lies in them.
        places: of each sample.
        y: the targets, None where they are the masks of the records.
        groups: int64 (n,).
        columns: names of features.
        folds: int64 (n,), None where none are given.
    """

    def __init__(
        self,
        chunks: Chunks,
        record: Record,
        places: Places,
        y: NDArray[Any] | None,
        groups: Int64,
        columns: tuple[str, ...] = (),
        folds: Int64 | None = None,
    ) -> None:
        self.groups, self.columns, self.folds, self.shape = groups, columns, folds, record.shape
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
        """The samples of each part, in order; up to eight parts of 64 MiB in all, or one larger part, are read ahead."""
        waiting: deque[tuple[Future[Batch], int]] = deque()
        threads = ThreadPoolExecutor(_READERS)
        try:
            for part in parts:
                waiting.append((threads.submit(self.batch, part), len(part) * self._record.size))
                while len(waiting) > _AHEAD or (len(waiting) > 1 and sum(size for _, size in waiting) > _AHEAD_BYTES):
                    yield waiting.popleft()[0].result()
            while waiting:
                yield waiting.popleft()[0].result()
        finally:
            threads.shutdown(cancel_futures=True)

    def table(self, most_bytes: int, who: str) -> Batch:
        """All of them. Raises ModelError MODEL_TABLE_TOO_LARGE; StoreError."""
        require_table(self, most_bytes, who)
        return self.batch(np.arange(len(self)))


@contextmanager
def opened(table_uri: str, rows: pa.Table, record: Record, cache: CacheSpec) -> Iterator[tuple[Chunks, Places]]:
    """The chunk files in which the samples of ``rows`` lie, for as long as a training uses them, and the place of each.

    Args:
        rows: ``uri``, ``etag`` and, of masks, ``mask``, ``mask_etag``, sorted by URI.

    Raises:
        StoreError: SAMPLES_MISSING.
    """
    found = _located(table_uri, rows)
    files = found["chunk"].combine_chunks().dictionary_encode()
    names = files.dictionary.to_pylist()
    places = Places(*(np.asarray(column.cast(pa.int64()), np.int64) for column in (files.indices, found["row"], found["crc32"])))
    with _kept(table_uri, names, cache) as kept, closing(Chunks(table_uri, names, record.size, kept)) as chunks:
        yield chunks, places


def _located(table_uri: str, rows: pa.Table) -> pa.Table:
    """The place of each row. Where two runs prepared one input at the same time, either's sample is it."""
    found = read_values(table_uri, rows, [field.name for field in PLACE])
    found = found.sort_by([("uri", "ascending"), ("chunk", "ascending")])
    uris = found["uri"].combine_chunks()
    found = found.filter(pc.equal(pc.index_in(uris, value_set=uris), pa.array(np.arange(len(uris)), pa.int32())))
    if not found["uri"].combine_chunks().equals(rows["uri"].combine_chunks()):
        message = f"{table_uri} has samples of {len(found)} of {len(rows)} images"
        raise StoreError("SAMPLES_MISSING", message, "run again: what is missing is prepared anew")
    return found


@contextmanager
def _kept(uri: str, names: list[str], cache: CacheSpec) -> Iterator[Kept]:
    """Files of a table: where they are, or copied to this node by and by."""
    if "://" not in store.normalise(uri):
        yield InPlace(uri)
    elif cache.max_gib == 0 or not names:
        yield NotKept()
    else:
        sizes = {info.uri.rsplit("/", 1)[-1]: info.size for info in store.list_objects(uri)}
        with CachedSet(cache, store.normalise(uri), {name: sizes[name] for name in sorted(names) if name in sizes}) as kept:
            yield kept
