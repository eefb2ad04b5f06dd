"""What a command tells the process that watches it, as lines of JSON in a pipe; nothing where none watches, as in a notebook."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

_pipe: int | None = None
"""The end that this process writes to."""

_words = ""


def tie(pipe: int) -> None:
    """Tell what follows through this file descriptor."""
    global _pipe
    _pipe = pipe


@contextmanager
def last_words(words: str) -> Iterator[None]:
    """What is said of this process if it dies inside the block without a word of its own."""
    global _words
    before, _words = _words, words
    _tell("words", words)
    try:
        yield
    finally:
        _words = before
        _tell("words", before)


def stops_itself() -> None:
    """From here on SIGINT and SIGTERM are passed on to this process, which ends in its own time; a second one ends it at once."""
    _tell("stops_itself", True)


def give_up() -> None:
    """End this process at once, with its last words; does nothing where none watches, for a notebook goes on."""
    if _pipe is not None:
        os._exit(1)


def done() -> None:
    """Whatever there is to say has been said."""
    _tell("done", True)


def _tell(what: str, value: str | bool) -> None:
    if _pipe is not None:
        os.write(_pipe, json.dumps({what: value}).encode() + b"\n")
