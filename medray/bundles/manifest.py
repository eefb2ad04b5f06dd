"""What ``bundle.json`` says of a bundle, and how it is written and read.

A bundle is a folder with the manifest and the files it names. The manifest comes last, so a bundle is whole or not there. It
holds its own digest, the sha256 of the canonical JSON of all the rest; as that has the checksum of every file, the digest is the
fingerprint of the whole bundle.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, computed_field, model_validator

from medray.bundles.content import MANIFEST as MANIFEST
from medray.bundles.content import checked_folder, checksums, unsafe
from medray.bundles.input_spec import InputSpec
from medray.bundles.signature import require_signature
from medray.data import store, temporary
from medray.data.leftovers import remove_partials
from medray.errors import BundleError, StoreError, shown
from medray.evaluation.thresholds import Threshold
from medray.json_file import LARGEST_BYTES, json_object
from medray.spec import Spec, canonical_json
from medray.tasks.decision import Decision
from medray.tasks.table import AnyTask

FORMAT = 3
_COMPUTED = ("target", "positive", "threshold")


def _safe(name: str) -> str:
    if unsafe(name):
        raise ValueError("a file's name leads out of the bundle")
    return name


FileName = Annotated[str, AfterValidator(_safe)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Manifest(Spec):
    """What ``bundle.json`` says.

    ``modalities`` and ``units`` (see :class:`medray.types.Header`; "" for none stated) are those of the images that the model
    was trained on. Where they are empty nothing is refused: they are not known, or a step of the preprocessing brings the units.
    ``input`` is None for an ensemble, whose members have their own. ``target``, ``positive`` and ``threshold`` repeat what task
    and decision say, for scripts. ``digest`` is "" until the bundle is written.
    """

    format: int = FORMAT
    name: str
    task: AnyTask
    decision: Decision = Decision()
    family: str
    params: dict[str, Any]
    input: InputSpec | None
    modalities: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    metrics: dict[str, Any] = Field(default_factory=dict)
    provenance: dict[str, Any] = Field(default_factory=dict)
    files: dict[FileName, Sha256] = Field(default_factory=dict)
    digest: str = ""

    def fingerprint(self) -> str:
        """The digest, 64 hex digits: it names the bundle and all that is in it, and stays what it is in later versions."""
        return self.digest or digest_of(self.model_dump(mode="json"))

    @computed_field  # type: ignore[prop-decorator]
    @property
    def target(self) -> str:
        """Label column that is learnt."""
        return self.task.target

    @computed_field  # type: ignore[prop-decorator]
    @property
    def positive(self) -> str:
        """Its value that makes a positive, "" for tasks without one."""
        return self.task.positive_value

    @computed_field  # type: ignore[prop-decorator]
    @property
    def threshold(self) -> Threshold | None:
        """The threshold, of tasks that have exactly one."""
        found = list(self.decision.thresholds.values())
        return found[0] if len(found) == 1 else None

    @model_validator(mode="before")
    @classmethod
    def _without_repetition(cls, raw: Any) -> Any:
        return {name: value for name, value in raw.items() if name not in _COMPUTED} if isinstance(raw, Mapping) else raw


def digest_of(raw: Mapping[str, Any]) -> str:
    """sha256 of the canonical JSON of what a manifest says but for its digest; raises ValueError for what is no number."""
    said = {name: value for name, value in raw.items() if name != "digest"}
    return hashlib.sha256(canonical_json(said).encode()).hexdigest()


def write_bundle(manifest: Manifest, content: Mapping[str, Path], uri: str) -> Manifest:
    """Lock folders as a bundle at ``uri``.

    Args:
        manifest: without ``files`` and ``digest``.
        content: name in the bundle → folder: ``model``, or ``members/NAME`` of an ensemble.
        uri: where the bundle goes.

    Returns:
        The manifest with the checksums and the digest.
    """
    with temporary.folder("bundle") as folder:
        for part, source in content.items():
            shutil.copytree(source, folder / part)
        listed = _as_first_published(manifest.model_copy(update={"files": checksums(folder), "digest": ""}), uri)
        locked = listed.model_copy(update={"digest": listed.fingerprint()})
        (folder / MANIFEST).write_text(json.dumps(locked.model_dump(mode="json"), indent=2, sort_keys=True) + "\n")
        remove_partials(store.normalise(uri))  # a bundle with files that it does not name is refused
        store.upload_folder(folder, uri, last=MANIFEST)
    return locked


def _as_first_published(manifest: Manifest, uri: str) -> Manifest:
    """The manifest, with the provenance of the one that is there if they differ in nothing else.

    So a run that is repeated on a newer version of its catalog does not change the fingerprint that the registry knows.
    """
    if not store.exists(store.join(uri, MANIFEST)):
        return manifest
    try:
        there = read_manifest(uri, own=True).model_copy(update={"digest": ""})
    except BundleError:  # broken, or of another format
        return manifest
    known = manifest.model_copy(update={"provenance": there.provenance})
    return known if known.model_dump(mode="json") == there.model_dump(mode="json") else manifest


def read_manifest(uri: str, fingerprint: str | None = None, *, own: bool = False) -> Manifest:
    """The manifest of the bundle at ``uri``.

    Args:
        fingerprint: the one that was recorded of it; None where none was.
        own: whether this run made the bundle: no signature is asked for, as none can be there yet.

    Raises:
        BundleError: BUNDLE_NOT_FOUND, BUNDLE_FORMAT, BUNDLE_CHANGED, BUNDLE_UNSIGNED, BUNDLE_SIGNATURE.
        ConfigError: BUNDLE_KEY.
    """
    uri = store.normalise(uri)
    place = store.join(uri, MANIFEST)
    if not store.exists(place):
        raise BundleError("BUNDLE_NOT_FOUND", f"there is no {MANIFEST} in {uri}", "give the folder of a bundle")
    if "://" not in uri and Path(place).is_symlink():
        raise BundleError("BUNDLE_ALTERED", f"{place} is a link", "fetch or publish it again")
    (data,) = store.read_many([place], [(0, LARGEST_BYTES + 1)])
    if isinstance(data, StoreError):
        raise data
    manifest = parse_manifest(data, uri)
    if fingerprint not in (None, manifest.digest):
        message = f"{uri} is another bundle than the one that was recorded or checked: {manifest.digest}, not {fingerprint}"
        raise BundleError("BUNDLE_CHANGED", message, "find out who changed it; publish it again, or name another")
    if not own:
        require_signature(manifest.digest, uri)
    return manifest


def check_bundle(uri: str, fingerprint: str | None = None, *, own: bool = False) -> Manifest:
    """The manifest of a bundle, each file of which is as it says; takes what :func:`read_manifest` takes.

    Raises:
        BundleError: BUNDLE_ALTERED; as :func:`read_manifest`.
    """
    manifest = read_manifest(uri, fingerprint, own=own)
    with checked_folder(manifest.files, store.normalise(uri)):
        return manifest


def parse_manifest(data: bytes, uri: str) -> Manifest:
    """The manifest in these bytes; raises BundleError BUNDLE_FORMAT, BUNDLE_CHANGED."""
    try:
        raw = json_object(data)
        if raw.get("format") != FORMAT:
            message = f"{uri} has format {shown(raw.get('format'))}, this medray reads {FORMAT}"
            raise BundleError("BUNDLE_FORMAT", message, "train it again with this version: older ones are not locked by a digest")
        manifest, digest = Manifest.model_validate(raw), digest_of(raw)
    except (ValueError, RecursionError) as error:
        raise BundleError("BUNDLE_FORMAT", f"the manifest of {uri} cannot be read", "publish the bundle again") from error
    if manifest.digest != digest:
        message = f"{MANIFEST} of {uri} was edited: it says other things than its digest"
        raise BundleError("BUNDLE_CHANGED", message, "fetch it again; a decision is changed by publishing a new bundle")
    return manifest
