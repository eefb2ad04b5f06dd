"""The contract of what gives answers: bundles of one model and ensembles alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from medray.bundles.inputs import Input, as_image
from medray.bundles.manifest import Manifest
from medray.data.catalog import terminal_state
from medray.errors import BundleError, MedrayError, Quarantined
from medray.spec import fingerprint
from medray.tasks.head import Answer, Output
from medray.types import Image, State


@dataclass(frozen=True)
class Prediction:
    """The outcome of one input.

    Attributes:
        state: SCORED, or why not.
        answer: the columns of the task's answer and decision by name; empty unless SCORED.
        sop_uid: SOP Instance UID, "" where there is none.
        code, message: the error of an input that was not scored.
        flags: of an input that was scored, see :data:`medray.remedies.FLAGS`.
    """

    state: State
    answer: Mapping[str, Any] = field(default_factory=dict)
    sop_uid: str = ""
    code: str = ""
    message: str = ""
    flags: tuple[str, ...] = ()

    @property
    def probability(self) -> float | None:
        """Of two classes: the probability of the positive one, None unless SCORED."""
        return self.answer.get("probability")

    @property
    def positive(self) -> bool | None:
        """Of two classes: whether the probability reaches the threshold, None unless SCORED."""
        return self.answer.get("positive")


class Scorer(ABC):
    """The only way from an image to an answer.

    Attributes:
        manifest: task, decision and where it comes from.
        uri, fingerprint: which bundle this is.
    """

    def __init__(self, manifest: Manifest, uri: str) -> None:
        self.manifest = manifest
        self.uri = uri
        self.fingerprint = fingerprint(manifest.model_dump(mode="json"))

    @property
    @abstractmethod
    def colour(self) -> bool:
        """Whether images are to be decoded in colour; what takes grey ones takes their luminance."""

    @abstractmethod
    def output(self, image: Image) -> tuple[Output, Image]:
        """What the model gives for one decoded image, without the axis of images; and the image as the model saw it.

        Raises:
            InputError: MODEL_SCOPE, PIXELS_CONSTANT, and what the preprocessing raises.
        """

    def answer(self, image: Image, judged: bool = False) -> Answer:
        """What the task says of one decoded image (see :meth:`medray.tasks.task.Task.answer`).

        Raises:
            InputError: what :meth:`output` raises; MODEL_NOT_FINITE: what is no number reaches no threshold.
        """
        output, prepared = self.output(image)
        if not all(np.isfinite(values).all() for values in output.values()):
            raise Quarantined("MODEL_NOT_FINITE", "the answer of the model is not a finite number")
        return self.manifest.task.answer(output, prepared, image, judged)

    def predict(self, items: Sequence[Input]) -> list[Prediction]:
        """Score DICOM files (bytes, paths, URIs), arrays (2-D, in the units that it was trained on) or decoded images, in order.

        Where the bundle takes colour arrays are (3, rows, columns).

        An input that cannot be scored takes its own state and code; nothing is raised for it.
        """
        return [self._predict_one(item) for item in items]

    def _predict_one(self, item: Input) -> Prediction:
        try:
            image = as_image(item, colour=self.colour)
            answer = self.answer(image)
        except MedrayError as error:
            return Prediction(terminal_state(error), code=error.code, message=error.message)
        task, decision = self.manifest.task, self.manifest.decision
        decided = task.decided(task.table([answer]), decision).to_pylist()[0]
        return Prediction(State.SCORED, decided, image.header.sop_uid, flags=image.header.flags)


def checked(output: Output, manifest: Manifest, uri: str) -> Output:
    """The arrays, where they are of the task; raises BundleError BUNDLE_MODEL."""
    if not manifest.task.head.fits(output):
        found = ", ".join(f"{name} {values.shape[1:]}" for name, values in output.items())
        message = f"the model in {uri} gives {found}, which is no answer of the task {manifest.task.kind}"
        raise BundleError("BUNDLE_MODEL", message, "publish the bundle again")
    return output
