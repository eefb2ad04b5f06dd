"""An ensemble: a bundle of bundles of one task, whose answers are combined.

The members lie, whole and with their own manifests, under ``members/``; the combiner stands in the manifest's ``params``.
"""

from __future__ import annotations

from collections.abc import Sequence

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
        self._combiner = opened_combiner(manifest.params, manifest.task.head, len(members), uri)

    @property
    def colour(self) -> bool:
        """See :attr:`medray.bundles.scorer.Scorer.colour`."""
        return any(member.colour for member in self.members)

    def move(self, device: str) -> None:
        """See :meth:`medray.bundles.scorer.Scorer.move`."""
        for member in self.members:
            member.move(device)

    def outputs(self, images: Sequence[Image]) -> list[Seen | InputError]:
        """The combined arrays of all members, each of which prepares an image in its own way; and the image itself.

        An error of a member is that of the image.
        """
        found = zip(*(member.outputs(images) for member in self.members), strict=True)
        return [self._combined(image, members) for image, members in zip(images, found, strict=True)]

    def _combined(self, image: Image, members: Sequence[Seen | InputError]) -> Seen | InputError:
        batches = []
        for seen in members:
            if isinstance(seen, InputError):
                return seen
            batches.append({name: values[None] for name, values in seen[0].items()})
        combined = checked(combine(self.manifest.task.head, batches, self._combiner), self.manifest, self.uri)
        return {name: values[0] for name, values in combined.items()}, image
