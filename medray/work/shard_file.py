"""Files of a table that no commit names yet: how they are named, and which of them are what was written.

``part-GENERATION-INPUTS-SIZE-SHA256`` is named after what it was made of, its size in bytes and the first 16 hex digits of
their sha256. So two runs that make the same thing write the same file, and a file that a power loss cut is known by its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from medray.data import store
from medray.data.store import ObjectInfo
from medray.work.table import is_final

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


@dataclass(frozen=True)
class Checked:
    """What became of shards that were read.

    Attributes:
        sound: they are what was written, and so are their samples; nothing in them is to be tried again.
        cut: they are not what was written.
        unusable: the others: their samples are not what was written, or some of their inputs FAILED.
    """

    sound: frozenset[ObjectInfo]
    cut: frozenset[ObjectInfo]
    unusable: frozenset[ObjectInfo]


def checked(shards: Sequence[ObjectInfo], files: Mapping[str, ObjectInfo]) -> Checked:
    """Read shards and their samples, and compare them with their checksums.

    Args:
        files: as :func:`listed` gives them.

    Raises:
        StoreError: as reading raises it.
    """
    chunks: dict[str, set[ObjectInfo]] = {}
    cut, unusable = set(), set()
    for info, data in _read(shards):
        if not _is_what_was_written(info, data):
            cut.add(info)
            continue
        rows = pq.ParquetFile(pa.BufferReader(data))
        if not pc.all(is_final(rows.read(columns=["state", "code"]))).as_py():
            unusable.add(info)
        for chunk in _chunks(rows):
            chunks.setdefault(chunk, set()).add(info)
    for name in chunks.keys() - files.keys():
        unusable |= chunks[name]
    for info, data in _read([files[name] for name in sorted(chunks.keys() & files.keys())]):
        if not _is_what_was_written(info, data):
            unusable |= chunks[info.uri.rsplit("/", 1)[-1]]
    return Checked(frozenset(shards) - cut - unusable, frozenset(cut), frozenset(unusable))


def _read(infos: Sequence[ObjectInfo]) -> Iterator[tuple[ObjectInfo, bytes]]:
    for start in range(0, len(infos), _AT_ONCE):
        group = infos[start : start + _AT_ONCE]
        for info, data in zip(group, store.read_many([info.uri for info in group]), strict=True):
            if not isinstance(data, bytes):
                raise data
            yield info, data


def _chunks(shard: pq.ParquetFile) -> set[str]:
    """Names of the files that hold a shard's samples."""
    if "chunk" not in shard.schema_arrow.names:
        return set()
    return {name for name in shard.read(columns=["chunk"])["chunk"].to_pylist() if name is not None}


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
