"""Which of the stacks that were found is to be built, and what stands in its way."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from medray.data.series import Stack, mixture
from medray.errors import Excluded, Quarantined

_FLAGS = {"GE_ROWS_FLIPPED", "VOLUME_FRAME_OF_REFERENCE", "VOLUME_SHEARED", "VOLUME_SINGLE_SLICE"}  # need no permission
_VALID = {"VOLUME_SEVERAL_STACKS", "VOLUME_MIXED_SERIES"}  # mixtures that may well be meant: Excluded; others are Quarantined


def chosen_stack(found: Sequence[Stack], number: int | None, allow: Collection[str]) -> tuple[Stack, set[str]]:
    """The stack that is asked for, or the only one, or by permission the largest; and its flags."""
    if number is not None and not 0 <= number < len(found):
        raise IndexError(f"stack {number} of {len(found)}")
    chosen = found[number] if number is not None else max(found, key=lambda one: len(one.planes))
    mixed = mixture(found) if number is None else mixture([one for one in found if one.series == chosen.series])
    if number is not None and mixed != "VOLUME_MIXED_PATIENTS":
        mixed = ""
    if mixed and mixed not in allow:
        sizes = ", ".join(f"{index}: {len(one.planes)} slices" for index, one in enumerate(found[:5])) + ", …" * (len(found) > 5)
        error = Excluded if mixed in _VALID else Quarantined
        raise error(mixed, f"{len(found)} stacks where one volume is expected ({sizes})")
    for trouble in chosen.troubles:
        if trouble.code not in _FLAGS and trouble.code not in allow:
            raise Quarantined(trouble.code, trouble.detail)
    return chosen, {trouble.code for trouble in chosen.troubles} | ({mixed} - {""})
