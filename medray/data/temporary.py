"""Temporary folders that a kill leaves nothing of: the next start removes those whose process has ended.

``medray-KIND-XXXXXXXX`` holds a lock file, locked as long as its process lives, and the folder ``files`` that is handed out. A
lock ends with its process, so a folder whose lock is free belongs to nobody; one without a lock file is not medray's.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK = "medray.lock"
_NAME = re.compile(r"medray-[a-z]+-[a-z0-9_]{8}")


@contextmanager
def folder(kind: str) -> Iterator[Path]:
    """A folder of this process, removed on leaving.

    Args:
        kind: what for, in small letters: part of the name.

    Raises:
        OSError
    """
    whole = Path(tempfile.mkdtemp(prefix=f"medray-{kind}-"))
    descriptor = -1
    try:
        descriptor = _locked(whole)
        (whole / "files").mkdir()
        yield whole / "files"
    finally:
        shutil.rmtree(whole, ignore_errors=True)
        if descriptor >= 0:
            os.close(descriptor)


def _locked(whole: Path) -> int:
    """Make the lock file, locked before it has its name; returns its descriptor."""
    descriptor = os.open(whole / "new.lock", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    (whole / "new.lock").rename(whole / _LOCK)
    return descriptor


def abandoned() -> Iterator[Path]:
    """Folders of this user's processes that have ended, each locked by this one while it is handed out."""
    for path in sorted(Path(tempfile.gettempdir()).glob("medray-*")):
        if _NAME.fullmatch(path.name) and _is_own(path):
            with suppress(OSError):  # gone by now, or in use
                descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    yield path
                finally:
                    os.close(descriptor)


def _is_own(path: Path) -> bool:
    """Whether it is a folder of this user, and no link."""
    with suppress(OSError):
        found = path.lstat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    return False


def sweep() -> list[Path]:
    """Remove what processes that have ended left; returns the folders."""
    removed = []
    for path in abandoned():
        shutil.rmtree(path, ignore_errors=True)
        removed.append(path)
    return removed
