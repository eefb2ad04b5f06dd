"""Object storage by URI: local paths, ``s3://`` and every other fsspec protocol alike.

S3 is configured by the usual environment variables: ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``,
``AWS_PROFILE``, ``AWS_REGION``, ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL`` (MinIO, SeaweedFS, Ceph…) and
``AWS_CA_BUNDLE`` (a private certificate authority).
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec

from medray.errors import MedrayError, StoreError

_RETRYABLE_ERRNO = {5, 16, 11, 110}  # EIO, EBUSY, EAGAIN, ETIMEDOUT


@dataclass(frozen=True)
class ObjectInfo:
    """One object of a listing; ``etag`` changes whenever the content does."""

    uri: str
    size: int
    etag: str


def normalise(uri: str | os.PathLike[str]) -> str:
    """The URI without a trailing slash; a local path becomes absolute."""
    text = os.fspath(uri)
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
    try:
        fs, path = fsspec.core.url_to_fs(uri, **(_s3_options() if protocol in ("s3", "s3a") else {}))
        return fs, str(path)
    except (ImportError, ValueError) as error:
        raise StoreError(
            "STORE_PROTOCOL", f"cannot open {uri}: {error}", "install the fsspec package of this protocol"
        ) from error


def _s3_options() -> dict[str, Any]:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    client: dict[str, Any] = {"region_name": region()}
    if bundle := os.environ.get("AWS_CA_BUNDLE"):
        client["verify"] = bundle
    config = {"retries": {"max_attempts": 5, "mode": "standard"}, "connect_timeout": 10, "max_pool_connections": 64}
    return {"endpoint_url": endpoint, "client_kwargs": client, "config_kwargs": config, "use_listings_cache": False}


def region() -> str:
    """The AWS region of the environment, ``us-east-1`` where none is set (S3-compatible stores ignore it)."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def delta_options(uri: str) -> dict[str, str]:
    """Storage options that delta-rs needs for a table at ``uri``: atomic commits by conditional puts on S3."""
    if not uri.startswith(("s3://", "s3a://")):
        return {}
    options = {"aws_conditional_put": "etag", "AWS_REGION": region()}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        options["AWS_ENDPOINT_URL"] = endpoint
        options["AWS_ALLOW_HTTP"] = str(endpoint.startswith("http://")).lower()
    return options


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Turn whatever a storage client raises inside the block into a StoreError that names ``uri``."""
    from botocore.exceptions import BotoCoreError, ClientError
    from deltalake.exceptions import DeltaError

    try:
        yield
    except MedrayError:
        raise
    except (TimeoutError, OSError, BotoCoreError, ClientError, DeltaError) as error:
        raise store_error(error, uri) from error


def store_error(error: BaseException, uri: str) -> StoreError:
    """The StoreError that says what a storage client's exception means."""
    from botocore.exceptions import NoCredentialsError, PartialCredentialsError

    text = " ".join(f"{type(error).__name__}: {error}".split())
    denied = ("Forbidden", "AccessDenied", "InvalidAccessKey", "SignatureDoesNotMatch", "ExpiredToken")
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return StoreError("STORE_NO_CREDENTIALS", f"no credentials for {uri}", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if isinstance(error, PermissionError) or any(word in text for word in denied):
        return StoreError("STORE_DENIED", f"access to {uri} was refused ({text[:200]})", "check the credentials and their policy")
    if isinstance(error, FileNotFoundError) or "NoSuchBucket" in text or "NoSuchKey" in text:
        return StoreError("STORE_NOT_FOUND", f"{uri} does not exist", "check the bucket and the path")
    if isinstance(error, (IsADirectoryError, NotADirectoryError)):
        return StoreError("STORE_NOT_A_FILE", f"{uri}: {text[:200]}", "check the path")
    retryable = not isinstance(error, OSError) or error.errno is None or error.errno in _RETRYABLE_ERRNO
    return StoreError(
        "STORE_FAILED", f"{uri}: {text[:200]}", "check the endpoint and the network, then run again", retryable=retryable
    )


def list_objects(uri: str) -> list[ObjectInfo]:
    """Every object under a prefix (or the one object itself), sorted by URI.

    Raises:
        StoreError: STORE_NOT_FOUND, STORE_EMPTY, STORE_DENIED, …
    """
    uri = normalise(uri)
    with translated(uri):
        fs, path = filesystem(uri)
        found = fs.find(path, detail=True)
        if not found and not fs.exists(path):
            raise StoreError("STORE_NOT_FOUND", f"{uri} does not exist", "check the bucket and the path")
    objects = [
        _info(fs, info) for info in found.values() if (info["type"] == "file" or info.get("islink")) and info["size"] is not None
    ]
    if not objects:
        raise StoreError("STORE_EMPTY", f"{uri} holds no objects", "check the prefix")
    return sorted(objects, key=lambda item: item.uri)


def _info(fs: Any, info: dict[str, Any]) -> ObjectInfo:
    etag = info.get("ETag") or info.get("etag") or str(info.get("mtime", ""))
    return ObjectInfo(uri_of(fs, info["name"]), int(info["size"]), str(etag).strip('"'))


def uri_of(fs: Any, path: str) -> str:
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
        fs, path = filesystem(uri)
        return bytes(fs.cat_file(path))


def read_many(uris: Sequence[str], ranges: Sequence[tuple[int, int]] | None = None) -> list[bytes | StoreError]:
    """Many objects (or one byte range [start, end) of each) with many requests in flight; a failure takes its own place only."""
    if not uris:
        return []
    fs, _ = filesystem(uris[0])
    paths = [fs._strip_protocol(uri) for uri in uris]
    bounds: Sequence[tuple[int | None, int | None]] = ranges or [(None, None)] * len(uris)
    with translated(uris[0]):
        values = fs.cat_ranges(paths, [start for start, _ in bounds], [end for _, end in bounds], on_error="return")
    return [
        store_error(value, uri) if isinstance(value, BaseException) else bytes(value)
        for uri, value in zip(uris, values, strict=True)
    ]


def exists(uri: str) -> bool:
    """Whether there is an object or a prefix at ``uri``.

    Raises:
        StoreError
    """
    uri = normalise(uri)
    with translated(uri):
        fs, path = filesystem(uri)
        return bool(fs.exists(path))


def write(uri: str, data: bytes) -> None:
    """Write an object so that readers see the old one or the whole new one, never a part.

    Raises:
        StoreError
    """
    uri = normalise(uri)
    with translated(uri):
        fs, path = filesystem(uri)
        if "file" not in _protocols(fs):
            fs.pipe_file(path, data)
            return
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")
        partial.write_bytes(data)
        partial.replace(target)


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
    with tempfile.TemporaryDirectory(prefix="medray-") as name:
        folder = Path(name)
        objects = list_objects(uri)
        for info, data in zip(objects, read_many([info.uri for info in objects]), strict=True):
            if isinstance(data, StoreError):
                raise data
            path = folder / info.uri.removeprefix(uri + "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        yield folder
