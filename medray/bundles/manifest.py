"""What ``bundle.json`` says of a bundle, and how it is written and read.

A bundle is a folder with the manifest and the files it names. The manifest comes last, so a bundle is whole or not there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, computed_field, model_validator

from medray.bundles.input_spec import InputSpec
from medray.data import store, temporary
from medray.errors import BundleError
from medray.evaluation.thresholds import Threshold
from medray.spec import Spec
from medray.tasks.table import AnyTask
from medray.tasks.task import Decision

MANIFEST = "bundle.json"
FORMAT = 2
_COMPUTED = ("target", "positive", "threshold")


class Manifest(Spec):
    """What ``bundle.json`` says.

    ``modalities`` and ``units`` (see :class:`medray.types.Header`; "" for none stated) are those of the images that the model
    was trained on. Where they are empty nothing is refused: they are not known, or a step of the preprocessing brings the units.
    ``input`` is None for an ensemble, whose members have their own. ``target``, ``positive`` and ``threshold`` repeat what task
    and decision say, for scripts.
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
    files: dict[str, str] = Field(default_factory=dict)

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


def write_bundle(manifest: Manifest, content: Mapping[str, Path], uri: str) -> Manifest:
    """Lock folders as a bundle at ``uri``.

    Args:
        manifest: without ``files``.
        content: name in the bundle → folder: ``model``, or ``members/NAME`` of an ensemble.
        uri: where the bundle goes.

    Returns:
        The manifest with the checksums.
    """
    with temporary.folder("bundle") as folder:
        for part, source in content.items():
            shutil.copytree(source, folder / part)
        locked = _as_first_published(manifest.model_copy(update={"files": checksums(folder)}), uri)
        (folder / MANIFEST).write_text(json.dumps(locked.model_dump(mode="json"), indent=2, sort_keys=True) + "\n")
        store.upload_folder(folder, uri, last=MANIFEST)
    return locked


def _as_first_published(manifest: Manifest, uri: str) -> Manifest:
    """The manifest, with the provenance of the one that is there if they differ in nothing else.

    So a run that is repeated on a newer version of its catalog does not change the fingerprint that the registry knows.
    """
    if not store.exists(store.join(uri, MANIFEST)):
        return manifest
    try:
        there = read_manifest(uri)
    except BundleError:  # broken, or of another format
        return manifest
    known = manifest.model_copy(update={"provenance": there.provenance})
    return known if known.model_dump(mode="json") == there.model_dump(mode="json") else manifest


def checksums(folder: Path) -> dict[str, str]:
    """Relative path → sha256 of every file under a folder, its own manifest aside; "" of a link to a folder, never right."""
    paths = sorted(path for path in folder.rglob("*") if path != folder / MANIFEST and (path.is_file() or path.is_symlink()))
    return {path.relative_to(folder).as_posix(): _checksum(path) for path in paths}


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def read_manifest(uri: str) -> Manifest:
    """The manifest of the bundle at ``uri``.

    Raises:
        BundleError: BUNDLE_NOT_FOUND, BUNDLE_FORMAT.
    """
    if not store.exists(store.join(uri, MANIFEST)):
        raise BundleError("BUNDLE_NOT_FOUND", f"there is no {MANIFEST} in {uri}", "give the folder of a bundle")
    return parse_manifest(store.read(store.join(uri, MANIFEST)), uri)


def parse_manifest(data: bytes, uri: str) -> Manifest:
    """The manifest in these bytes; raises BundleError BUNDLE_FORMAT."""
    try:
        raw: Mapping[str, Any] = json.loads(data)
        if raw.get("format") != FORMAT:
            message = f"{uri} has format {raw.get('format')}, this medray reads {FORMAT}"
            raise BundleError("BUNDLE_FORMAT", message, "train it again with this version")
        return Manifest.model_validate(raw)
    except (ValueError, AttributeError, RecursionError) as error:
        raise BundleError("BUNDLE_FORMAT", f"the manifest of {uri} cannot be read", "publish the bundle again") from error


def check_files(manifest: Manifest, folder: Path, uri: str) -> None:
    """Compare every file with the manifest; raises BundleError BUNDLE_ALTERED."""
    found = checksums(folder)
    if found != manifest.files:
        wrong = sorted(name for name in found.keys() | manifest.files.keys() if found.get(name) != manifest.files.get(name))
        raise BundleError("BUNDLE_ALTERED", f"{uri}: {', '.join(wrong)} differ from the manifest", "fetch or publish it again")
