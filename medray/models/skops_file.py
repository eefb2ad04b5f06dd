"""scikit-learn estimators as files of skops, which hold no pickle: what may be in one is a fixed list of types."""

from __future__ import annotations

from collections.abc import Callable, Collection
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from medray.errors import BundleError, shown
from medray.models.foreign import foreign

FILE = "model.skops"

Estimator = TypeVar("Estimator")


def _skops_io() -> Any:
    """The module ``skops.io``, which trusts no estimator by itself.

    As it is imported it lists every estimator, for which it imports all of scikit-learn, and torch: 4 s. Families name theirs.
    """
    import sklearn.utils

    every = sklearn.utils.all_estimators
    sklearn.utils.all_estimators = list
    try:
        return import_module("skops.io")
    finally:
        sklearn.utils.all_estimators = every


def save_estimator(estimator: object, folder: Path) -> None:
    """Write ``model.skops``."""
    _skops_io().dump(estimator, folder / FILE)


def load_estimator(
    folder: Path,
    kind: type[Estimator] | tuple[type[Estimator], ...],
    trusted: Collection[str],
    check: Callable[[Estimator], None],
) -> Estimator:
    """Read what :func:`save_estimator` wrote.

    Args:
        kind: what the file has to hold, or one of several.
        trusted: names of types that may be in it, beside numbers, arrays and containers.
        check: raises where parts of it are not there, or do not fit each other.

    Raises:
        BundleError: BUNDLE_MODEL, the file is broken, or holds something else.
    """
    skops_io = _skops_io()
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        with foreign(FILE, but=UntrustedTypesFoundException):
            found = skops_io.load(folder / FILE, trusted=list(trusted))
    except UntrustedTypesFoundException as error:
        raise BundleError("BUNDLE_MODEL", f"{FILE} holds types that are not trusted: {shown(str(error), 160)}") from error
    if not isinstance(found, kind):
        raise BundleError("BUNDLE_MODEL", f"{FILE} holds a {type(found).__name__}")
    with foreign(FILE):
        check(found)
    return found
