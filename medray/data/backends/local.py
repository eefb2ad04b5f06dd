"""Local files as objects: an ordered walk and reads that notice a change."""

from __future__ import annotations

import os
import stat
import uuid
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
        yield _link(path)
        return
    entered = [_entries(path)]  # folders may be deeper than Python's calls
    while entered:
        entry = next(entered[-1], None)
        if entry is None:
            entered.pop()
        elif entry.is_dir(follow_symlinks=False):
            entered.append(_entries(entry.path))
        elif entry.is_symlink():
            yield _link(entry.path)
        elif entry.is_file(follow_symlinks=False):
            yield _info(entry.path, entry.stat())


def _entries(path: str) -> Iterator[os.DirEntry[str]]:
    return iter(sorted(os.scandir(path), key=lambda entry: entry.name + "/" * entry.is_dir(follow_symlinks=False)))


def _link(path: str) -> ObjectInfo:
    try:
        return _info(path, os.stat(path))  # noqa: PTH116
    except OSError:  # dangling: an object that cannot be read
        return _info(path, os.lstat(path))


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
            raise IsADirectoryError(f"{path} is not a file")
        start, end = bounds or (0, None)
        file.seek(start)
        data = file.read(-1 if end is None else max(0, end - start))
        if etag and str(os.fstat(file.fileno()).st_mtime) != etag:
            raise changed(path)
        return data


def put(path: str, data: bytes, new: bool = False, sync: bool = True) -> bool:
    """Write a file so that readers see the old one or the whole new one, also after a power loss; returns whether it was written.

    Args:
        new: only where there is none; of several writers, one is told that it wrote.
        sync: wait until the bytes are on the disk, so that no name is there before its content.

    Raises:
        OSError
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        if not new:
            partial.replace(target)
            return True
        try:
            target.hardlink_to(partial)
        except FileExistsError:
            return False
        return True
    finally:
        partial.unlink(missing_ok=True)


def sync(path: str) -> None:
    """Wait until a file, or the names in a folder, are on the disk.

    Raises:
        OSError
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
