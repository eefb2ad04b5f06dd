"""Libraries of the extra ``import``, which volumes need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from medray.errors import ConfigError


def needed(module: str, what: str) -> Any:
    """A module of the extra.

    Raises:
        ConfigError: EXTRA_MISSING.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError("EXTRA_MISSING", f"{what} needs {module}", "pip install 'medray[import]'") from error
