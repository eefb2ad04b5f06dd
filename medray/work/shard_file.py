"""Files of a table that no commit names yet: how they are named, and which of them are what was written.

``part-GENERATION-INPUTS-SIZE-SHA256`` is named after what it was made of, its size in bytes and the first 16 hex digits of
their sha256. So two runs that make the same thing write the same file, and a file that a power loss cut is known by its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from medray.data import store
from medray.data.store import ObjectInfo

SHARD, SAMPLES = ".parquet", ".samples"
_AT_ONCE = 4
"""Files that are in memory to be checked; one has up to 64 MiB."""


class _Named(NamedTuple):
    """What the name of a file says."""

    stem: str
    size: int
    sha256: str


def file_name(stem: str, data: bytes, suffix: str) -> str:
    """The name of a file of these bytes.

    Args:
        stem: what it was made of, ``part-GENERATION-INPUTS``.
        suffix: :data:`SHARD` or :data:`SAMPLES`.
    """
    return f"{stem}-{len(data):x}-{_sha256(data)}{suffix}"


def listed(table_uri: str) -> dict[str, ObjectInfo]:
    """Name → file, of all right under a table that have the size that their names say.

    Raises:
        StoreError
    """
    prefix = store.normalise(table_uri) + "/"
    infos = {info.uri.removeprefix(prefix): info for info in store.list_objects(table_uri)}
    return {name: info for name, info in infos.items() if "/" not in name and _has_its_size(name, info)}


def shards_of(stems: Collection[str], files: Mapping[str, ObjectInfo]) -> dict[str, ObjectInfo]:
    """The shard of each stem that has one; of two, which runs with other outcomes wrote, the first by name."""
    found: dict[str, ObjectInfo] = {}
    for name in sorted(files):
        named = _named(name)
        if named is not None and name.endswith(SHARD) and named.stem in stems:
            found.setdefault(named.stem, files[name])
    return found


def broken(shards: Sequence[ObjectInfo], files: Mapping[str, ObjectInfo]) -> set[ObjectInfo]:
    """Those shards that are not what was written, or whose samples are not; all of them are read.

    Args:
        files: as :func:`listed` gives them.

    Raises:
        StoreError: as reading raises it.
    """
    chunks: dict[str, set[ObjectInfo]] = {}
    found = set()
    for info, data in _read(shards):
        if not _is_what_was_written(info, data):
            found.add(info)
            continue
        for chunk in _chunks(data):
            chunks.setdefault(chunk, set()).add(info)
    for name in chunks.keys() - files.keys():
        found |= chunks[name]
    for info, data in _read([files[name] for name in sorted(chunks.keys() & files.keys())]):
        if not _is_what_was_written(info, data):
            found |= chunks[info.uri.rsplit("/", 1)[-1]]
    return found


def _read(infos: Sequence[ObjectInfo]) -> Iterator[tuple[ObjectInfo, bytes]]:
    for start in range(0, len(infos), _AT_ONCE):
        group = infos[start : start + _AT_ONCE]
        for info, data in zip(group, store.read_many([info.uri for info in group]), strict=True):
            if not isinstance(data, bytes):
                raise data
            yield info, data


def _chunks(shard: bytes) -> set[str]:
    """Names of the files that hold a shard's samples."""
    file = pq.ParquetFile(pa.BufferReader(shard))
    if "chunk" not in file.schema_arrow.names:
        return set()
    return {name for name in file.read(columns=["chunk"])["chunk"].to_pylist() if name is not None}


def _named(name: str) -> _Named | None:
    """What a name says; None where it is not one of :func:`file_name`."""
    parts = name.removesuffix(SHARD).removesuffix(SAMPLES).rsplit("-", 2)
    try:
        return _Named(parts[0], int(parts[1], 16), parts[2])
    except (IndexError, ValueError):
        return None


def _has_its_size(name: str, info: ObjectInfo) -> bool:
    named = _named(name)
    return named is not None and named.size == info.size


def _is_what_was_written(info: ObjectInfo, data: bytes) -> bool:
    named = _named(info.uri.rsplit("/", 1)[-1])
    return named is not None and named.size == len(data) and named.sha256 == _sha256(data)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
