"""The objects of ``medray import`` in the order of its inputs: of equal ones the first counts."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import replace

from medray.cataloguing.importing.folder import Folder
from medray.cataloguing.importing.instance import IMPORTED, UNCHANGED, Made, Outcome
from medray.types import State

DUPLICATE = "IMPORT_DUPLICATE"


class Writer:
    """Writes the images and masks of a run."""

    def __init__(self, images: Folder, segmentations: Folder, pool: Executor) -> None:
        self._images, self._segmentations, self._pool = images, segmentations, pool
        self._first: dict[str, str] = {}

    def write(self, batch: Iterable[Made]) -> list[Outcome]:
        """Write what is new; return the outcome of each input.

        Raises:
            StoreError
        """
        made = [self._claimed(one) for one in batch]
        found = [(self._images, one.image) for one in made] + [(self._segmentations, one.mask) for one in made]
        new = [(folder, one.name, one.data) for folder, one in found if one is not None and one.data is not None]
        for _ in self._pool.map(lambda one: one[0].put(one[1], one[2]), new):
            pass
        return [one.outcome for one in made]

    def _claimed(self, made: Made) -> Made:
        if made.image is None:
            return made
        outcome = made.outcome
        if self._first.setdefault(outcome.sop_uid, outcome.name) != outcome.name:
            same = replace(outcome, state=State.EXCLUDED.value, code=DUPLICATE, message="the same content as another file")
            return replace(made, outcome=same, image=None)
        return replace(made, outcome=replace(outcome, state=IMPORTED if made.image.data is not None else UNCHANGED))
