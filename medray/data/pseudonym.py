"""Pseudonyms of patient identifiers."""

from __future__ import annotations

import hashlib
import hmac
import os
from functools import lru_cache


def patient_key(patient_id: str | bytes) -> str:
    """Keyed hash of a PatientID: 16 hex digits, or "" where there is no id.

    Text is hashed as UTF-8, whatever character set it was stored in. Bytes are hashed as they are: those of an id that cannot be
    read in the character set that its file states, since what is left of it could make one patient of two.

    HMAC-SHA-256 (RFC 2104) with the key of the environment variable ``MEDRAY_PSEUDONYM_KEY``. The same key gives the same
    pseudonym, so catalogs and labels of one site agree. Without a key the pseudonym groups images but can be guessed from a
    list of ids.
    """
    if not patient_id:
        return ""
    stored = patient_id.encode() if isinstance(patient_id, str) else patient_id
    return _keyed(stored, os.environ.get("MEDRAY_PSEUDONYM_KEY", "medray"))


@lru_cache(maxsize=1024)  # the images of a patient come together
def _keyed(patient_id: bytes, key: str) -> str:
    return hmac.new(key.encode(), patient_id, hashlib.sha256).hexdigest()[:16]
