"""The decorator of compiled loops, and the folder of their cache."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """Compile on the first call; kept in the user's cache where that can be written to, else compiled by each process.

    The environment variable NUMBA_CACHE_DIR names another folder. Nothing is written beside the source, which may be a checkout.

    A kernel releases the GIL. Numba takes module-level arrays as constants and looks for changes in the file of the kernel
    alone: pass tables as arguments. Give each kernel one type of each argument (``uint16`` grey levels, ``float64`` values,
    C order, three dimensions also for a single slice): every further type is compiled again.
    """
    folder = os.environ.get("NUMBA_CACHE_DIR") or _user_folder()
    if not _is_writable(folder):
        return njit(nogil=True)(function)
    config: Any = numba.config  # its settings are made as it is loaded
    before, config.CACHE_DIR = config.CACHE_DIR, folder  # read once, when the decorator is applied
    try:
        return njit(cache=True, nogil=True)(function)
    finally:
        config.CACHE_DIR = before


def _user_folder() -> str:
    """The folder for kernels in the user's cache; "" where there is none.

    As the XDG base directory specification says, a relative XDG_CACHE_HOME does not count.
    """
    stated = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        base = stated if stated.is_absolute() else Path.home() / ".cache"
    except RuntimeError:  # a user without a home
        return ""
    return str(base / "medray" / "kernels")


@cache
def _is_writable(folder: str) -> bool:
    if not folder:
        return False
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
