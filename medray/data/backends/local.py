"""Local files as objects: an ordered walk and reads that notice a change."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from medray.data.backends.listing import ObjectInfo
from medray.data.backends.troubles import changed


def walk(path: str) -> Iterator[ObjectInfo]:
    """Every file under a folder (or the one file itself) in the order of the paths; links are files and are not followed into.

    Raises:
        OSError
    """
    if not Path(path).is_dir():
        yield _info(path, os.stat(path))  # noqa: PTH116
        return
    for name, entry in sorted((entry.name + "/" * entry.is_dir(follow_symlinks=False), entry) for entry in os.scandir(path)):
        if name.endswith("/"):
            yield from walk(entry.path)
        elif entry.is_symlink():
            yield _link(entry)
        elif entry.is_file(follow_symlinks=False):
            yield _info(entry.path, entry.stat())


def _link(entry: os.DirEntry[str]) -> ObjectInfo:
    try:
        return _info(entry.path, entry.stat())
    except OSError:  # dangling: an object that cannot be read
        return _info(entry.path, entry.stat(follow_symlinks=False))


def _info(path: str, found: os.stat_result) -> ObjectInfo:
    return ObjectInfo(path, found.st_size, str(found.st_mtime))


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe would wait for its writer


def get(path: str, bounds: tuple[int, int] | None = None, etag: str | None = None) -> bytes:
    """A file or its bytes [start, end).

    Raises:
        StoreError: OBJECT_CHANGED where ``etag`` is given and is not that of the file before and after reading.
        OSError
    """
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise IsADirectoryError(f"{path} is no file")
        start, end = bounds or (0, None)
        file.seek(start)
        data = file.read(-1 if end is None else max(0, end - start))
        if etag and str(os.fstat(file.fileno()).st_mtime) != etag:
            raise changed(path)
        return data
