"""What only the upkeep of a store asks: when objects were written, and uploads that never ended."""

from __future__ import annotations

from medray.data import store
from medray.data.backends import s3


def modified(uri: str) -> float:
    """When an object was written, in seconds since 1970.

    Raises:
        StoreError
    """
    uri = store.normalise(uri)
    with store.translated(uri):
        fs, path = store.filesystem(uri)
        return float(fs.modified(path).timestamp())


def uploads(uri: str) -> list[tuple[str, str, float]]:
    """Uploads in parts to S3 that have not ended under a prefix: URI, id, and when each began, in seconds since 1970.

    Raises:
        StoreError
    """
    uri = store.normalise(uri)
    if not s3.handles(uri):
        return []
    with store.translated(uri):
        fs, path = store.filesystem(uri)
        return s3.uploads(fs.call_s3, uri, path)


def abort_upload(uri: str, upload: str) -> None:
    """End an upload of :func:`uploads`, and drop its parts.

    Raises:
        StoreError
    """
    with store.translated(uri):
        fs, path = store.filesystem(uri)
        bucket, _, key = path.partition("/")
        fs.call_s3("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload)
