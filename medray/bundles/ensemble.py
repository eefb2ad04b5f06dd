"""An ensemble: a bundle of bundles of one task, whose answers are combined.

The members lie, whole and with their own manifests, under ``members/``; the combiner stands in the manifest's ``params``.
"""

from __future__ import annotations

from collections.abc import Sequence

from medray.bundles.combiner import combine, opened_combiner
from medray.bundles.inputs import Input
from medray.bundles.manifest import Manifest
from medray.bundles.scorer import Prediction, Scorer, answer_of, checked, predict_with
from medray.spec import fingerprint
from medray.tasks.head import Answer, Output
from medray.types import Image

ENSEMBLE = "ensemble"
MEMBERS = "members"


class Ensemble:
    """An opened ensemble (see :class:`medray.bundles.scorer.Scorer`)."""

    def __init__(self, manifest: Manifest, members: Sequence[Scorer], uri: str) -> None:
        self.manifest = manifest
        self.members = members
        self.uri = uri
        self.fingerprint = fingerprint(manifest.model_dump(mode="json"))
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

    def answer(self, image: Image, judged: bool = False) -> Answer:
        """See :meth:`medray.bundles.scorer.Scorer.answer`."""
        return answer_of(self, image, judged)

    def predict(self, items: Sequence[Input]) -> list[Prediction]:
        """See :meth:`medray.bundles.scorer.Scorer.predict`."""
        return predict_with(self, items)
