"""What ``medray import`` reads: files below a source, their members, and the masks that belong to them."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from io import BytesIO
from typing import IO, Any, cast

from numpy.typing import NDArray

from medray.data import archive, store
from medray.data.archive import Answer
from medray.data.catalog import as_text
from medray.data.foreign import arrays, itk
from medray.data.foreign.itk import Fetch
from medray.data.foreign.naming import MEMBER, drawn_on
from medray.data.shards import address
from medray.data.shards.ranged import RangedFile
from medray.data.store import ObjectInfo
from medray.errors import ConfigError, MedrayError, Quarantined, StoreError

BATCH, BATCH_BYTES = 64, 256 << 20
MAX_FILE_BYTES = 4 << 30
_HEAD_BYTES = 1 << 16
_DETACHED = (".mhd", ".nhdr")
_ARRAYS = ".npz"
_WILD = "*?["


@dataclass(frozen=True)
class File:
    """A file of a source.

    Attributes:
        name: its path below the source; within a shard below that.
        info: how it was listed.
        error: why it cannot be read.
    """

    name: str
    info: ObjectInfo
    error: MedrayError | None = None


@dataclass(frozen=True)
class Input:
    """One image to be: a file, or an array of it.

    Attributes:
        name: of the file, with ``#array/number`` of a member.
        content: the bytes, the values, or why there are none.
        fetch: gives a file beside it.
        labels: columns that the file itself gives.
    """

    name: str
    content: bytes | NDArray[Any] | MedrayError
    fetch: Fetch
    labels: Mapping[str, str] = field(default_factory=dict)


def files_under(uri: str, leave_out: Sequence[str] = ()) -> list[File]:
    """Files and members of shards under a prefix, or the one file, sorted by URI.

    Args:
        uri: the source.
        leave_out: prefixes and files that do not belong to it.

    Raises:
        StoreError
    """
    uri = store.normalise(uri)
    found = []
    for page in store.pages(uri):
        for info in page:
            if not any(info.uri == one or info.uri.startswith(one + "/") for one in leave_out):
                found += _members(info, _below(uri, info.uri))
    return found


def _below(uri: str, inside: str) -> str:
    return as_text(inside.removeprefix(uri + "/") if inside != uri else posixpath.basename(inside))


def _members(info: ObjectInfo, name: str) -> list[File]:
    if not archive.is_shard(info.uri):
        return [File(name, info)]
    return [File(f"{name}/{as_text(one.name)}".rstrip("/"), one.info, one.error) for one in archive.members(info)]


def belonging(files: Sequence[File]) -> set[str]:
    """URIs of the data files that detached headers name: parts of another input."""
    headers = [file for file in files if file.name.lower().endswith(_DETACHED) and not file.error]
    heads = archive.read_many([file.info.uri for file in headers], [(0, _HEAD_BYTES)] * len(headers))
    found = set()
    for file, head in zip(headers, heads, strict=True):
        try:
            beside = itk.data_file(head) if isinstance(head, bytes) else None
        except Quarantined:
            continue
        if beside:
            found.add(_beside(file.info.uri, beside))
    return found


def _beside(uri: str, name: str) -> str:
    return f"{uri.rpartition('/')[0]}/{posixpath.normpath(name)}"


def inputs(files: Sequence[File]) -> Iterator[list[Input]]:
    """Every input in turn, in batches that are fetched together and stay small."""
    for batch in _batches(files):
        if len(batch) == 1 and _is_streamed(batch[0]):
            yield from _streamed(batch[0])
            continue
        answers: Iterator[Answer] = iter(archive.read_many([file.info.uri for file in batch if not _refused(file)]))
        yield [Input(file.name, _refused(file) or next(answers), fetch_beside(file)) for file in batch]


def fetch_beside(file: File) -> Fetch:
    """What reads the files beside one."""
    return lambda name: store.read(_beside(file.info.uri, name))


def _refused(file: File) -> MedrayError | None:
    if file.error is not None:
        return file.error
    if file.info.size > MAX_FILE_BYTES:
        return Quarantined("IMPORT_TOO_LARGE", f"a file of {file.info.size} bytes")
    return None


def _is_streamed(file: File) -> bool:
    return file.name.lower().endswith(_ARRAYS) and not file.error


def _batches(files: Iterable[File]) -> Iterator[list[File]]:
    batch: list[File] = []
    size_bytes = 0
    for file in files:
        own_bytes = 0 if _refused(file) else max(file.info.size, 0)
        if batch and (
            len(batch) >= BATCH or size_bytes + own_bytes > BATCH_BYTES or _is_streamed(file) or _is_streamed(batch[0])
        ):
            yield batch
            batch, size_bytes = [], 0
        batch.append(file)
        size_bytes += own_bytes
    if batch:
        yield batch


def _streamed(file: File) -> Iterator[list[Input]]:
    """The arrays of a .npz, which may be larger than memory."""
    batch: list[Input] = []
    size_bytes = 0
    try:
        member = address.parse(file.info.uri)
        stream = BytesIO(archive.read(file.info.uri)) if member else RangedFile(file.info)
        for entry in arrays.entries(cast(IO[bytes], stream)):
            name = f"{file.name}{MEMBER}{entry.name}" if entry.name else file.name
            batch.append(Input(name, entry.values, fetch_beside(file), entry.labels))
            size_bytes += 0 if isinstance(entry.values, Quarantined) else entry.values.nbytes
            if len(batch) >= BATCH or size_bytes > BATCH_BYTES:
                yield batch
                batch, size_bytes = [], 0
    except (Quarantined, StoreError) as error:
        batch.append(Input(file.name, error, fetch_beside(file)))
    if batch:
        yield batch


def mask_files(masks: str, files: Sequence[File], source: str, columns: Collection[str]) -> list[File] | None:
    """The files that ``--masks`` names: a pattern over the files of the source, or everything under a folder.

    Of the source itself those are masks that are called so, ``…_mask.png``.

    Returns:
        None where it is one of the ``columns`` of the label table instead, which names the mask of each image.

    Raises:
        ConfigError: IMPORT_MASKS; StoreError.
    """
    if masks in columns:
        return None
    if store.normalise(masks) == source:
        return [file for file in files if len(drawn_on(file.name)) > 1]
    if set(masks) & set(_WILD):
        found = [file for file in files if _matches(file, masks)]
        if not found:
            raise ConfigError("IMPORT_MASKS", f"no file of {source} matches {masks}", "write the pattern as below the source")
        return found
    return files_under(masks)


def _matches(file: File, pattern: str) -> bool:
    """Whether a file is meant: by its name alone, by its path below the source, or by its URI, as the pattern is written."""
    pattern = pattern.removeprefix("./")
    if "://" in pattern or pattern.startswith("/"):
        return fnmatch(as_text(file.info.uri), pattern)
    return fnmatch(file.name if "/" in pattern else file.name.rpartition("/")[2], pattern)
