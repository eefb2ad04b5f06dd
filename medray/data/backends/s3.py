"""S3 at speed, through obstore: listing and reading with connections that are kept, retries that end, and conditions on etags."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medray.data.backends.listing import ObjectInfo
from medray.data.backends.settings import endpoint, region, retry_s, timeout_s

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ClientConfig

_ENVIRONMENT = (
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_CA_BUNDLE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "MEDRAY_STORE_RETRY_S",
    "MEDRAY_STORE_TIMEOUT_S",
)


def handles(uri: str) -> bool:
    """Whether the object or prefix is on S3 under a key that obstore can name (no empty, ``.`` or ``..`` part)."""
    protocol, _, rest = uri.partition("://")
    return protocol in ("s3", "s3a") and not any(part in ("", ".", "..") for part in rest.split("/"))


def pages(uri: str) -> Iterator[list[ObjectInfo]]:
    """Objects under a prefix (or the one object itself) in the order of the store; nothing where there is none.

    Raises:
        obstore.exceptions.BaseError
    """
    import obstore

    store, key = _place(uri)
    root = f"{uri.split('/', 3)[0]}//{uri.split('/', 3)[2]}"
    empty = True
    for page in _unbroken(store, key or None):
        empty = False
        yield [
            ObjectInfo(f"{root}/{item['path']}", item["size"], (item["e_tag"] or "").strip('"'))
            for item in page
            if item["size"] or _there(store, item["path"])
        ]
    if empty and key:
        try:
            item = obstore.head(store, key)
        except FileNotFoundError:
            return
        yield [ObjectInfo(uri, item["size"], (item["e_tag"] or "").strip('"'))]


def _there(store: Any, key: str) -> bool:
    """Whether an empty object has this very key; obstore lists the mark of a folder, ``key/``, under the same name."""
    import obstore

    try:
        obstore.head(store, key)
    except FileNotFoundError:
        return False
    return True


def _unbroken(store: Any, prefix: str | None) -> Iterator[list[Any]]:
    """A listing that goes on after its last object where an answer breaks off, which obstore does not try again."""
    import obstore
    from obstore.exceptions import GenericError

    last, failures = None, 0
    while True:
        try:
            for page in obstore.list(store, prefix, offset=last, chunk_size=1000):
                yield list(page)
                last, failures = page[-1]["path"], 0
            return
        except GenericError as error:
            failures += 1
            if "response body" not in str(error).split("Debug source")[0] or failures > 5:
                raise
            time.sleep(random.uniform(0.05, 0.1) * 2**failures)


def get(uri: str, bounds: tuple[int, int] | None = None, etag: str | None = None) -> bytes:
    """An object or its bytes [start, end); fewer where it is shorter.

    Raises:
        obstore.exceptions.BaseError: PreconditionError where ``etag`` is given and is not the object's.
        FileNotFoundError
    """
    import obstore
    from obstore.exceptions import GenericError

    store, key = _place(uri)
    options: GetOptions = {"if_match": f'"{etag}"'} if etag else {}
    if bounds is not None and bounds[0] < bounds[1]:
        options["range"] = bounds
    elif bounds is not None:
        options["head"] = True
    try:
        answer = obstore.get(store, key, options=options)
    except GenericError as error:
        if bounds is not None and "status code: 416" in str(error):  # the range begins behind the end
            return b""
        raise
    return b"" if options.get("head") else bytes(answer.bytes())


def put_new(uri: str, data: bytes) -> bool:
    """Write an object where there is none (``If-None-Match: *``); returns whether it was written.

    Raises:
        obstore.exceptions.BaseError
    """
    import obstore
    from obstore.exceptions import AlreadyExistsError

    store, key = _place(uri)
    try:
        obstore.put(store, key, data, mode="create", use_multipart=False)
    except AlreadyExistsError:
        return False
    return True


def uploads(call: Callable[..., Any], uri: str, path: str) -> list[tuple[str, str, float]]:
    """Uploads in parts that have not ended under a prefix: URI, id, and when each began, in seconds since 1970.

    Args:
        call: calls an operation of S3, as s3fs does it: obstore lists no uploads.
        path: bucket/prefix of ``uri``.

    Raises:
        botocore.exceptions.ClientError
    """
    bucket, _, key = path.partition("/")
    root, found, after = f"{uri.split(':', 1)[0]}://{bucket}", [], dict[str, str]()
    while True:
        answer = call("list_multipart_uploads", Bucket=bucket, Prefix=key and f"{key}/", **after)
        for one in answer.get("Uploads", []):
            found.append((f"{root}/{one['Key']}", one["UploadId"], one["Initiated"].timestamp()))
        if not answer.get("IsTruncated"):
            return found
        after = {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}


def _place(uri: str) -> tuple[Any, str]:
    _, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    return _bucket(bucket, tuple(os.environ.get(name) for name in _ENVIRONMENT)), key


@lru_cache(maxsize=16)
def _bucket(bucket: str, environment: tuple[str | None, ...]) -> Any:
    """A client that keeps its connections; ``environment`` makes a changed one give a new client."""
    from obstore.store import S3Store

    longest_s = retry_s()
    return S3Store(
        bucket,
        region=region(),
        virtual_hosted_style_request=False,
        client_options=_client(),
        retry_config={
            "max_retries": 12,
            "retry_timeout": timedelta(seconds=longest_s),
            "backoff": {
                "init_backoff": timedelta(seconds=0.1),
                "max_backoff": timedelta(seconds=min(5.0, longest_s / 4)),
                "base": 2,
            },
        },
        **_credentials(),
    )


def _client() -> ClientConfig:
    timeout = timedelta(seconds=timeout_s())
    options: ClientConfig = {"connect_timeout": timeout, "read_timeout": timeout, "timeout": timedelta(hours=6)}
    options["allow_http"] = str(endpoint()).startswith("http://")
    if bundle := os.environ.get("AWS_CA_BUNDLE"):
        options["root_certificate"] = Path(bundle).read_bytes()
    return options


def _credentials() -> dict[str, Any]:
    """Endpoint and keys of the environment, else the chain of botocore (profile, single sign-on, container, instance role)."""
    place = {"endpoint": endpoint()} if endpoint() else {}
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if key and secret:
        token = os.environ.get("AWS_SESSION_TOKEN")
        return {**place, "access_key_id": key, "secret_access_key": secret, **({"session_token": token} if token else {})}
    from botocore.exceptions import NoCredentialsError
    from botocore.session import Session

    found = Session().get_credentials()
    if found is None:
        raise NoCredentialsError

    def provide() -> dict[str, Any]:
        frozen = found.get_frozen_credentials()
        again = datetime.now(UTC) + timedelta(minutes=10)  # botocore renews in time what it hands out
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": again if hasattr(found, "refresh_needed") else None,
        }

    return {**place, "credential_provider": provide}
