"""What killed runs left behind: temporary folders, half-written files, files that no commit names, uploads that never ended.

A file is medray's by its name, and of no use where nothing in its table is younger than some hours: a run that works writes files
all the time, and leaves a mark (:func:`at_work`) beside them when it starts.
"""

from __future__ import annotations

import math
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from medray.data import store, tables, temporary, upkeep
from medray.data.store import ObjectInfo
from medray.errors import StoreError

_PARTIAL = re.compile(r"\..+\.[0-9a-f]{8}\.partial")
_MARK = re.compile(r"\.[0-9a-f]{32}\.run")
_DATA = re.compile(r"part-(\d{5}-[0-9a-f]{16}(-[0-9a-f]+-[0-9a-f]{16})?|[0-9a-f]{32})\.(parquet|samples)")
_COMMIT = re.compile(r"_commit_[0-9a-f-]{36}\.json\.tmp|\d{20}\.json#\d+")
_LOG = "/_delta_log/"


@dataclass(frozen=True)
class Leftover:
    """One thing to remove.

    Attributes:
        kind: folder, partial, orphan, mark, commit or upload.
        size_bytes: 0 of an upload, which stores do not tell.
        upload: id of an upload, else "".
    """

    uri: str
    kind: str
    size_bytes: int
    upload: str = ""


@dataclass
class _Found:
    """What a listing holds that may be left over."""

    alone: list[tuple[str, ObjectInfo]] = field(default_factory=list)
    data: dict[str, list[ObjectInfo]] = field(default_factory=dict)
    marks: dict[str, list[ObjectInfo]] = field(default_factory=dict)
    tables: set[str] = field(default_factory=set)

    def add(self, info: ObjectInfo) -> None:
        folder, _, name = info.uri.rpartition("/")
        if (at := info.uri.rfind(_LOG)) >= 0:
            self.tables.add(info.uri[:at])
            if _COMMIT.fullmatch(name):
                self.alone.append(("commit", info))
        elif _PARTIAL.fullmatch(name):
            self.alone.append(("partial", info))
        elif _MARK.fullmatch(name):
            self.marks.setdefault(folder, []).append(info)
        elif _DATA.fullmatch(name):
            self.data.setdefault(folder, []).append(info)


@contextmanager
def at_work(table_uri: str) -> Iterator[None]:
    """Mark a table inside the block as one whose files a run uses, those as well that no commit names yet.

    Raises:
        StoreError
    """
    uri = store.join(table_uri, f".{uuid.uuid4().hex}.run")
    store.write(uri, b"at work")
    try:
        yield
    finally:
        with suppress(StoreError):  # it grows old
            store.delete(uri)


def temporary_folders() -> list[Leftover]:
    """Temporary folders on this machine of this user's processes that have ended."""
    return [Leftover(str(path), "folder", _size(path)) for path in temporary.abandoned()]


def leftovers(root: str, older_than_s: float) -> list[Leftover]:
    """What killed runs left under a path or URI, sorted by URI.

    Args:
        root: an output, a catalog, an archive that ``medray import`` or ``synthesise`` wrote.
        older_than_s: how long nothing was written.

    Raises:
        StoreError: STORE_NOT_FOUND, …; TABLE_BROKEN: the log of a table cannot be read, so that its files cannot be judged.
    """
    found = _Found()
    for page in store.pages(root):
        for info in page:
            found.add(info)
    before = time.time() - older_than_s
    result = [Leftover(info.uri, kind, info.size) for kind, info in found.alone if _written(info) < before]
    for table in sorted(found.tables):
        result += _of_table(table, found.data.get(table, []), found.marks.get(table, []), before)
    result += [Leftover(uri, "upload", 0, upload) for uri, upload, started in upkeep.uploads(root) if started < before]
    return sorted(result, key=lambda one: one.uri)


def _of_table(table: str, data: Sequence[ObjectInfo], marks: Sequence[ObjectInfo], before: float) -> list[Leftover]:
    """Marks and files that no version of a table names, unless one of them is young: then a run is at work."""
    if not data and not marks:
        return []
    named = tables.named_files(table)
    orphans = [info for info in data if info.uri.rsplit("/", 1)[-1] not in named]
    if any(info.uri.endswith(".samples") for info in orphans):
        chunks = _chunks(table)
        orphans = [info for info in orphans if info.uri.rsplit("/", 1)[-1] not in chunks]
    if not all(_written(info) < before for info in (*orphans, *marks)):
        return []
    kinds = [("orphan", info) for info in orphans] + [("mark", info) for info in marks]
    return [Leftover(info.uri, kind, info.size) for kind, info in kinds]


def _written(info: ObjectInfo) -> float:
    """When an object was written, in seconds since 1970; one that has gone meanwhile belonged to a run at work."""
    try:
        return upkeep.modified(info.uri)
    except StoreError as error:
        if error.code == "STORE_NOT_FOUND":
            return math.inf
        raise


def _chunks(table: str) -> set[str]:
    """The chunk files that rows of a table name."""
    dataset = tables.dataset(table)
    if "chunk" not in dataset.schema.names:
        return set()
    with tables.readable(table):
        return set(pa.chunked_array(dataset.to_table(columns=["chunk"])["chunk"]).unique().to_pylist())


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def remove_partials(folder: str) -> None:
    """Remove half-written files of a killed run under a path that this run is about to write; stores have none."""
    for path in Path(folder).rglob(".*.partial") if "://" not in folder else ():
        if _PARTIAL.fullmatch(path.name):
            path.unlink(missing_ok=True)


def remove(found: Sequence[Leftover]) -> None:
    """Remove files and uploads, and folders whose process has ended.

    Raises:
        StoreError
    """
    for one in found:
        if one.upload:
            upkeep.abort_upload(one.uri, one.upload)
        elif one.kind != "folder":
            store.delete(one.uri)
    if wanted := {one.uri for one in found if one.kind == "folder"}:
        for path in temporary.abandoned():
            if str(path) in wanted:
                shutil.rmtree(path, ignore_errors=True)
