"""Archive → catalog: list, inspect what is new or changed, record one row for each object."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from medray.cataloguing.duplicates import settle_duplicates
from medray.cataloguing.inspection import Item, inspected
from medray.cataloguing.listings import pages_of
from medray.cataloguing.pace import Pace
from medray.data import archive
from medray.data.catalog import GONE, IMAGE, Catalog, as_text, rows_of
from medray.data.label_columns import kept_labels
from medray.data.labels import join_keys, read_labels
from medray.data.left_out import left_out, telling, usable_images
from medray.data.pseudonym import using
from medray.data.sorted_table import SortedTable
from medray.data.store import ObjectInfo
from medray.errors import Excluded, LabelError, Quarantined, RunError, StoreError
from medray.progress import Progress
from medray.types import State

ROWS_PER_COMMIT = 10_000
_logger = logging.getLogger("medray")
_KNOWN = ("uri", "shard_uri", "size_bytes", "etag", "state", "code")
_AFTER_SLASH = chr(ord("/") + 1)


@dataclass(frozen=True)
class IngestSummary:
    """objects (members of shards, too) = images + excluded + quarantined + failed; unchanged of them were known before."""

    objects: int
    images: int
    excluded: int
    quarantined: int
    failed: int
    unchanged: int
    labelled: int | None = None
    reasons: dict[str, int] = field(default_factory=dict)


def ingest(
    sources: str | Sequence[str],
    catalog_uri: str,
    labels_uri: str | None = None,
    progress: Progress | None = None,
    keep: Collection[str] = (),
    key_file: str | None = None,
) -> IngestSummary:
    """Bring the catalog up to date with archives; objects whose size and etag are known are not read again.

    The archives are walked in the order of their keys, and commits grow from 250 rows to ten thousand, or to what is read in
    twenty seconds, a shard's rows in the same: a run that was killed goes on where it was. What is no longer in the archive stays
    in the catalog as FAILED, so that nothing is trained on it.

    Args:
        sources: prefixes of archives.
        catalog_uri: where the catalog is or will be.
        labels_uri: a label table to keep with the catalog.
        keep: columns of it that are kept, see :func:`medray.data.label_columns.kept_labels`.
        key_file: local file with the key of the pseudonyms: see :meth:`medray.data.catalog.Catalog.key`.

    Raises:
        ConfigError: the key is not that of the catalog, or lost.
        StoreError: an archive cannot be listed, or nothing of it could be read.
        LabelError: the labels cannot be read or match no object.
        RunError: RUN_DOES_NOT_RECONCILE.
    """
    catalog = Catalog(catalog_uri)
    listings = pages_of([sources] if isinstance(sources, str) else sources, catalog)
    key = catalog.key(key_file)
    table = catalog.table(key)
    update = Update(table, progress)
    with using(key):
        labels = kept_labels(read_labels(labels_uri), keep) if labels_uri else None
        for source, listing in listings.items():
            update.source(source, listing)
    settle_duplicates(table, progress)
    labelled = None
    if labels is not None:
        labelled = join_keys(usable_images(catalog), labels.table)
        if not labelled:
            message = f"no image of {catalog.uri} has a label in {labels_uri}"
            with telling(lambda: left_out(catalog)):
                raise LabelError("LABELS_NO_MATCH", message, "check the key column")
        catalog.set_labels(labels.table)
        _logger.info(labels.said)
    return _summary(table, update, labelled)


class Update:
    """One run's changes to a catalog, in key order, with its sums."""

    def __init__(self, table: SortedTable, progress: Progress | None = None, listed: int = 0) -> None:
        self._table, self._progress = table, progress
        self.sources: list[str] = []
        self.listed, self.looked_at, self.unchanged, self.objects = listed, 0, 0, 0
        self._read_any = False
        self._pace = Pace(ROWS_PER_COMMIT)

    def source(self, source: str, listing: Iterable[list[ObjectInfo]]) -> None:
        """Bring the rows of one archive up to date with its listing, in pages sorted by URI."""
        self.sources.append(source)
        start, end = source + "/", source + _AFTER_SLASH
        for page in listing:
            if page[0].uri == source:
                self._page(page, source, source + "\0")
                return
            after = as_text(page[-1].uri) + "\0"
            self._page(page, start, after)
            start = after
        self._page([], start, end)

    def _page(self, page: list[ObjectInfo], start: str, end: str) -> None:
        """Bring the rows with start <= key < end up to date with the objects listed there."""
        recorded = self._table.between(start, end, _KNOWN)
        if _is_recorded(page, recorded):
            self._leave(len(page))
            self._tell(len(page))
            return
        known = _Known(recorded)
        changed = [info for info in page if not known.holds(info)]
        self._leave(sum(map(known.rows, page)) - sum(map(known.rows, changed)))
        self.listed += len(changed)
        self.look(changed)
        missing = known.present - {as_text(info.uri) for info in page}
        if missing:
            rows = self._table.between(start, end)
            self._table.replace(gone(rows.filter(pc.is_in(rows["shard_uri"], pa.array(sorted(missing))))), missing)
        self._tell(len(page))

    def _leave(self, rows: int) -> None:
        """Count rows that stay as they are."""
        self.unchanged += rows
        self.objects += rows
        self.listed += rows
        self.looked_at += rows

    def look(self, infos: Iterable[ObjectInfo]) -> None:
        """Read objects and record them, in commits of up to about ten thousand rows; a shard is never divided."""
        chunk: list[Item] = []
        keys: set[str] = set()
        for info in infos:
            chunk += _items(info)
            keys.add(as_text(info.uri))
            if len(chunk) >= self._pace.rows:
                self._record(chunk, keys)
                chunk, keys = [], set()
        if keys:
            self._record(chunk, keys)

    def _record(self, items: list[Item], keys: set[str]) -> None:
        started = time.monotonic()
        self.listed += len(items) - len(keys)
        parts = []
        for entries in inspected(items):
            parts.append(rows_of(entries))
            self.looked_at += len(entries)
            self._tell()
        rows = pa.concat_tables(parts)
        failed = rows.filter(pc.equal(rows["state"], State.FAILED.value))
        self._read_any = self._read_any or bool(self.unchanged) or len(failed) < len(rows)
        if not self._read_any:
            code, message = failed["code"][0].as_py(), failed["message"][0].as_py()
            raise StoreError(code, f"no object could be read: {message}", "nothing was recorded")
        self._table.replace(rows, keys)
        self.objects += len(rows)
        self._pace.took(len(items), time.monotonic() - started)

    def _tell(self, some: int = 1) -> None:
        if self._progress and some:
            self._progress("ingest", self.looked_at, self.listed)


def _is_recorded(page: list[ObjectInfo], rows: pa.Table) -> bool:
    """Whether rows are those of a page of loose objects, each final: a fast form of :class:`_Known`."""
    if len(rows) != len(page) or not pc.all(pc.not_equal(rows["state"], State.FAILED.value)).as_py():
        return False
    listed = {
        "uri": [as_text(info.uri) for info in page],
        "size_bytes": [info.size for info in page],
        "etag": [info.etag for info in page],
    }
    rows = rows.sort_by("uri")
    return bool(rows.select(list(listed)).equals(pa.table(listed)) and rows["shard_uri"].equals(rows["uri"]))


class _Known:
    """The catalog rows of a range of keys."""

    def __init__(self, rows: pa.Table) -> None:
        columns = (rows[name].to_pylist() for name in ("shard_uri", "size_bytes", "etag", "state", "code"))
        self._content: dict[str, tuple[int, str]] = {}
        self._rows: Counter[str] = Counter()
        self._failed: set[str] = set()
        self.present: set[str] = set()
        for key, size, etag, state, code in zip(*columns, strict=True):
            self._content[key] = (size, etag)
            self._rows[key] += 1
            if state == State.FAILED:
                self._failed.add(key)
            if code != GONE:
                self.present.add(key)

    def rows(self, info: ObjectInfo) -> int:
        """How many rows an object has."""
        return self._rows[as_text(info.uri)]

    def holds(self, info: ObjectInfo) -> bool:
        """Whether the rows of an object are final: the same content, nothing FAILED in it. A shard's size is in no row."""
        key = as_text(info.uri)
        size, etag = self._content.get(key, (0, None))
        same = etag == info.etag and (size == info.size or archive.is_shard(info.uri))
        return same and key not in self._failed


def _items(info: ObjectInfo) -> Iterator[Item]:
    """The object, or the members of a shard; an empty shard stands for itself."""
    if (uri := as_text(info.uri)) != info.uri:
        yield Item(ObjectInfo(uri, info.size, info.etag), error=Quarantined("OBJECT_NAME", "the name is not valid Unicode"))
        return
    if not archive.is_shard(info.uri):
        yield Item(info)
        return
    empty = True
    try:
        for member in archive.members(info):
            empty = False
            yield Item(member.info, info.uri, as_text(member.name), member.error)
    except StoreError as error:
        yield Item(info, error=error)
        return
    if empty:
        yield Item(info, error=Excluded("ARCHIVE_EMPTY", "the shard has no members"))


def gone(rows: pa.Table) -> pa.Table:
    """The rows of objects that are gone, with what was known of them."""
    values = {"state": State.FAILED.value, "code": GONE, "message": "no longer in the archive"}
    for name, value in values.items():
        rows = rows.set_column(rows.column_names.index(name), name, pa.array([value] * len(rows), pa.string()))
    return rows


def _summary(table: SortedTable, update: Update, labelled: int | None) -> IngestSummary:
    """Count the catalog's rows of the sources, and compare with what the run saw.

    Raises:
        RunError: RUN_DOES_NOT_RECONCILE.
    """
    states, reasons = Counter[str](), Counter[str]()
    for rows in table.scan(["shard_uri", "state", "code"]):
        present = rows.filter(pc.and_(pc.not_equal(rows["code"], GONE), _under(rows["shard_uri"], update.sources)))
        states.update(present["state"].to_pylist())
        reasons.update(code for code in present["code"].to_pylist() if code)
    if states.total() != update.objects:
        message = f"{update.objects} objects, {states.total()} catalog rows"
        raise RunError("RUN_DOES_NOT_RECONCILE", message, "report this")
    images, excluded, quarantined, failed = (states[key] for key in (IMAGE, State.EXCLUDED, State.QUARANTINED, State.FAILED))
    return IngestSummary(
        update.objects, images, excluded, quarantined, failed, update.unchanged, labelled, dict(sorted(reasons.items()))
    )


def _under(keys: pa.ChunkedArray, sources: Sequence[str]) -> pa.ChunkedArray:
    """Which keys lie in one of the sources."""
    found = pc.is_in(keys, value_set=pa.array(sources, pa.string()))
    for source in sources:
        found = pc.or_(found, pc.starts_with(keys, source + "/"))
    return found
