"""The values of label columns that a task states, and the classes that they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal

import pyarrow as pa
from pydantic import Field

from medray.data.label_values import Meaning, as_labels, is_no_label, meaning_of
from medray.errors import LabelError, shown

Value = Annotated[str, Field(coerce_numbers_to_str=True)]
"""A value of a label column in a configuration, where numbers are text as well."""

_OPPOSITES = {
    "1": "0",
    "0": "1",
    "yes": "no",
    "no": "yes",
    "positive": "negative",
    "negative": "positive",
    "normal": "abnormal",
}
_NEGATIVES = "list the others in task.negative (labels.negative), or set others: negative, which makes every other value one"
_SHOWN = 5

Others = Literal["refused", "negative"]
"""What a value is that is neither a positive nor a negative one."""


def opposites(values: Iterable[str]) -> tuple[str, ...]:
    """The opposites of values that have one, 0 of 1, no of yes, negative of positive, abnormal of normal, but for those given."""
    given = [meaning_of(value).value for value in values]
    return tuple(_OPPOSITES[value] for value in given if _OPPOSITES.get(value, value) not in given)


def check_stated(*classes: Sequence[str]) -> None:
    """Raise ValueError where a value is no label, or means the same as one before it."""
    known: dict[str, str] = {}
    for value in (value for values in classes for value in values):
        if is_no_label(value):
            raise ValueError(f"{value!r} stands for no label and cannot be a value of a class")
        if (same := known.setdefault(meaning_of(value).value, value)) is not value:
            raise ValueError(f"{same!r} and {value!r} cannot be told apart as labels")


def is_positive(column: pa.ChunkedArray, name: str, positive: str, negative: Sequence[str], others: Others) -> pa.Array:
    """1 for a positive label, 0 for a negative one, int64; null where there is no label.

    Args:
        column: label texts.
        name: of the column, for messages.
        positive, negative: their values; without negative ones, the opposite of the positive one.
        others: what every other value is.

    Raises:
        LabelError: as :func:`class_numbers`.
    """
    classes = (negative or opposites((positive,)), (positive,))
    return class_numbers(column, name, classes, _NEGATIVES, 0 if others == "negative" else None)


def class_numbers(
    column: pa.ChunkedArray, name: str, classes: Sequence[Sequence[str]], hint: str, others: int | None = None
) -> pa.Array:
    """The number of the class of each label, int64; null where there is no label.

    Args:
        column: label texts.
        name: of the column, for messages.
        classes: the values of each class, which are compared by what they mean (:func:`medray.data.label_values.meaning_of`).
        hint: what to do about a value of no class.
        others: the class of every other value; None: they are refused.

    Raises:
        LabelError: LABELS_UNKNOWN_CLASS; LABELS_MIXED where values of several kinds cannot be compared.
    """
    encoded = as_labels(column).combine_chunks().dictionary_encode()
    values = encoded.dictionary.to_pylist()
    meanings = {value: meaning_of(value) for value in values if value}
    stated = {meaning_of(value).value: number for number, group in enumerate(classes) for value in group}
    unknown = [value for value, meaning in meanings.items() if meaning.value not in stated]
    _require_one_kind(meanings, unknown if others is not None else (), name)
    if unknown and others is None:
        raise _unknown(_counts(encoded, unknown), name, classes, hint)
    numbers = [stated.get(meanings[value].value, others) if value else None for value in values]
    return pa.array(numbers, pa.int64()).take(encoded.indices)


def _counts(encoded: pa.DictionaryArray, values: Iterable[str]) -> dict[str, int]:
    """How often each of the values occurs, the most frequent one first."""
    counts = {one["values"]: one["counts"] for one in encoded.value_counts().to_pylist()}
    return dict(sorted(((value, counts[value]) for value in values), key=lambda one: (-one[1], one[0])))


def _unknown(counts: Mapping[str, int], name: str, classes: Sequence[Sequence[str]], hint: str) -> LabelError:
    """The error of labels that are of no class, with the most frequent of them."""
    named = [f"{shown(value)} ({count})" for value, count in counts.items()]
    more = f" and {len(named) - _SHOWN} others" if len(named) > _SHOWN else ""
    stated = ", ".join(value for values in classes for value in values)
    message = f"{sum(counts.values())} labels in {name} are no class: {', '.join(named[:_SHOWN])}{more}; the classes are {stated}"
    return LabelError("LABELS_UNKNOWN_CLASS", message, hint)


def _require_one_kind(meanings: Mapping[str, Meaning], others: Sequence[str], name: str) -> None:
    """Refuse values of several kinds that cannot mean the same; what is stated, in any kind, is known to be meant.

    Truth values and numbers agree where the numbers are 0 and 1. Text beside them is refused where not every value is stated: a
    ``yes`` would be counted as another value than the ``1`` that it means.

    Args:
        others: values that are not stated, and are taken all the same.

    Raises:
        LabelError: LABELS_MIXED.
    """
    by_kind: dict[str, list[str]] = {}
    for value, meaning in meanings.items():
        by_kind.setdefault(meaning.kind, []).append(value)
    numbers = [value for value in by_kind.get("number", ()) if meanings[value].value not in ("0", "1")]
    is_mixed = ("truth value" in by_kind and numbers) or ("text" in by_kind and len(by_kind) > 1 and others)
    if is_mixed:
        found = [f"{kind}s ({', '.join(map(shown, sorted(values)[:3]))})" for kind, values in sorted(by_kind.items())]
        message = f"{name} mixes {' and '.join(found)}, which cannot be compared"
        raise LabelError("LABELS_MIXED", message, "write one thing in one way")
