"""Compiled loops: one decorator for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def kernel(function: Callable[..., Any]) -> Any:
    """Compile on the first call; kept on disk where a folder for it can be written to, else compiled by each process.

    A kernel lets go of the GIL. Numba takes module-level arrays as constants and looks for changes in the file of the kernel
    alone: pass tables as arguments. Give each kernel one type of each argument (``uint16`` grey levels, ``float64`` values,
    C order, three dimensions also for a single slice): every further type is compiled again.
    """
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return njit(nogil=True)(function)
