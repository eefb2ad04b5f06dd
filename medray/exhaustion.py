"""Exceptions of a machine that has run out of something → the error that says of what, and where."""

from __future__ import annotations

import errno
import re

from medray.errors import RunError

_FULL = {errno.ENOSPC: "no space is left", errno.EDQUOT: "the quota is used up", errno.EFBIG: "a file may not become that large"}
_NUMBER = re.compile(r"(?:errno|os error) (\d+)", re.IGNORECASE)  # as Arrow and Rust's libraries write it into their texts

_QUOTED_PLACE = re.compile(r"Errno \d+\] [^:'\n]+: '([^'\n]+)'")


def exhausted(error: BaseException, where: str = "") -> RunError | None:
    """DISK_FULL or OUT_OF_MEMORY, if that is what an exception means.

    Args:
        where: the place that was written to; default: what the exception names.
    """
    if isinstance(error, MemoryError):
        return out_of_memory()
    if full := _FULL.get(_number(error)):
        place = where or _place(error) or "a place that the message does not name"
        return RunError("DISK_FULL", f"{full} at {place}", "make room there, then run again: what is finished is kept")
    return None


def out_of_memory() -> RunError:
    """OUT_OF_MEMORY."""
    return RunError("OUT_OF_MEMORY", "the memory is used up", "use fewer actors or smaller batches, or more memory")


def _place(error: BaseException) -> str:
    if name := getattr(error, "filename", None):
        return str(name)
    found = _QUOTED_PLACE.search(str(error))
    return found[1] if found else ""


def _number(error: BaseException) -> int:
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = _NUMBER.search(str(error))
    return int(found[1]) if found else 0
