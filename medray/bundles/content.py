"""The files of a bundle: checksums, and a local folder that holds exactly what the manifest names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from medray.data import store, temporary
from medray.errors import BundleError, StoreError

MANIFEST = "bundle.json"
SIGNATURE = "bundle.sig"
_ROOT = (MANIFEST, SIGNATURE)
_DEEPEST = 32
_AGAIN = "fetch or publish it again"


def checksums(folder: Path) -> dict[str, str]:
    """Relative path → sha256 of all that is under a folder but its own manifest and signature.

    A link, a pipe or a device has "", which no manifest can name: what lies behind it may change.
    """
    paths = {
        path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir()
    }
    return {name: _checksum(path) for name, path in paths.items() if name not in _ROOT or not _regular(path)}


def _regular(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _checksum(path: Path) -> str:
    if not _regular(path):
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unsafe(name: str) -> bool:
    """Whether a file's name in a manifest may lead out of the bundle, or is not written in the one way that we write it."""
    path = PurePosixPath(name)
    plain = str(path) == name and "\\" not in name and name.isprintable()
    return not plain or path.is_absolute() or ".." in path.parts or len(path.parts) > _DEEPEST or name in (".", *_ROOT)


@contextmanager
def checked_folder(files: Mapping[str, str], uri: str) -> Iterator[Path]:
    """A local copy of the bundle's files, each as the manifest says, removed on leaving.

    What is checked is what is opened, whoever writes to the bundle meanwhile. Nothing is copied that the manifest does not name.

    Args:
        files: the manifest's, name → sha256.

    Raises:
        BundleError: BUNDLE_ALTERED.
    """
    with temporary.folder("bundle") as folder:
        _require_no_others(files, uri)
        _copy(files, uri, folder)
        check_files(files, folder, uri)
        yield folder


def _require_no_others(files: Mapping[str, str], uri: str) -> None:
    if "://" not in uri:
        check_files(files, Path(uri), uri)  # links, too
        return
    listed = {info.uri.removeprefix(uri + "/") for info in store.list_objects(uri)}
    if wrong := (listed - set(_ROOT)) ^ files.keys():
        raise _altered(uri, sorted(wrong))


def _copy(files: Mapping[str, str], uri: str, folder: Path) -> None:
    for name, data in zip(files, store.read_many([store.join(uri, name) for name in files]), strict=True):
        if isinstance(data, StoreError):
            raise data
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def check_files(files: Mapping[str, str], folder: Path, uri: str) -> None:
    """Compare every file with the manifest's checksums; raises BundleError BUNDLE_ALTERED."""
    found = checksums(folder)
    if found != dict(files):
        raise _altered(uri, sorted(name for name in found.keys() | files.keys() if found.get(name) != files.get(name)))


def _altered(uri: str, wrong: list[str]) -> BundleError:
    more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
    return BundleError("BUNDLE_ALTERED", f"{uri}: {', '.join(wrong[:5])}{more} differ from the manifest, or are links", _AGAIN)
