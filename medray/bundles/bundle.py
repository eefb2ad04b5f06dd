"""A bundle: one trained model with everything that decides its answers, locked by checksums.

A folder with ``bundle.json`` (the manifest) and ``model/``. The manifest holds the preprocessing and feature specs, the classes,
the threshold with its reason, where the model comes from, and the sha256 of every file; its own fingerprint names the bundle.
``Bundle.predict`` is the only way from an image to a probability: evaluation, screening and serving all call it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from pydantic import Field

from medray.bundles.input_spec import InputSpec
from medray.data import archive, store
from medray.data.catalog import terminal_state
from medray.data.dicom import decode
from medray.errors import BundleError, Excluded, MedrayError
from medray.evaluation.thresholds import Threshold
from medray.models.family import Model
from medray.models.table import family_of
from medray.spec import Spec, fingerprint
from medray.types import Float64, Image, State

MANIFEST = "bundle.json"
FORMAT = 1
POSITIVE = 1

Input = bytes | str | Path | np.ndarray | Image


class Manifest(Spec):
    """What ``bundle.json`` says.

    ``modalities`` and ``units`` (see :class:`medray.types.Header`; "" for none stated) are those of the images that the model
    was trained on. Where they are empty nothing is refused: they are not known, or a step of the preprocessing brings the units.
    """

    format: int = FORMAT
    name: str
    family: str
    params: dict[str, Any]
    input: InputSpec
    target: str
    positive: str
    modalities: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    threshold: Threshold
    metrics: dict[str, Any] = Field(default_factory=dict)
    provenance: dict[str, Any] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Prediction:
    """The outcome of one input.

    Attributes:
        state: SCORED, or why not.
        probability: probability of the positive class, None unless SCORED.
        positive: whether it reaches the threshold, None unless SCORED.
        sop_uid: SOP Instance UID, "" where there is none.
        code, message: the error of an input that was not scored.
        flags: what is odd about an input that was, see :data:`medray.remedies.FLAGS`.
    """

    state: State
    probability: float | None = None
    positive: bool | None = None
    sop_uid: str = ""
    code: str = ""
    message: str = ""
    flags: tuple[str, ...] = ()


class Bundle:
    """An opened bundle; make one with :func:`open_bundle`."""

    def __init__(self, manifest: Manifest, model: Model, uri: str) -> None:
        self.manifest = manifest
        self.model = model
        self.uri = uri
        self.fingerprint = fingerprint(manifest.model_dump(mode="json"))

    def probability(self, image: Image) -> float:
        """Probability of the positive class of one decoded image.

        Raises:
            Excluded: MODEL_SCOPE, as :meth:`check_scope`; PIXELS_CONSTANT, the image shows nothing.
            InputError: what the preprocessing raises.
        """
        self.check_scope(image)
        probabilities: Float64 = self.model.predict_proba(self.manifest.input.apply(image)[None])
        return float(probabilities[0, POSITIVE])

    def check_scope(self, image: Image) -> None:
        """Nothing for an image of a modality and in units that the model was trained on, or that has no header to say them.

        Raises:
            Excluded: MODEL_SCOPE.
        """
        header, modalities, units = image.header, self.manifest.modalities, self.manifest.units
        if modalities and header.modality and header.modality not in modalities:
            raise Excluded("MODEL_SCOPE", f"modality {header.modality}; the model knows {', '.join(modalities)}")
        if units and header.units not in units and (header.units or header.series_uid):
            known = ", ".join(map(_named, units))
            raise Excluded("MODEL_SCOPE", f"pixels in {_named(header.units)}; the model knows {known}")

    def predict(self, items: Sequence[Input]) -> list[Prediction]:
        """Score DICOM files (bytes, paths, URIs), arrays (2-D, in the units that it was trained on) or decoded images, in order.

        An input that cannot be scored takes its own state and code; nothing is raised for it.
        """
        return [self._predict_one(item) for item in items]

    def _predict_one(self, item: Input) -> Prediction:
        try:
            image = as_image(item)
            probability = self.probability(image)
        except MedrayError as error:
            return Prediction(terminal_state(error), code=error.code, message=error.message)
        positive = probability >= self.manifest.threshold.value
        return Prediction(State.SCORED, probability, positive, image.header.sop_uid, flags=image.header.flags)


def _named(units: str) -> str:
    return units or "units that are not stated"


def as_image(item: Input) -> Image:
    """The image of a DICOM file (bytes, path or URI) or of a 2-D array, of which a masked one has invalid pixels.

    Raises:
        InputError, StoreError
    """
    if isinstance(item, Image):
        if not np.isfinite(item.pixels).all():
            raise Excluded("IMAGE_NOT_FINITE", "pixels that are no numbers")
        return item
    if isinstance(item, np.ndarray):
        return _of_array(item)
    return decode(item if isinstance(item, bytes) else archive.read(str(item)))


def _of_array(array: np.ndarray) -> Image:
    """Real numbers that float32 holds; text, objects, dates and complex numbers are none."""
    if array.ndim != 2 or not array.size or array.dtype.kind not in "biuf":
        raise Excluded("ARRAY_SHAPE", f"an array of {array.dtype} of shape {array.shape}; 2-D finite real values are scored")
    valid = ~np.ma.getmaskarray(array) if np.ma.is_masked(array) else None
    with np.errstate(over="ignore"):
        pixels = np.ascontiguousarray(np.ma.filled(array, 0), dtype=np.float32)
    if not np.isfinite(pixels).all():
        raise Excluded("ARRAY_SHAPE", "an array with values that are not finite as float32; 2-D finite real values are scored")
    return Image(pixels, valid)


def write_bundle(manifest: Manifest, model_folder: Path, uri: str) -> Manifest:
    """Lock a saved model as a bundle at ``uri``; the manifest is written last, so a bundle is whole or not there.

    Args:
        manifest: without ``files``.
        model_folder: what ``Model.save`` wrote.
        uri: where the bundle goes.

    Returns:
        The manifest with the checksums.
    """
    files = {f"model/{name}": digest for name, digest in checksums(model_folder).items()}
    locked = manifest.model_copy(update={"files": files})
    with TemporaryDirectory(prefix="medray-bundle-") as name:
        folder = Path(name)
        shutil.copytree(model_folder, folder / "model")
        (folder / MANIFEST).write_text(json.dumps(locked.model_dump(mode="json"), indent=2, sort_keys=True) + "\n")
        store.upload_folder(folder, uri, last=MANIFEST)
    return locked


def checksums(folder: Path) -> dict[str, str]:
    """Relative path → sha256 of every file under a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def read_manifest(uri: str) -> Manifest:
    """The manifest of the bundle at ``uri``.

    Raises:
        BundleError: BUNDLE_NOT_FOUND, BUNDLE_FORMAT.
    """
    if not store.exists(store.join(uri, MANIFEST)):
        raise BundleError("BUNDLE_NOT_FOUND", f"there is no {MANIFEST} in {uri}", "give the folder of a bundle")
    return _parse_manifest(store.read(store.join(uri, MANIFEST)), uri)


def _parse_manifest(data: bytes, uri: str) -> Manifest:
    try:
        raw: Mapping[str, Any] = json.loads(data)
        if raw.get("format") != FORMAT:
            raise BundleError("BUNDLE_FORMAT", f"{uri} has format {raw.get('format')}, this medray reads {FORMAT}")
        return Manifest.model_validate(raw)
    except (ValueError, AttributeError) as error:
        raise BundleError("BUNDLE_FORMAT", f"the manifest of {uri} cannot be read", "publish the bundle again") from error


def open_bundle(uri: str) -> Bundle:
    """Check every checksum, then load the model.

    Raises:
        BundleError: BUNDLE_NOT_FOUND, BUNDLE_FORMAT, BUNDLE_ALTERED.
    """
    uri = store.normalise(uri)
    manifest = read_manifest(uri)
    with ExitStack() as stack:
        folder = stack.enter_context(store.local_folder(uri))
        found = {f"model/{name}": digest for name, digest in checksums(folder / "model").items()}
        if found != manifest.files:
            wrong = sorted(name for name in found.keys() | manifest.files.keys() if found.get(name) != manifest.files.get(name))
            raise BundleError(
                "BUNDLE_ALTERED", f"{uri}: {', '.join(wrong)} differ from the manifest", "fetch or publish it again"
            )
        model = family_of(manifest.family).load(folder / "model")
    return Bundle(manifest, model, uri)
