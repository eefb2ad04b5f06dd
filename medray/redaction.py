"""Credentials inside URLs, found and hidden."""

from __future__ import annotations

import re

HIDDEN = "***"

_NAMES = (
    "X-(?:Amz|Goog)-(?:Signature|Credential|Security-Token)|sig|signature"
    "|(?:access_|auth_|refresh_)?token|api_?key|password|(?:client_)?secret"
)
_HOST = r"(?:(?<=s3://)|(?<=s3a://)|(?<=gs://)|(?<=://)(?!\[|[^\s/@:]+:\d{1,5}(?:/|\s|$)))"  # a bucket has no port
_USER = re.compile(_HOST + r"(?:[^\s/@:]*:\S*|[^\s/:]*@[^\s/@:]*:[^\s/@]*)(?=@)", re.IGNORECASE)
"""``user:password``: the password may hold slashes and ``@``, and the user be ``name@example.org``; ``host:8080/a@b`` is none."""

_TOKEN = re.compile(r"(?<=http://|ttps://)[^\s/@:]+(?=@)", re.IGNORECASE)
"""``token@`` of HTTP; in ``abfs://container@account`` it is a name."""

_QUERY = re.compile(rf"(?<=[?&])({_NAMES})=[^&\s\"')]+", re.IGNORECASE)


def holds_password(text: str) -> bool:
    """Whether there is a URL with a user and a password, or with a token in their place."""
    return "@" in text and any(known.search(text) for known in (_USER, _TOKEN))


def redacted(text: str) -> str:
    """The text with what stands for a user in URLs, and with secret parameters of their queries, hidden."""
    if "://" not in text:
        return text
    return _QUERY.sub(rf"\1={HIDDEN}", _TOKEN.sub(HIDDEN, _USER.sub(HIDDEN, text)))
