"""Object storage by URI: local paths, ``s3://`` and every other fsspec protocol alike.

S3 is configured by the usual environment variables: ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``,
``AWS_PROFILE``, ``AWS_REGION``, ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL`` (MinIO, SeaweedFS, Ceph…) and
``AWS_CA_BUNDLE`` (a private certificate authority); without keys the profile, container or instance role counts.
Listing and reading S3 try again with growing pauses for ``MEDRAY_STORE_RETRY_S`` seconds (30) where the server is busy, fails or
breaks off; a server that sends nothing for ``MEDRAY_STORE_TIMEOUT_S`` seconds (10) has broken off.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any

import fsspec

from medray.data import temporary
from medray.data.backends import local, s3
from medray.data.backends.listing import PAGE, in_order
from medray.data.backends.listing import ObjectInfo as ObjectInfo
from medray.data.backends.settings import delta_options as delta_options
from medray.data.backends.settings import s3_options
from medray.data.backends.troubles import changed
from medray.data.backends.troubles import store_error as store_error
from medray.data.backends.troubles import translated as translated
from medray.errors import StoreError, refuse_password

THREADS = 32
AT_ONCE_S = 0.002

Get = Callable[[str, tuple[int, int] | None, str | None], bytes]


def normalise(uri: str | os.PathLike[str]) -> str:
    """The URI without a trailing slash; a local path becomes absolute. Raises StoreError STORE_PASSWORD where there is one."""
    text = os.fspath(uri)
    refuse_password(text)
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    return text.rstrip("/") if "://" in text else str(Path(text).expanduser().absolute())


def join(uri: str, *parts: str) -> str:
    """``uri/part/part``."""
    return "/".join([normalise(uri), *(part.strip("/") for part in parts)])


def filesystem(uri: str) -> tuple[Any, str]:
    """The fsspec file system of a URI and the path inside it.

    Raises:
        StoreError: STORE_PROTOCOL when no installed package serves the protocol.
    """
    uri = normalise(uri)
    protocol = uri.split("://", 1)[0] if "://" in uri else "file"
    if protocol in ("dicomweb", "dicomwebs"):
        from medray.data.backends.dicomweb import DicomWeb

        fsspec.register_implementation(protocol, DicomWeb, clobber=True)
    try:
        fs, path = fsspec.core.url_to_fs(uri, **(s3_options() if protocol in ("s3", "s3a") else {}))
        return fs, str(path)
    except (ImportError, ValueError) as error:
        raise StoreError(
            "STORE_PROTOCOL", f"cannot open {uri}: {error}", "install the fsspec package of this protocol"
        ) from error


def list_objects(uri: str) -> list[ObjectInfo]:
    """Every object under a prefix (or the one object itself), sorted by URI.

    Raises:
        StoreError: STORE_NOT_FOUND, STORE_EMPTY, STORE_DENIED, …
    """
    return sorted((info for page in pages(uri) for info in page), key=attrgetter("uri"))


def pages(uri: str) -> Iterator[list[ObjectInfo]]:
    """The same in pages of at most 10,000 objects, sorted by URI throughout, in flat memory on S3 and local disks.

    Raises:
        StoreError: also STORE_ORDER where an S3-compatible server lists folders far out of the order of their keys.
    """
    uri = normalise(uri)
    with translated(uri):
        found = in_order(_listed(uri), uri)
        first = next(found, None)
        if first is None:
            if exists(uri):
                raise StoreError("STORE_EMPTY", f"{uri} holds no objects", "check the prefix")
            raise StoreError("STORE_NOT_FOUND", f"{uri} does not exist", "check the bucket and the path")
        yield first
        yield from found


def _listed(uri: str) -> Iterator[list[ObjectInfo]]:
    if s3.handles(uri):
        yield from s3.pages(uri)
        return
    fs, path = filesystem(uri)
    if "file" in _protocols(fs):
        files = local.walk(path)
        while page := list(islice(files, PAGE)):
            yield page
        return
    found = [_info(fs, info) for info in fs.find(path, detail=True).values() if info["type"] == "file"]
    found.sort(key=attrgetter("uri"))
    yield from (found[start : start + PAGE] for start in range(0, len(found), PAGE))


def _info(fs: Any, info: dict[str, Any]) -> ObjectInfo:
    etag = info.get("ETag") or info.get("etag") or str(info.get("mtime", ""))
    size = -1 if info["size"] is None else int(info["size"])
    return ObjectInfo(_uri_of(fs, info["name"]), size, str(etag).strip('"'))


def _uri_of(fs: Any, path: str) -> str:
    """The URI of a path of a file system; plain for local files."""
    return path if "file" in _protocols(fs) else str(fs.unstrip_protocol(path))


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def read(uri: str) -> bytes:
    """The whole object.

    Raises:
        StoreError
    """
    uri = normalise(uri)
    with translated(uri):
        return _getter(uri)(uri, None, None)


def read_many(
    uris: Sequence[str], ranges: Sequence[tuple[int, int] | None] | None = None, etags: Sequence[str] | None = None
) -> list[bytes | StoreError]:
    """Many objects with up to 32 requests in flight; a failure takes its own place only.

    Local files that come at once, as from the page cache, are read in turn: threads would cost more than they save.

    Args:
        uris: the objects.
        ranges: one byte range [start, end) of each; an object that is shorter gives what it has; None: all of it.
        etags: as listed; an object that is another one by now gives OBJECT_CHANGED. An empty one is not compared.
    """
    if not uris:
        return []
    getter = _getter(uris[0])

    def one(uri: str, bounds: tuple[int, int] | None, etag: str | None) -> bytes | StoreError:
        try:
            with translated(uri):
                return getter(uri, bounds, etag)
        except StoreError as error:
            return error

    nothing: list[None] = [None] * len(uris)
    items = list(zip(uris, ranges or nothing, etags or nothing, strict=True))
    found: list[bytes | StoreError] = []
    started = time.monotonic()
    while getter is local.get and len(found) < len(items) and time.monotonic() - started < AT_ONCE_S * (len(found) + 1):
        found.append(one(*items[len(found)]))
    with ThreadPoolExecutor(THREADS) as pool:  # starts a thread for a waiting item
        return [*found, *pool.map(lambda item: one(*item), items[len(found) :])]


def _getter(uri: str) -> Get:
    """What reads the objects of a URI's kind."""
    if s3.handles(uri):
        return s3.get
    fs, _ = filesystem(uri)
    if "file" in _protocols(fs):
        return local.get

    def get(uri: str, bounds: tuple[int, int] | None, etag: str | None) -> bytes:
        path = fs._strip_protocol(uri)
        data = bytes(fs.cat_file(path, *(bounds or (None, None))))
        if etag and _info(fs, fs.info(path)).etag != etag:
            raise changed(uri)
        return data

    return get


def exists(uri: str) -> bool:
    """Whether there is an object or a prefix at ``uri``.

    Raises:
        StoreError
    """
    uri = normalise(uri)
    with translated(uri):
        fs, path = filesystem(uri)
        return bool(fs.exists(path))


def write(uri: str, data: bytes, sync: bool = True) -> None:
    """Write an object so that readers see the old one or the whole new one, never a part.

    Args:
        sync: on a local disk, wait until the bytes are on it: a power loss leaves no name without its content.

    Raises:
        StoreError
    """
    uri = normalise(uri)
    with translated(uri):
        fs, path = filesystem(uri)
        if "file" in _protocols(fs):
            local.put(path, data, sync=sync)
        else:
            fs.pipe_file(path, data)


def create(uri: str, data: bytes) -> bool:
    """Write an object where there is none yet; of several writers at once, one is told that it wrote.

    Raises:
        StoreError
    """
    uri = normalise(uri)
    with translated(uri):
        if s3.handles(uri):
            return s3.put_new(uri, data)
        fs, path = filesystem(uri)
        if "file" in _protocols(fs):
            return local.put(path, data, new=True)
        with suppress(FileExistsError):
            fs.pipe_file(path, data, mode="create")
            return True
        return False


def sync(uri: str) -> None:
    """On a local disk, wait until a file, or the names right under a folder, are on it. Raises StoreError."""
    uri = normalise(uri)
    if "://" not in uri:
        with translated(uri):
            local.sync(uri)


def delete(uri: str) -> None:
    """Remove an object or everything under a prefix, if there.

    Raises:
        StoreError
    """
    uri = normalise(uri)
    with translated(uri):
        fs, path = filesystem(uri)
        if fs.exists(path):
            fs.rm(path, recursive=True)


def names(uri: str) -> list[str]:
    """Names right under a prefix, sorted; empty where the prefix does not exist."""
    uri = normalise(uri)
    with translated(uri):
        fs, path = filesystem(uri)
        if not fs.exists(path):
            return []
        return sorted(entry.rstrip("/").rsplit("/", 1)[-1] for entry in fs.ls(path, detail=False))


def upload_folder(folder: Path, uri: str, last: str | None = None) -> None:
    """Copy a local folder to ``uri``; the file named ``last`` is written after all others and so marks completeness."""
    files = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: (path.name == last, str(path)))
    for path in files:
        write(join(uri, path.relative_to(folder).as_posix()), path.read_bytes())


@contextmanager
def local_folder(uri: str) -> Iterator[Path]:
    """The files under ``uri`` as a local folder: itself where it is local, else a copy that is removed on leaving."""
    uri = normalise(uri)
    if "://" not in uri:
        yield Path(uri)
        return
    with temporary.folder("copy") as folder:
        found = list_objects(uri)
        for info, data in zip(found, read_many([info.uri for info in found]), strict=True):
            if isinstance(data, StoreError):
                raise data
            path = folder / info.uri.removeprefix(uri + "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        yield folder
