"""The contract of what gives answers: bundles of one model and ensembles alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import numpy as np

from medray.bundles.inputs import Input, as_image, in_groups
from medray.bundles.manifest import Manifest
from medray.data.catalog import terminal_state
from medray.errors import BundleError, InputError, MedrayError, Quarantined, StoreError, each
from medray.tasks.head import Answer, Output
from medray.types import Image, State

BATCH = 32
"""Images that are decoded and scored together, where they are small."""

Seen = tuple[Output, Image]
"""A model's arrays for one image, without the axis of images, and the image as the model saw it."""


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
        self.fingerprint = manifest.fingerprint()
        self._decision = manifest.decision
        head, calibration = manifest.task.head, manifest.decision.calibration
        if calibration and not calibration.fits(head.kind, head.size):
            raise BundleError("BUNDLE_DECISION", f"the calibration in {uri} is of another task", "publish the bundle again")

    @property
    @abstractmethod
    def colour(self) -> bool:
        """Whether images are to be decoded in colour; what takes grey ones takes their luminance."""

    @abstractmethod
    def move(self, device: str) -> None:
        """Have networks compute on "cpu" or "cuda"; devices round in different ways."""

    @property
    @abstractmethod
    def prepares_as(self) -> str:
        """What decides :meth:`prepared`: scorers with the same text prepare an image alike."""

    @abstractmethod
    def prepared(self, images: Sequence[Image]) -> list[Any]:
        """What :meth:`seen` takes of decoded images, in order: each prepared for the model, or its InputError."""

    @abstractmethod
    def computed(self, prepared: Sequence[Any]) -> list[Seen | InputError]:
        """What the model itself gives for prepared images, as :meth:`outputs` has it but for the calibration."""

    def seen(self, prepared: Sequence[Any]) -> list[Seen | InputError]:
        """What the model gives for prepared images, as :meth:`outputs` has it."""
        found = self.computed(prepared)
        return [one if isinstance(one, InputError) else (self._decision.calibrated(one[0]), one[1]) for one in found]

    def outputs(self, images: Sequence[Image]) -> list[Seen | InputError]:
        """What the model gives for decoded images, in order, and each image as the model saw it; or the error of an image.

        An image's arrays are bitwise the same whatever the others are.
        Errors: MODEL_SCOPE, PIXELS_CONSTANT, MODEL_INPUT_SHAPE, and what the preprocessing raises.
        """
        return self.seen(self.prepared(images))

    def answers(self, images: Sequence[Image], judged: bool = False) -> list[Answer | InputError]:
        """What the task says of decoded images, in order (see :meth:`medray.tasks.task.Task.answer`), or the error of an image.

        Errors: those of :meth:`outputs`; MODEL_NOT_FINITE: what is no number reaches no threshold.
        """

        def answer(item: tuple[Image, Seen | InputError]) -> Answer:
            image, seen = item
            if isinstance(seen, InputError):
                raise seen
            return self._answer(image, *seen, judged)

        return each(answer, zip(images, self.outputs(images), strict=True))

    def _answer(self, image: Image, output: Output, prepared: Image, judged: bool) -> Answer:
        if not all(np.isfinite(values).all() for values in output.values()):
            raise Quarantined("MODEL_NOT_FINITE", "the answer of the model is not a finite number")
        return self.manifest.task.answer(output, prepared, image, judged)

    def predict(self, items: Sequence[Input]) -> list[Prediction]:
        """Score DICOM files (bytes, paths, URIs), arrays (2-D, in the units that it was trained on) or decoded images, in order.

        Where the bundle takes colour arrays are (3, rows, columns).

        An input that cannot be scored takes its own state and code; nothing is raised for it.
        """
        loading = ((None, self._loaded(item)) for item in items)
        groups = in_groups(loading, BATCH)
        return [found for group in groups for found in self._predictions([image for _, image in group])]

    def _loaded(self, item: Input) -> Image | MedrayError:
        try:
            return as_image(item, colour=self.colour)
        except (InputError, StoreError) as error:
            return error

    def _predictions(self, loaded: Sequence[Image | MedrayError]) -> list[Prediction]:
        answers: Iterator[Answer | MedrayError]
        try:
            answers = iter(self.answers([image for image in loaded if isinstance(image, Image)]))
        except MedrayError as error:  # the bundle itself is wrong
            answers = repeat(error)
        return [self._scored(one, next(answers)) if isinstance(one, Image) else _not_scored(one) for one in loaded]

    def _scored(self, image: Image, answer: Answer | MedrayError) -> Prediction:
        if isinstance(answer, MedrayError):
            return _not_scored(answer)
        task, decision = self.manifest.task, self.manifest.decision
        decided = task.decided(task.table([answer]), decision).to_pylist()[0]
        return Prediction(State.SCORED, decided, image.header.sop_uid, flags=image.header.flags)


def _not_scored(error: MedrayError) -> Prediction:
    return Prediction(terminal_state(error), code=error.code, message=error.message)


def checked(output: Output, manifest: Manifest, uri: str) -> Output:
    """The arrays, where they are of the task; raises BundleError BUNDLE_MODEL."""
    if not manifest.task.head.fits(output):
        found = ", ".join(f"{name} {values.shape[1:]}" for name, values in output.items())
        message = f"the model in {uri} gives {found}, which is no answer of the task {manifest.task.kind}"
        raise BundleError("BUNDLE_MODEL", message, "publish the bundle again")
    return output
