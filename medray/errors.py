"""Typed errors with stable codes.

Every error that medray raises on purpose is a :class:`MedrayError`. Its ``code`` is stable (scripts may match on it), its message
says what is wrong and where, and its ``hint`` says what to do. Messages carry pseudonyms and URIs, never patient attributes;
credentials inside URLs are hidden here, whoever wrote the message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from medray.redaction import holds_password, redacted
from medray.remedies import REMEDIES

if TYPE_CHECKING:
    from medray.types import Header

T = TypeVar("T")
R = TypeVar("R")


class MedrayError(Exception):
    """Base of all medray errors.

    Args:
        code: stable upper-case code, for example ``"STORE_NOT_FOUND"``.
        message: what is wrong and where, one line.
        hint: what the user can do about it, one line, or empty.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        message, hint = (redacted(" ".join(text.split())) for text in (message, hint))
        super().__init__(code, message, hint)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" ({self.hint})" if self.hint else "")


def shown(value: object, longest: int = 60) -> str:
    """A value as a message quotes it, cut where it is long."""
    text = redacted(repr(value))  # before it is cut: half a password is not known for one
    return text if len(text) <= longest else text[: longest - 1] + "…"


class ConfigError(MedrayError):
    """A configuration file, an override or an argument is wrong."""


class StoreError(MedrayError):
    """The object store refused or failed; ``retryable`` when trying again later may help."""

    def __init__(self, code: str, message: str, hint: str = "", *, retryable: bool = False) -> None:
        super().__init__(code, message, hint)
        self.retryable = retryable

    def __reduce__(self) -> tuple[object, ...]:
        return (_store_error, (self.code, self.message, self.hint, self.retryable))


def refuse_password(text: str) -> None:
    """Raise STORE_PASSWORD for a URL that holds one, or a token: places of data are stored in tables, shown and logged."""
    if holds_password(text):
        message = f"{text} holds a password or a token"
        raise StoreError("STORE_PASSWORD", message, "leave it out: credentials are taken from the environment")


def _store_error(code: str, message: str, hint: str, retryable: bool) -> StoreError:
    return StoreError(code, message, hint, retryable=retryable)


class InputError(MedrayError):
    """One input cannot be scored. Its terminal state is EXCLUDED or QUARANTINED; the hint is the code's remedy."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(code, message, hint or REMEDIES.get(code, ""))


class Excluded(InputError):
    """A valid object that is outside what the job handles (an SR document, a multi-frame image, …).

    Attributes:
        header: what the object says of itself, where that was read.
    """

    header: Header | None = None


class Quarantined(InputError):
    """A broken or contradictory object that a person has to look at."""


def each(function: Callable[[T], R], items: Iterable[T]) -> list[R | InputError]:
    """``function`` of each item; an InputError that it raises takes the place of that item alone."""
    return [_tried(function, item) for item in items]


def _tried(function: Callable[[T], R], item: T) -> R | InputError:
    try:
        return function(item)
    except InputError as error:
        return error


class LabelError(MedrayError):
    """Labels are missing, match nothing, or cannot be trained on."""


class ModelError(MedrayError):
    """A model cannot be trained or used on the given data."""


class BundleError(MedrayError):
    """A bundle is incomplete, altered, or of an unknown format."""


class ClusterError(MedrayError):
    """The Ray cluster cannot be started or joined safely."""


class RunError(MedrayError):
    """A run ended without a result that may be published."""
