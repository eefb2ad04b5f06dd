"""The optional parts of the installation, and one line for what is missing of them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from medray.errors import ConfigError

_MODELS = ("torch", "monai", "xgboost", "sklearn", "skops", "safetensors")
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "models": _MODELS,
    "serve": (*_MODELS, "fastapi", "starlette", "python_multipart"),
    "mr": ("SimpleITK",),
    "import": ("SimpleITK", "nibabel"),
}
"""Extra → the modules that medray uses of it, beside those of the base."""


def require(extra: str, what: str) -> None:
    """Check, without importing it, that an extra is installed.

    Args:
        extra: a name in EXTRAS.
        what: what needs it, the subject of the error's sentence.

    Raises:
        ConfigError: EXTRA_MISSING.
    """
    missing = [module for module in EXTRAS[extra] if find_spec(module) is None]
    if missing:
        raise _missing(extra, what, ", ".join(missing))


def needed(module: str, extra: str, what: str) -> Any:
    """Import a module of an extra.

    Raises:
        ConfigError: EXTRA_MISSING.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise _missing(extra, what, module) from error


def _missing(extra: str, what: str, modules: str) -> ConfigError:
    return ConfigError("EXTRA_MISSING", f"{what} needs {modules}", f"pip install 'medray[{extra}]'")
