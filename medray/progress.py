"""How a long job tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with (what, done, total)."""

Count = Callable[[int, int], None]
"""Called with (done, total) of one thing."""


def counting(progress: Progress | None, what: str) -> Count | None:
    """A callback of (done, total) that tells ``progress`` what is being done."""
    return (lambda done, total: progress(what, done, total)) if progress else None
