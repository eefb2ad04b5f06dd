"""The boundary around libraries that read models from files which anyone may have written."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from zipfile import BadZipFile

from medray.errors import BundleError, MedrayError

BROKEN = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError, MemoryError, OSError),
    *(RuntimeError, TypeError, ValueError, BadZipFile, struct.error, zlib.error),
)
"""What readers of zip, JSON, UBJ and safetensors raise on files that are cut, altered, or made to mislead them."""


@contextmanager
def foreign(file: str, but: type[Exception] = MedrayError) -> Iterator[None]:
    """Around the reading of a model's file: what a library raises is BUNDLE_MODEL, but for ``but`` and what is ours."""
    try:
        yield
    except (MedrayError, but):
        raise
    except BROKEN as error:
        message = f"{file} is broken, not there, or of another family ({type(error).__name__})"
        raise BundleError("BUNDLE_MODEL", message, "publish the bundle again") from error
