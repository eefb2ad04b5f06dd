"""Duplicates in a catalog: at most one usable row for each SOP Instance UID."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medray.data import archive
from medray.data.by_size import by_size
from medray.data.catalog import IMAGE, SCHEMA
from medray.data.duplicates import CONFLICT, DUPLICATE, images_of, settled
from medray.data.query import hashes
from medray.data.sorted_table import SortedTable
from medray.progress import Progress, counting

_SETTLED = ("content_sha256", "image_sha256", "state", "code", "message")
_COLUMNS = ("uri", "size_bytes", "etag", "sop_uid", *_SETTLED)


def settle_duplicates(table: SortedTable, progress: Progress | None = None) -> None:
    """Exclude duplicate instances and quarantine contradictory ones, in one commit.

    Known contents are used; other objects that share a SOP Instance UID are read whole, and those whose contents
    differ are decoded, to tell another encoding of the same image from another image.

    Raises:
        StoreError
    """
    twice, decided = _shared(table)
    if len(twice) or decided:
        rows, images = _with_images(_with_contents(_involved(table, twice), progress), progress)
        rows = settled(rows, IMAGE, images)
        table.rewrite(lambda content: _updated(content, rows))


def _taking_part(rows: pa.Table) -> pa.Table:
    """Images, and rows that are excluded only because of their duplicates."""
    decided = pc.is_in(rows["code"], value_set=pa.array([DUPLICATE, CONFLICT]))
    return rows.filter(pc.or_(pc.equal(rows["state"], IMAGE), decided))


def _shared(table: SortedTable) -> tuple[pa.Array, bool]:
    """Hashes of the SOP Instance UIDs that more than one row has, and whether an earlier call decided about any row.

    Memory holds 8 bytes for each row.
    """
    decided: list[bool] = []

    def uids() -> Iterator[pa.ChunkedArray]:
        for rows in map(_taking_part, table.scan(["sop_uid", "state", "code"])):
            decided.append(pc.any(pc.not_equal(rows["code"], "")).as_py() is True)
            yield rows["sop_uid"]

    ordered = np.sort(np.concatenate([np.empty(0, np.uint64), *(found.to_numpy() for found in hashes(uids()))]))
    return pa.array(np.unique(ordered[1:][ordered[1:] == ordered[:-1]]), pa.uint64()), any(decided)


def _involved(table: SortedTable, twice: pa.Array) -> pa.Table:
    """The rows whose SOP Instance UID is there more than once, or was."""
    parts = [SCHEMA.empty_table().select(_COLUMNS)]
    for rows in map(_taking_part, table.scan(_COLUMNS)):
        (hashed,) = hashes([rows["sop_uid"]])
        parts.append(rows.filter(pc.or_(pc.is_in(hashed, value_set=twice), pc.not_equal(rows["code"], ""))))
    return pa.concat_tables(parts)


def _with_contents(rows: pa.Table, progress: Progress | None) -> pa.Table:
    """The rows with ``content_sha256``; objects that cannot be read keep none, and the next run tries again."""
    todo = rows.filter(pc.equal(rows["content_sha256"], ""))
    found: dict[str, str] = {}
    objects = zip(*(todo[name].to_pylist() for name in ("uri", "etag", "size_bytes")), strict=True)
    for group in by_size(objects, lambda one: max(one[2], 0)):
        uris, etags, _ = zip(*group, strict=True)
        for uri, data in zip(uris, archive.read_many(uris, etags=etags), strict=True):
            found[uri] = hashlib.sha256(data).hexdigest() if isinstance(data, bytes) else ""
        if progress:
            progress("compare duplicates", len(found), len(todo))
    known = zip(rows["uri"].to_pylist(), rows["content_sha256"].to_pylist(), strict=True)
    return _with_column(rows, "content_sha256", [found.get(uri, content) for uri, content in known])


def _with_images(rows: pa.Table, progress: Progress | None) -> tuple[pa.Table, dict[str, str]]:
    """The rows with ``image_sha256`` where their contents differ, and content_sha256 → image_sha256."""
    contents = rows["content_sha256"].to_pylist()
    known = {content: image for content, image in zip(contents, rows["image_sha256"].to_pylist(), strict=True) if image}
    images = images_of(rows, known, counting(progress, "compare images"))
    return _with_column(rows, "image_sha256", [images.get(content, "") for content in contents]), images


def _with_column(rows: pa.Table, name: str, values: list[str]) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, pa.array(values, pa.string()))


def _updated(content: pa.Table, rows: pa.Table) -> pa.Table | None:
    """A file's content with the settled columns of ``rows``; None where nothing differs."""
    at = pc.index_in(content["uri"], value_set=rows["uri"].combine_chunks())
    changed = content
    for name in _SETTLED:
        values = pc.coalesce(rows[name].take(at), content[name])
        changed = changed.set_column(changed.column_names.index(name), content.schema.field(name), values)
    return None if changed.equals(content) else changed
