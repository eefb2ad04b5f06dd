"""An ensemble: a bundle of bundles of one task, whose answers are combined.

The members lie, whole and with their own manifests, under ``members/``; the combiner stands in the manifest's ``params``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medray.bundles.combiner import combine, opened_combiner
from medray.bundles.manifest import Manifest
from medray.bundles.scorer import Scorer, Seen, checked
from medray.errors import InputError
from medray.types import Image

ENSEMBLE = "ensemble"
MEMBERS = "members"


class Ensemble(Scorer):
    """An opened ensemble (see :class:`medray.bundles.scorer.Scorer`)."""

    def __init__(self, manifest: Manifest, members: Sequence[Scorer], uri: str) -> None:
        super().__init__(manifest, uri)
        self.members = members
        self._keys = [member.prepares_as for member in members]
        self._combiner = opened_combiner(manifest.params, manifest.task.head, len(members), uri)

    @property
    def colour(self) -> bool:
        """See :attr:`medray.bundles.scorer.Scorer.colour`."""
        return any(member.colour for member in self.members)

    def move(self, device: str) -> None:
        """See :meth:`medray.bundles.scorer.Scorer.move`."""
        for member in self.members:
            member.move(device)

    @property
    def prepares_as(self) -> str:
        """See :attr:`medray.bundles.scorer.Scorer.prepares_as`: images stay as they are."""
        return ""

    def prepared(self, images: Sequence[Image]) -> list[Image]:
        """See :meth:`medray.bundles.scorer.Scorer.prepared`: the images themselves."""
        return list(images)

    def computed(self, prepared: Sequence[Image]) -> list[Seen | InputError]:
        """The combined arrays of all members, and the image itself; members that prepare an image alike share what comes of it.

        An error of a member is that of the image.
        """
        once: dict[str, list[Any]] = {}
        for member, key in zip(self.members, self._keys, strict=True):
            if key not in once:
                once[key] = member.prepared(prepared)
        found = zip(*(member.seen(once[key]) for member, key in zip(self.members, self._keys, strict=True)), strict=True)
        return [self._combined(image, members) for image, members in zip(prepared, found, strict=True)]

    def _combined(self, image: Image, members: Sequence[Seen | InputError]) -> Seen | InputError:
        batches = []
        for seen in members:
            if isinstance(seen, InputError):
                return seen
            batches.append({name: values[None] for name, values in seen[0].items()})
        combined = checked(combine(self.manifest.task.head, batches, self._combiner), self.manifest, self.uri)
        return {name: values[0] for name, values in combined.items()}, image
