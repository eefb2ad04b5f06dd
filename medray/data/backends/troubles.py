"""Exceptions of storage clients → a StoreError that says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from medray.errors import MedrayError, StoreError
from medray.exhaustion import exhausted
from medray.redaction import redacted

_RETRYABLE_ERRNO = {5, 16, 11, 104, 110, 111}  # EIO, EBUSY, EAGAIN, ECONNRESET, ETIMEDOUT, ECONNREFUSED
_DENIED = ("Forbidden", "AccessDenied", "InvalidAccessKey", "SignatureDoesNotMatch")
_EXPIRED = ("ExpiredToken", "TokenRefreshRequired")
_STATUS = re.compile(r"status code: (\d{3})")


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Turn any error of a storage client inside the block into a StoreError that names ``uri``."""
    from botocore.exceptions import BotoCoreError, ClientError
    from deltalake.exceptions import DeltaError
    from obstore.exceptions import BaseError

    try:
        yield
    except MedrayError:
        raise
    except (TimeoutError, OSError, BotoCoreError, ClientError, DeltaError, BaseError) as error:
        raise store_error(error, uri) from error


def store_error(error: BaseException, uri: str) -> StoreError:
    """The StoreError that says what a storage client's exception means."""
    from botocore.exceptions import NoCredentialsError, PartialCredentialsError

    if isinstance(error, MedrayError):
        return error if isinstance(error, StoreError) else StoreError(error.code, error.message, error.hint)
    if full := exhausted(error, uri):
        return StoreError(full.code, full.message, full.hint)
    text = redacted(" ".join(f"{type(error).__name__}: {error}".split("Debug source")[0].split()))  # before it is cut
    status = int(found[1]) if (found := _STATUS.search(text)) else 0
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)) or "NoCredentialsError" in text:
        return StoreError("STORE_NO_CREDENTIALS", f"no credentials for {uri}", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if any(word in text for word in _EXPIRED):
        return StoreError("STORE_EXPIRED_TOKEN", f"the session token for {uri} has expired", "renew the token, then run again")
    if isinstance(error, PermissionError) or status in (401, 403) or any(word in text for word in _DENIED):
        return StoreError("STORE_DENIED", f"access to {uri} was refused ({text[:200]})", "check the credentials and their policy")
    if isinstance(error, FileNotFoundError) or status == 404 or "NoSuchBucket" in text or "NoSuchKey" in text:
        return StoreError("STORE_NOT_FOUND", f"{uri} does not exist", "check the bucket and the path")
    if isinstance(error, (IsADirectoryError, NotADirectoryError)):
        return StoreError("STORE_NOT_A_FILE", f"{uri}: {text[:200]}", "check the path")
    if status == 412:
        return changed(uri)
    if status in (429, 503):
        return StoreError(
            "STORE_BUSY", f"{uri}: the store asks to slow down", "run again later, or with less load", retryable=True
        )
    retryable = not 400 <= status < 500 and (
        not isinstance(error, OSError) or error.errno is None or error.errno in _RETRYABLE_ERRNO
    )
    return StoreError(
        "STORE_FAILED", f"{uri}: {text[:200]}", "check the endpoint and the network, then run again", retryable=retryable
    )


def changed(uri: str) -> StoreError:
    """OBJECT_CHANGED: the object is not the one that was listed."""
    return StoreError("OBJECT_CHANGED", f"{uri} has changed since it was listed", "run again", retryable=True)
