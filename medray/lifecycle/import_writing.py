"""The objects that ``medray import`` writes: each whole, once, and only where it is not there yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace

from medray.data import store
from medray.lifecycle.import_instance import IMPORTED, UNCHANGED, Made, Outcome, uid_of
from medray.types import State

DUPLICATE = "IMPORT_DUPLICATE"


class Folder:
    """Objects of one folder of an archive, by the UIDs in their names.

    Args:
        uri: of the folder. What a killed run left half-written on a local disk goes.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._there: dict[str, str] = {}
        for name in store.names(uri):
            if name.startswith(".") and name.endswith(".partial"):
                store.delete(store.join(uri, name))
            else:
                self._there[uid_of(name)] = name

    def has(self, name: str) -> bool:
        """Whether the object is there under this very name."""
        return self._there.get(uid_of(name)) == name

    def put(self, name: str, data: bytes) -> None:
        """Write an object; one of the same UID under another name goes then.

        Raises:
            StoreError
        """
        if self.has(name):
            return
        store.write(store.join(self.uri, name), data)
        if old := self._there.get(uid_of(name)):
            store.delete(store.join(self.uri, old))


class Writer:
    """Writes the images and masks of a run, in the order of its inputs: of equal ones the first counts."""

    def __init__(self, out: str, pool: Executor) -> None:
        self._images, self._masks = Folder(store.join(out, "images")), Folder(store.join(out, "masks"))
        self._pool = pool
        self._first: dict[str, str] = {}

    def write(self, batch: Iterable[Made]) -> list[Outcome]:
        """Write what is new; returns what became of each input.

        Raises:
            StoreError
        """
        made = [self._claimed(one) for one in batch]
        objects = [(self._images, one.image) for one in made] + [(self._masks, one.mask) for one in made]
        self._put([(folder, found) for folder, found in objects if found is not None])
        return [one.outcome for one in made]

    def _put(self, objects: Sequence[tuple[Folder, tuple[str, bytes]]]) -> None:
        for _ in self._pool.map(lambda one: one[0].put(*one[1]), objects):
            pass

    def _claimed(self, made: Made) -> Made:
        if made.image is None:
            return made
        outcome, name = made.outcome, made.image[0]
        if self._first.setdefault(outcome.sop_uid, outcome.name) != outcome.name:
            same = replace(outcome, state=State.EXCLUDED.value, code=DUPLICATE, message="the same content as another file")
            return replace(made, outcome=same, image=None)
        return replace(made, outcome=replace(outcome, state=UNCHANGED if self._images.has(name) else IMPORTED))
