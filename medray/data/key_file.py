"""Where the pseudonym key is kept: a file that is named, the environment, or a file of this user, made once."""

from __future__ import annotations

import logging
import os
import secrets
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from medray.data.pseudonym import Key
from medray.errors import ConfigError

KEY, KEY_FILE = "MEDRAY_PSEUDONYM_KEY", "MEDRAY_PSEUDONYM_KEY_FILE"
LEAST_BYTES, MOST_BYTES = 16, 4096
_NAME_IT = f"name the file that holds it: --pseudonym-key-file or {KEY_FILE}"
_MAKE = "make one with: umask 077; head -c 32 /dev/urandom | base64 > FILE"
_logger = logging.getLogger("medray")


@dataclass(frozen=True)
class KeyName:
    """What a process needs to find a key: nothing of it is secret.

    Attributes:
        id: of the key.
        file: where the process that sends this read it, "" for the environment.
    """

    id: str
    file: str = ""

    def open(self) -> Key:
        """The key, as this process finds it: in its environment, in the file, or in the user's.

        Raises:
            ConfigError: PSEUDONYM_KEY_MISSING, PSEUDONYM_KEY_INVALID.
        """
        found = [of_environment()]
        found += [_read(Path(file)) for file in (self.file, *_own_file()) if _is_there(file)]
        key = next((key for key in found if key is not None and key.id == self.id), None)
        if key is None:
            message = f"a process that makes pseudonyms does not find the key {self.id} of this run"
            raise ConfigError("PSEUDONYM_KEY_MISSING", message, f"set {KEY_FILE} on every node to a copy of the same file")
        return key


def name_of(key: Key) -> KeyName:
    """What to send to a process that shall make the same pseudonyms."""
    return KeyName(key.id, key.file)


def the_key(file: str | None = None, made_with: str | None = None, where: str = "") -> Key:
    """The key to make pseudonyms with: of ``file``, else of the environment, else of this user's file, which is made if need be.

    Args:
        file: path of a local file.
        made_with: identifier of the key that made the pseudonyms that are there; a key is not made then.
        where: what holds those.

    Raises:
        ConfigError: PSEUDONYM_KEYS, another key made those that are there; PSEUDONYM_KEY_LOST, no key is to be found, and one
            did; PSEUDONYM_KEY_INVALID.
    """
    key = _read(Path(file)) if file else of_environment() or _of_this_user()
    if made_with is None:
        return key or _made()
    if key is None:
        message = f"the pseudonyms of {where} were made with the key {made_with}, which is not at {_place()}"
        raise ConfigError("PSEUDONYM_KEY_LOST", message, f"{_NAME_IT}; if it is lost, ingest into a new catalog")
    if key.id != made_with:
        message = f"the pseudonyms of {where} were made with the key {made_with}, and the key here is {key.id}"
        raise ConfigError("PSEUDONYM_KEYS", message, _NAME_IT)
    return key


def of_environment() -> Key | None:
    """The key of ``MEDRAY_PSEUDONYM_KEY``, or of the file that ``MEDRAY_PSEUDONYM_KEY_FILE`` names.

    Raises:
        ConfigError: PSEUDONYM_KEY_INVALID.
    """
    text, file = os.environ.get(KEY), os.environ.get(KEY_FILE)
    if text is not None and file is not None:
        raise ConfigError("PSEUDONYM_KEY_INVALID", f"{KEY} and {KEY_FILE} are both set", "set one of them")
    if text is not None:
        return _checked(text.encode("utf-8", "surrogateescape"), KEY, "")
    return None if file is None else _read(Path(file))


def _of_this_user() -> Key | None:
    return next((_read(Path(file)) for file in _own_file() if _is_there(file)), None)


def _read(path: Path) -> Key:
    """The key in a file that nobody but its owner can read."""
    try:
        with path.open("rb") as opened:
            found = os.fstat(opened.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise ConfigError("PSEUDONYM_KEY_INVALID", f"{path} is not a file", _MAKE)
            if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                message = f"others than its owner may read the key file {path} (mode {stat.S_IMODE(found.st_mode):03o})"
                raise ConfigError("PSEUDONYM_KEY_INVALID", message, f"chmod 600 {path}; a key that others have read is no secret")
            return _checked(opened.read(MOST_BYTES + 1), f"the key file {path}", str(path.absolute()))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError("PSEUDONYM_KEY_INVALID", f"the key file {path} cannot be read: {reason}", _MAKE) from error


def _checked(content: bytes, what: str, file: str) -> Key:
    secret = content.strip()
    if not secret:
        raise ConfigError("PSEUDONYM_KEY_INVALID", f"{what} is empty", _MAKE)
    if not LEAST_BYTES <= len(secret) <= MOST_BYTES:
        message = f"{what} has {'less' if len(secret) < LEAST_BYTES else 'more'} than"
        bound = LEAST_BYTES if len(secret) < LEAST_BYTES else MOST_BYTES
        raise ConfigError("PSEUDONYM_KEY_INVALID", f"{message} {bound} bytes", _MAKE)
    return Key(secret, file)


def _is_there(file: str) -> bool:
    """Whether a path leads to something; not where a folder on the way is closed to this user, as another user's home is."""
    return os.access(file, os.F_OK)


def _own_file() -> list[str]:
    """Path of the key file of this user; none where the user has no home."""
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    try:
        state = state if state.is_absolute() else Path.home() / ".local" / "state"  # a relative one counts for nothing, says XDG
    except RuntimeError:
        return []
    return [str(state / "medray" / "pseudonym.key")]


def _place() -> str:
    return next(iter(_own_file()), "the home of this user, who has none")


def _made() -> Key:
    """A random key in the file of this user; of several processes that make one at a time, all get that of the first."""
    if not (own := _own_file()):
        raise ConfigError("PSEUDONYM_KEY_INVALID", "this user has no home to keep a pseudonym key in", f"set {KEY_FILE}; {_MAKE}")
    path = Path(own[0])
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if _create(path, f"{secrets.token_hex(32)}\n".encode()):
            _logger.info(
                f"made the key of patients' pseudonyms in {path}: keep it, and use it wherever patients shall be the same"
            )
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(
            "PSEUDONYM_KEY_INVALID", f"no key can be made in {path}: {reason}", f"set {KEY_FILE}; {_MAKE}"
        ) from error
    return _read(path)


def _create(path: Path, content: bytes) -> bool:
    """Write a file with mode 600 whole or not at all, unless it is there; returns whether it was written."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 600
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        with suppress(FileExistsError):
            os.link(name, path)
            return True
        return False
    finally:
        Path(name).unlink()
