"""Files of a store kept on a node, for all trainings on it, within a bound of disk.

A folder holds sets: the files of one table that a training needs. One process of the node fetches a set, in order, as far as the
bound allows; all use what is there. A set that no process uses makes room for others. Locks end with the processes that hold
them, so a kill leaves nothing behind but a partial file, which the next one removes.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
from pydantic import Field

from medray.data import store
from medray.errors import StoreError
from medray.spec import Spec

_AT_ONCE = 4
_PAUSE_S = 0.5
_CLAIM = "claim"
_SET = re.compile("[0-9a-f]{32}")
_logger = logging.getLogger("medray")


class CacheSpec(Spec):
    """Where a node keeps prepared samples that lie in a store. Samples on a local path are used where they are."""

    folder: str | None = Field(None, description="default: a folder of the user's own where the system keeps temporary files")
    max_gib: float | None = Field(None, ge=0, description="most that it holds; default: half of what the disk has free. 0: none")

    @property
    def root(self) -> Path:
        """The folder."""
        return Path(self.folder or Path(tempfile.gettempdir()) / f"medray-cache-{os.getuid()}")


class CachedSet:
    """The files of one table on this node, while a training uses them.

    Args:
        spec: where, and how much.
        uri: the table's.
        sizes: name → bytes of each file, in the order in which they are fetched.
    """

    def __init__(self, spec: CacheSpec, uri: str, sizes: Mapping[str, int]) -> None:
        self._spec, self._uri, self._sizes = spec, uri, sizes
        self._name = hashlib.sha256("\n".join([uri, *sizes]).encode()).hexdigest()[:32]
        self._folder = spec.root / self._name
        self._usable = False
        self._stop = threading.Event()
        self._stack = ExitStack()

    def __enter__(self) -> CachedSet:
        """Use the set, and begin to fetch what is missing. Where the disk refuses, nothing is kept."""
        try:
            _own(self._spec.root, others=0o022)
            self._stack.enter_context(_locked(self._spec.root / f"{self._name}.used", fcntl.LOCK_SH))
            _own(self._folder, others=0o077)
        except OSError as error:
            _without(error)
            return self
        self._usable = True
        thread = threading.Thread(target=self._fetch, name="medray-cache", daemon=True)
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(self._stop.set)
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop fetching; from now on the set may make room for others."""
        self._stack.close()

    def path(self, name: str) -> str | None:
        """Where a file is, if it is there by now; None where nothing is kept."""
        return f"{self._folder}/{name}" if self._usable else None

    def drop(self, name: str) -> None:
        """Remove a file that is not what it should be."""
        with suppress(OSError):
            (self._folder / name).unlink()

    def _fetch(self) -> None:
        """Fetch what is missing once no other process does; what fails is read from the store by those who need it."""
        try:
            with (self._spec.root / f"{self._name}.fetched").open("w") as file:
                while not _alone(file.fileno()):
                    if self._stop.wait(_PAUSE_S):
                        return
                self._fetch_missing(self._chosen(self._claim()))
        except OSError as error:
            _without(error)
        except StoreError:
            _logger.warning("the store failed while samples were fetched to this node: they are read one by one")

    def _claim(self) -> int:
        """Bytes that this set may have, once sets that nobody uses have made room for it."""
        wanted, root = sum(self._sizes.values()), self._spec.root
        with _locked(root / "claims", fcntl.LOCK_EX):
            others = sorted((path for path in _sets(root) if path != self._folder), key=_last_used)
            bound = self._bound([*others, self._folder])
            for other in others:
                if sum(map(_claimed, others)) + wanted <= bound:
                    break
                _remove_unused(other)
            claim = max(0, min(wanted, bound - sum(map(_claimed, others))))
            (self._folder / _CLAIM).write_text(str(claim))
        return claim

    def _bound(self, sets: list[Path]) -> int:
        if self._spec.max_gib is not None:
            return int(self._spec.max_gib * 2**30)
        kept = sum(max(0, _size(file)) for one in sets if one.is_dir() for file in one.iterdir())
        return (shutil.disk_usage(self._spec.root).free + kept) // 2

    def _chosen(self, claim: int) -> list[str]:
        """The files that the claim has place for."""
        ends = np.cumsum(list(self._sizes.values()))
        if ends[-1] > claim:
            shares = f"{claim / 2**30:.1f} of {ends[-1] / 2**30:.1f} GiB of samples"
            _logger.info(f"this node keeps {shares}; the others stay in the store")
        return [name for name, end in zip(self._sizes, ends, strict=True) if end <= claim]

    def _fetch_missing(self, chosen: list[str]) -> None:
        """Fetch these files; others go, as those that a killed process left behind."""
        kept = {*chosen, _CLAIM}
        for path in self._folder.iterdir():
            if path.name not in kept:
                path.unlink(missing_ok=True)
        missing = [name for name in chosen if _size(self._folder / name) != self._sizes[name]]
        for start in range(0, len(missing), _AT_ONCE):
            if self._stop.is_set():
                return
            names = missing[start : start + _AT_ONCE]
            for name, data in zip(names, store.read_many([store.join(self._uri, name) for name in names]), strict=True):
                if isinstance(data, StoreError):
                    raise data
                _write(self._folder / name, data)


def _sets(root: Path) -> list[Path]:
    """The sets in a folder, in which other things may lie as well."""
    return [path for path in root.iterdir() if _SET.fullmatch(path.name) and (path / _CLAIM).is_file()]


def _own(folder: Path, others: int) -> None:
    """Have a folder that is this user's: it holds images of patients.

    Args:
        others: what other users must not be allowed, as bits of the mode.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & others:
        raise PermissionError(f"{folder} is not this user's alone")


def _size(path: Path) -> int:
    """Bytes of a file; -1 where it is not there, as others may have removed or renamed it."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_bytes(data)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)


def _without(error: OSError) -> None:
    _logger.warning(f"samples are not kept on this node ({error.strerror or error}): they are read from the store")


def _claimed(folder: Path) -> int:
    """Bytes that a set may have; none once it is removed."""
    try:
        return int((folder / _CLAIM).read_text())
    except (OSError, ValueError):
        return 0


def _last_used(folder: Path) -> float:
    return (folder / _CLAIM).stat().st_mtime


def _remove_unused(folder: Path) -> None:
    """Remove a set unless a process uses it."""
    with folder.with_name(f"{folder.name}.used").open("w") as file:
        if _alone(file.fileno()):
            for path in folder.iterdir():
                if path.name != _CLAIM:
                    path.unlink()
            (folder / _CLAIM).unlink()  # last: without it the folder is no set
            folder.rmdir()


def _alone(descriptor: int) -> bool:
    """Lock a file, unless another process has it locked."""
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


@contextmanager
def _locked(path: Path, kind: int) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file.fileno(), kind)
        yield
