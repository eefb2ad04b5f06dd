"""Pseudonyms of patient identifiers: a keyed hash, and the key that this process hashes with."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import NoReturn

_ID = b"\0medray pseudonym key\0"  # no PatientID begins with NUL, so no pseudonym is an identifier of a key


@dataclass(frozen=True)
class Key:
    """A secret of a site. It is not printed and not pickled: a process that needs it reads it where it is kept.

    Attributes:
        secret: what pseudonyms are made with.
        file: where it was read, "" for the environment.
    """

    secret: bytes = field(repr=False)
    file: str = ""

    @property
    def id(self) -> str:
        """16 hex digits that tell keys apart; the key is not to be found from them."""
        return hmac.new(self.secret, _ID, hashlib.sha256).hexdigest()[:16]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a pseudonym key is not sent to other processes: send its KeyName")


_in_use: Key | None = None


@contextmanager
def using(key: Key | None) -> Iterator[None]:
    """Pseudonyms are made with this key inside the block, in every thread of this process; with None, with the one before."""
    global _in_use
    before = _in_use
    _in_use = key or before
    try:
        yield
    finally:
        _in_use = before


def key_in_use() -> Key | None:
    """The key of the :func:`using` around this; without one, pseudonyms are of this process alone and nothing may keep them."""
    return _in_use


def patient_key(patient_id: str | bytes) -> str:
    """Keyed hash of a PatientID: 16 hex digits, or "" where there is no id.

    Text is hashed as UTF-8, whatever character set it was stored in. Bytes are hashed as they are: those of an id that cannot be
    read in the character set that its file states, since what is left of it could make one patient of two.

    HMAC-SHA-256 (RFC 2104) with the key in use, so that no list of ids gives pseudonyms away without it. Where none is in use the
    pseudonym is made with a random key of this process: it tells patients apart, and means nothing elsewhere.
    """
    if not patient_id:
        return ""
    stored = patient_id.encode() if isinstance(patient_id, str) else patient_id
    return _keyed(stored, _in_use.secret if _in_use else _of_this_process())


@cache
def _of_this_process() -> bytes:
    return secrets.token_bytes(32)


@lru_cache(maxsize=1024)  # the images of a patient come together
def _keyed(patient_id: bytes, secret: bytes) -> str:
    return hmac.new(secret, patient_id, hashlib.sha256).hexdigest()[:16]
