"""Settings of stores from the environment."""

from __future__ import annotations

import os
import re
from typing import Any

from medray.errors import StoreError

RETRY_S, TIMEOUT_S = 30.0, 10.0


def region() -> str:
    """The AWS region of the environment, ``us-east-1`` where none is set (S3-compatible stores ignore it)."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def endpoint() -> str | None:
    """The URL of an S3-compatible store, from the environment; None for AWS."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def s3_options() -> dict[str, Any]:
    """Options of s3fs."""
    client: dict[str, Any] = {"region_name": region()}
    if bundle := os.environ.get("AWS_CA_BUNDLE"):
        client["verify"] = bundle
    config = {"retries": {"max_attempts": 5, "mode": "standard"}, "connect_timeout": 10, "max_pool_connections": 64}
    return {"endpoint_url": endpoint(), "client_kwargs": client, "config_kwargs": config, "use_listings_cache": False}


def delta_options(uri: str) -> dict[str, str]:
    """Storage options that delta-rs needs for a table at ``uri``: atomic commits by conditional puts on S3.

    Raises:
        StoreError: STORE_NAME where delta-rs would look for the table under another name.
    """
    if "://" not in uri and re.search("%[0-9A-Fa-f]{2}", uri):
        raise StoreError("STORE_NAME", f"{uri}: a table cannot lie under a name with % and two digits", "choose another place")
    if not uri.startswith(("s3://", "s3a://")):
        return {}
    options = {"aws_conditional_put": "etag", "AWS_REGION": region()}
    if url := endpoint():
        options["AWS_ENDPOINT_URL"] = url
        options["AWS_ALLOW_HTTP"] = str(url.startswith("http://")).lower()
    return options


def retry_s() -> float:
    """How long a failed request is repeated, in seconds.

    Raises:
        StoreError: STORE_SETTING.
    """
    return _seconds("MEDRAY_STORE_RETRY_S", RETRY_S)


def timeout_s() -> float:
    """Time-out of a silent server, in seconds.

    Raises:
        StoreError: STORE_SETTING.
    """
    return _seconds("MEDRAY_STORE_TIMEOUT_S", TIMEOUT_S)


def _seconds(name: str, default: float) -> float:
    """A duration from the environment.

    Raises:
        StoreError: STORE_SETTING where it is not a number above zero.
    """
    text = os.environ.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise StoreError("STORE_SETTING", f"{name} is {text!r}", "give seconds, for example 30")
    return value
