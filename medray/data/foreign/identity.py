"""UIDs derived from content: a picture with the same metadata has the same UIDs on every import."""

from __future__ import annotations

import hashlib
import uuid

from pydicom.uid import UID

from medray.spec import canonical_json

IMPLEMENTATION_CLASS_UID = UID("2.25.193713372937154092310236316226843158307")


def digest(said: object, *parts: memoryview | bytes) -> str:
    """sha256 of plain data and of bytes, in hex."""
    found = hashlib.sha256(canonical_json(said).encode())
    for part in parts:
        found.update(part)
    return found.hexdigest()


def uid(content: str, role: str) -> UID:
    """The UID of an object's ``role`` (``"image"``, ``"series"``, …): a name-based UUID (PS3.5 B.2, RFC 9562 version 5)."""
    return UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'medray import/{role}/{content}').int}")
