"""Choose the stack to build among those that were found, and check it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from medray.data.series import LOCALIZER, Stack, mixture
from medray.errors import Excluded, Quarantined

_FLAGS = {"GE_ROWS_FLIPPED", "VOLUME_FRAME_OF_REFERENCE", "VOLUME_SHEARED", "VOLUME_SINGLE_SLICE"}  # need no permission
_VALID = {"VOLUME_SEVERAL_STACKS", "VOLUME_MIXED_SERIES"}  # mixtures that may well be meant: Excluded; others are Quarantined
_TOLD = 5  # stacks that a message lists
_ORIGINAL = ("ORIGINAL", "PRIMARY")


class Choice(NamedTuple):
    """The stack to build.

    Attributes:
        stack: the stack.
        flags: troubles that were allowed, and notes.
        left_out: (number of the source, code) of the sources beside it: screens and localizers.
    """

    stack: Stack
    flags: set[str]
    left_out: tuple[tuple[int, str], ...]


def chosen_stack(found: Sequence[Stack], number: int | None, allow: Collection[str]) -> Choice:
    """The stack that is asked for, or the only one, or by permission the largest.

    Raises:
        Excluded, Quarantined: there are several; or it has troubles that are not allowed.
        IndexError: there is no such stack.
    """
    aside: Mapping[int, str] = {}
    if number is not None:
        if not 0 <= number < len(found):
            raise IndexError(f"stack {number} of {len(found)}")
        chosen = found[number]
        patients = mixture([one for one in found if one.series == chosen.series]) == "VOLUME_MIXED_PATIENTS"
        mixed = "VOLUME_MIXED_PATIENTS" if patients else ""
    else:
        aside = beside(found)
        real = [one for index, one in enumerate(found) if index not in aside]
        chosen, mixed = max(real, key=lambda one: len(one.planes)), mixture(real)
    if mixed and mixed not in allow:
        raise _error(mixed, f"{len(found) - len(aside)} stacks where one volume is expected ({_listed(found, aside)})", chosen)
    for trouble in chosen.troubles:
        if trouble.code not in _FLAGS and trouble.code not in allow:
            raise _error(trouble.code, trouble.detail)
    flags = {trouble.code for trouble in chosen.troubles} | ({mixed} - {""})
    taken = {plane.source for plane in (*chosen.planes, *chosen.repeats)}
    left_out = {plane.source: code for index, code in aside.items() for plane in found[index].planes if plane.source not in taken}
    return Choice(chosen, flags, tuple(sorted(left_out.items())))


def beside(found: Sequence[Stack]) -> Mapping[int, str]:
    """Index of each stack that only accompanies others → why it is not a volume itself: VOLUME_LOCALIZER, VOLUME_NO_GEOMETRY.

    Localizers say so in Image Type; a screen, a report page or another presentation has no place in the patient and is of another
    series, of another class, or no original image. Where there is nothing else, or another patient, none is put aside.
    """
    real = [one for one in found if not _lacks_place(one) and not _plans(one)]
    if not real or mixture(found) == "VOLUME_MIXED_PATIENTS":
        return {}
    kinds = {(one.series, one.planes[0].sop_class_uid) for one in real}
    codes = {}
    for index, stack in enumerate(found):
        first = stack.planes[0]
        if _lacks_place(stack):
            if (stack.series, first.sop_class_uid) not in kinds or first.image_type[:2] not in ((), _ORIGINAL):
                codes[index] = "VOLUME_NO_GEOMETRY"
        elif _plans(stack):
            codes[index] = "VOLUME_LOCALIZER"
    return codes


def _lacks_place(stack: Stack) -> bool:
    """Whether none of its planes states a position."""
    return all(plane.position_mm is None and plane.orientation is None and not plane.is_whole for plane in stack.planes)


def _plans(stack: Stack) -> bool:
    return LOCALIZER in stack.planes[0].image_type


def _error(code: str, detail: str, chosen: Stack | None = None) -> Excluded | Quarantined:
    kind = Excluded if code in _VALID else Quarantined
    unsettled = next((one.detail for one in chosen.troubles if one.code == code), "") if chosen else ""
    return kind(code, f"{detail}: {unsettled}" if unsettled else detail)


def _listed(found: Sequence[Stack], aside: Collection[int]) -> str:
    """Number, size and what divides each stack: attributes of how it was acquired, nothing that names a patient."""
    lines = []
    for index, stack in enumerate(found):
        if index not in aside:
            value = "".join(f", {name} {text}" for name, text in stack.divided_by)
            lines.append(f"{index}: {len(stack.planes)} slices{value}")
    return "; ".join(lines[:_TOLD]) + "; …" * (len(lines) > _TOLD)
