"""A bundle: one trained model with everything that decides its answers, locked by checksums.

A folder with ``bundle.json`` (the manifest) and ``model/``. The manifest holds the task, the decision, the preprocessing and
feature specs, where the model comes from, the sha256 of every file, and its own digest, which names the bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medray.bundles.content import check_files, checked_folder
from medray.bundles.ensemble import ENSEMBLE, MEMBERS, Ensemble
from medray.bundles.input_spec import InputSpec
from medray.bundles.manifest import MANIFEST, Manifest, parse_manifest, read_manifest
from medray.bundles.scorer import Scorer, Seen, checked
from medray.data import store
from medray.errors import BundleError, ConfigError, Excluded, InputError, ModelError, each
from medray.models.abilities import NetworkModel
from medray.models.family import Model, ModelFamily
from medray.models.table import family_of
from medray.spec import canonical_json
from medray.tasks.head import Output
from medray.types import Float32, Image

MODEL = "model"
_MISFIT = (ArithmeticError, AttributeError, LookupError, ModelError, TypeError, ValueError)
"""What a library, or a family, raises as it computes with a model that is not whole; no lack of memory."""


class Bundle(Scorer):
    """An opened bundle of one model; make one with :func:`open_bundle`.

    Attributes:
        input: how an image becomes what the model takes.
    """

    def __init__(self, manifest: Manifest, model: Model, uri: str) -> None:
        super().__init__(manifest, uri)
        self.model = model
        if manifest.input is None:
            raise BundleError("BUNDLE_FORMAT", f"{uri} holds a model without its input", "publish the bundle again")
        self.input: InputSpec = manifest.input
        self._shape = self.input.shape

    @property
    def colour(self) -> bool:
        """See :attr:`medray.bundles.scorer.Scorer.colour`."""
        return self.input.colour

    @property
    def prepares_as(self) -> str:
        """See :attr:`medray.bundles.scorer.Scorer.prepares_as`: the input, and the images that are refused."""
        scope = self.manifest.modalities, self.manifest.units
        return canonical_json([self.input.model_dump(mode="json"), *scope])

    def prepared(self, images: Sequence[Image]) -> list[tuple[Image, Float32] | InputError]:
        """See :meth:`medray.bundles.scorer.Scorer.prepared`: each image after preprocessing, and what the model takes of it."""
        return each(self._prepared, images)

    def computed(self, prepared: Sequence[tuple[Image, Float32] | InputError]) -> list[Seen | InputError]:
        """See :meth:`medray.bundles.scorer.Scorer.computed`."""
        rows = iter(self._rows([one[1] for one in prepared if not isinstance(one, InputError)]))
        return [one if isinstance(one, InputError) else (next(rows), one[0]) for one in prepared]

    def _prepared(self, image: Image) -> tuple[Image, Float32]:
        self.check_scope(image)
        prepared = self.input.prepared(image)
        values = self.input.values(prepared)
        if self._shape is not None and values.shape != self._shape:
            raise Excluded("MODEL_INPUT_SHAPE", f"an input of shape {values.shape}, the model takes {self._shape}")
        return prepared, values

    def _rows(self, values: Sequence[Float32]) -> list[Output]:
        """The arrays for each input; all at once where the preprocessing gives them one shape."""
        if self._shape is None and len(values) > 1:
            return [row for one in values for row in self._rows([one])]
        if not values:
            return []
        output = checked(self._predicted(np.stack(values)), self.manifest, self.uri)
        return [{name: array[row] for name, array in output.items()} for row in range(len(values))]

    def _predicted(self, values: Float32) -> Output:
        try:
            return self.model.predict(values)
        except _MISFIT as error:
            said = error.message if isinstance(error, ModelError) else type(error).__name__
            message = f"the model in {self.uri} cannot answer ({said})"
            raise BundleError("BUNDLE_MODEL", message, "publish the bundle again") from error

    def move(self, device: str) -> None:
        """See :meth:`medray.bundles.scorer.Scorer.move`."""
        if isinstance(self.model, NetworkModel):
            self.model.move(device)

    def check_scope(self, image: Image) -> None:
        """Refuse an image of a modality or in units that the model was not trained on; a missing header is accepted.

        Raises:
            Excluded: MODEL_SCOPE.
        """
        header, modalities, units = image.header, self.manifest.modalities, self.manifest.units
        if modalities and header.modality and header.modality not in modalities:
            raise Excluded("MODEL_SCOPE", f"modality {header.modality}; the model was trained on {', '.join(modalities)}")
        if units and header.units not in units and (header.units or header.series_uid):
            known = ", ".join(map(_named, units))
            raise Excluded("MODEL_SCOPE", f"pixels in {_named(header.units)}; the model was trained on {known}")


def _named(units: str) -> str:
    return units or "units that are not stated"


def open_bundle(uri: str, device: str = "cpu", fingerprint: str | None = None, *, own: bool = False) -> Scorer:
    """Check the manifest and every file, then load what is in the bundle.

    Args:
        device: where networks compute: "cpu" or "cuda".
        fingerprint, own: see :func:`medray.bundles.manifest.read_manifest`.

    Raises:
        BundleError: BUNDLE_NOT_FOUND, BUNDLE_FORMAT, BUNDLE_CHANGED, BUNDLE_ALTERED, BUNDLE_MODEL, BUNDLE_UNSIGNED,
            BUNDLE_SIGNATURE.
        ConfigError: BUNDLE_KEY.
    """
    uri = store.normalise(uri)
    manifest = read_manifest(uri, fingerprint, own=own)
    with checked_folder(manifest.files, uri) as folder:
        scorer = opened(manifest, folder, uri)
    scorer.move(device)
    return scorer


def opened(manifest: Manifest, folder: Path, uri: str) -> Scorer:
    """The scorer of a bundle whose files lie, checked, in a folder.

    Raises:
        BundleError: BUNDLE_FORMAT, BUNDLE_CHANGED, BUNDLE_ALTERED, of a member; BUNDLE_MODEL.
    """
    if manifest.family == ENSEMBLE:
        return Ensemble(manifest, _members(manifest, folder / MEMBERS, f"{uri}/{MEMBERS}"), uri)
    return Bundle(manifest, family_in(manifest, uri).load(folder / MODEL), uri)


def family_in(manifest: Manifest, uri: str) -> ModelFamily:
    """The family of a bundle's model; raises BundleError BUNDLE_FORMAT where there is none of that name."""
    try:
        return family_of(manifest.family)
    except ConfigError as error:
        raise BundleError("BUNDLE_FORMAT", f"{uri}: {error.message}", error.hint) from error


def _members(ensemble: Manifest, folder: Path, uri: str) -> list[Scorer]:
    """The members in the order of their numbers, which name their folders from 0 on."""
    count = sum(1 for _ in folder.glob("*"))
    members = [_member(folder / str(number), f"{uri}/{number}") for number in range(count)]
    if not members or any(member.manifest.task != ensemble.task for member in members):
        raise BundleError("BUNDLE_FORMAT", f"{uri} holds no member, or one of another task", "publish the bundle again")
    return members


def _member(folder: Path, uri: str) -> Scorer:
    if not (folder / MANIFEST).is_file():
        raise BundleError("BUNDLE_FORMAT", f"there is no {MANIFEST} in {uri}", "publish the bundle again")
    manifest = parse_manifest((folder / MANIFEST).read_bytes(), uri)
    check_files(manifest.files, folder, uri)
    return opened(manifest, folder, uri)
