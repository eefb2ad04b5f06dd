"""An ensemble: a bundle of bundles of one task, whose answers are combined.

The members lie, whole and with their own manifests, under ``members/``; the combiner stands in the manifest's ``params``.
"""

from __future__ import annotations

from collections.abc import Sequence

from medray.bundles.combiner import combine, opened_combiner
from medray.bundles.manifest import Manifest
from medray.bundles.scorer import Scorer, checked
from medray.tasks.head import Output
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

    def output(self, image: Image) -> tuple[Output, Image]:
        """The combined arrays of all members, each of which prepares the image in its own way; and the image itself.

        Raises:
            InputError: what a member raises.
        """
        outputs = [member.output(image)[0] for member in self.members]
        batches = [{name: values[None] for name, values in output.items()} for output in outputs]
        combined = checked(combine(self.manifest.task.head, batches, self._combiner), self.manifest, self.uri)
        return {name: values[0] for name, values in combined.items()}, image
