"""What the texts of a label column mean: no label, or a value, however it is written."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

NO_LABEL = ("", "?", "#n/a", "-nan", "<na>", "n/a", "na", "nan", "null", "unknown")
"""Texts that are no label, in lower case: nothing is known there. docs/tasks.md lists them."""

Kind = Literal["number", "truth value", "text"]

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]{1,3})?")
_TRUTH = {"true": "1", "false": "0"}


@dataclass(frozen=True)
class Meaning:
    """A value of a label column.

    Attributes:
        kind: of value.
        value: equal for equal values: ``1``, ``1.0``, ``True`` and ``true`` are ``"1"``; texts are in lower case and composed
            (Unicode NFC).
    """

    kind: Kind
    value: str


def as_labels(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The texts without white space around them, "" where they are no label."""
    texts = pc.utf8_trim_whitespace(pc.fill_null(column, ""))
    return pc.if_else(pc.is_in(pc.utf8_lower(texts), value_set=pa.array(NO_LABEL, pa.string())), "", texts)


def is_no_label(text: str) -> bool:
    """Whether a text is no label."""
    return text.strip().lower() in NO_LABEL


def meaning_of(text: str) -> Meaning:
    """What a text means, upper or lower case, white space around it and the way it is composed aside."""
    plain = unicodedata.normalize("NFC", text.strip().lower())
    if plain in _TRUTH:
        return Meaning("truth value", _TRUTH[plain])
    if _NUMBER.fullmatch(plain):
        return Meaning("number", _number(plain))
    return Meaning("text", plain)


def _number(text: str) -> str:
    """The exact number in one way of writing."""
    exact = Context(prec=max(len(text), 1), Emax=MAX_EMAX, Emin=MIN_EMIN)
    number = Decimal(text).normalize(exact)
    return format(number, "f") if number else "0"
