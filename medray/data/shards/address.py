"""Addresses of shard members: where the bytes of one member of a .tar, .tar.zst or .zip lie, as one line of text.

``SHARD_URI#bytes=START-END[&method=M][&size=N][&crc=X][&frame=C-D][&error=CODE]/NAME``

* ``START`` and ``END`` have 13 digits, so that addresses of one shard sort in the order of its bytes. In a tar they bound
  the data in the (decompressed) archive; in a zip everything from the member's local header to the end of its data.
* ``method``: absent (the bytes as they are), ``zstd`` (a .tar.zst), ``stored`` or ``deflate`` (a zip).
* ``size`` and ``crc``: length and CRC-32 (8 hex digits) of a zip member once it is unpacked.
* ``frame``: a .tar.zst member can be read from the frame at byte C of the shard, which holds byte D of the archive.
* ``error``: the member cannot be read, and why (``ARCHIVE_UNSAFE_MEMBER``, …); reading it raises that again.
* ``NAME`` keeps its slashes, so that labels find members by the tail of their path. ``%``, ``#``, control characters and bytes
  that are no UTF-8 are percent-encoded, and so are the slashes of a name with empty, ``.`` or ``..`` parts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

_ADDRESS = re.compile(
    r"(?P<shard>.+)#bytes=(?P<start>\d{13})-(?P<end>\d{13})(?P<rest>(?:&[a-z]+=[\w-]+)*)(?:/(?P<name>[^#]*))?", re.S
)
_HIDDEN = re.compile(r"[%#\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
LAST_BYTE = 10**13 - 1


@dataclass(frozen=True)
class Address:
    """One member of a shard; see the module for the fields."""

    shard: str
    start: int
    end: int
    name: str
    method: str = ""
    size: int | None = None
    crc: int | None = None
    frame: tuple[int, int] | None = None
    error: str = ""

    @property
    def length(self) -> int:
        """Bytes of the member once it is unpacked."""
        return self.end - self.start if self.size is None else self.size

    def __str__(self) -> str:
        fields = {
            "method": self.method,
            "size": "" if self.size is None else str(self.size),
            "crc": "" if self.crc is None else f"{self.crc:08x}",
            "frame": "" if self.frame is None else f"{self.frame[0]}-{self.frame[1]}",
            "error": self.error,
        }
        rest = "".join(f"&{key}={value}" for key, value in fields.items() if value)
        return f"{self.shard}#bytes={self.start:013d}-{self.end:013d}{rest}/{_quoted(self.name)}"


def parse(uri: str) -> Address | None:
    """The address that a URI is; None where it is the URI of a loose object."""
    found = _ADDRESS.fullmatch(uri)
    if not found:
        return None
    fields = dict(part.split("=", 1) for part in found["rest"].split("&")[1:])
    frame = fields.get("frame")
    return Address(
        shard=found["shard"],
        start=int(found["start"]),
        end=int(found["end"]),
        name=unquote_to_bytes(found["name"] or "").decode("utf-8", "surrogateescape"),
        method=fields.get("method", ""),
        size=int(fields["size"]) if "size" in fields else None,
        crc=int(fields["crc"], 16) if "crc" in fields else None,
        frame=(int(frame.split("-")[0]), int(frame.split("-")[1])) if frame else None,
        error=fields.get("error", ""),
    )


def _quoted(name: str) -> str:
    text = _HIDDEN.sub(lambda found: _percent(found[0]), name)
    if any(part in ("", ".", "..") for part in text.split("/")):
        text = text.replace("/", "%2F")
        return text.replace(".", "%2E") if text in (".", "..") else text
    return text


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))
