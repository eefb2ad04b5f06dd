"""A bundle: one trained model with everything that decides its answers, locked by checksums.

A folder with ``bundle.json`` (the manifest) and ``model/``. The manifest holds the task, the decision, the preprocessing and
feature specs, where the model comes from, and the sha256 of every file; its own fingerprint names the bundle.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from medray.bundles.ensemble import ENSEMBLE, MEMBERS, Ensemble
from medray.bundles.input_spec import InputSpec
from medray.bundles.manifest import MANIFEST, Manifest, check_files, parse_manifest, read_manifest
from medray.bundles.scorer import Scorer, checked
from medray.data import store
from medray.errors import BundleError, Excluded
from medray.models.family import Model
from medray.models.table import family_of
from medray.tasks.head import Output
from medray.types import Image

MODEL = "model"


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

    @property
    def colour(self) -> bool:
        """See :attr:`medray.bundles.scorer.Scorer.colour`."""
        return self.input.colour

    def output(self, image: Image) -> tuple[Output, Image]:
        """See :meth:`medray.bundles.scorer.Scorer.output`."""
        self.check_scope(image)
        prepared = self.input.prepared(image)
        output = checked(self.model.predict(self.input.values(prepared)[None]), self.manifest, self.uri)
        return {name: values[0] for name, values in output.items()}, prepared

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


def open_bundle(uri: str) -> Scorer:
    """Check every checksum, then load what is in the bundle.

    Raises:
        BundleError: BUNDLE_NOT_FOUND, BUNDLE_FORMAT, BUNDLE_ALTERED.
    """
    uri = store.normalise(uri)
    manifest = read_manifest(uri)
    with ExitStack() as stack:
        folder = stack.enter_context(store.local_folder(uri))
        check_files(manifest, folder, uri)
        return opened(manifest, folder, uri)


def opened(manifest: Manifest, folder: Path, uri: str) -> Scorer:
    """The scorer of a bundle whose files lie, checked, in a folder.

    Raises:
        BundleError: BUNDLE_FORMAT, BUNDLE_ALTERED, of a member; BUNDLE_MODEL.
    """
    if manifest.family == ENSEMBLE:
        return Ensemble(manifest, _members(manifest, folder / MEMBERS, f"{uri}/{MEMBERS}"), uri)
    return Bundle(manifest, family_of(manifest.family).load(folder / MODEL), uri)


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
    check_files(manifest, folder, uri)
    return opened(manifest, folder, uri)
