"""Foreign images → an archive: ``medray import`` writes DICOM, labels and masks that every other command takes."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from pydantic import Field, PositiveFloat, ValidationError

from medray.cataloguing.importing import tables
from medray.cataloguing.importing.folder import Folder
from medray.cataloguing.importing.instance import IMPORTED, UNCHANGED, Context, Outcome, make
from medray.cataloguing.importing.key import key_of
from medray.cataloguing.importing.results import SERIES, SOP, labelled_rows, mask_rows, report
from medray.cataloguing.importing.sources import File, belonging, files_under, inputs, mask_files
from medray.cataloguing.importing.tables import Labels, Row
from medray.cataloguing.importing.writing import DUPLICATE, Writer
from medray.data import store
from medray.data.foreign.naming import Names, drawn_on
from medray.data.pseudonym import using
from medray.errors import ConfigError, RunError
from medray.explain import explain
from medray.json_file import json_object
from medray.progress import Progress
from medray.spec import Spec, canonical_json
from medray.types import State

_PRODUCTS = ("images", "masks", "import", "labels.csv", "masks.csv")
_logger = logging.getLogger("medray")
THREADS = 8  # what waits for a store
MASK_NO_IMAGE, MASK_AMBIGUOUS = "IMPORT_MASK_NO_IMAGE", "IMPORT_MASK_AMBIGUOUS"


class ImportSpec(Spec):
    """Settings of an import: attributes of every image, and what is allowed."""

    modality: str = Field("OT", pattern=r"^[A-Z0-9_ ]{1,16}$", description="Modality (0008,0060)")
    spacing_mm: tuple[PositiveFloat | None, PositiveFloat, PositiveFloat] | None = Field(
        None, description="slice, row and column distance where a file states none"
    )
    units: str = Field("", max_length=16, pattern=r"^[^\\\x00-\x1f]*$", description="of the values, for example HU")
    rounded: bool = Field(False, description="store fractions that 16 bits do not hold exactly in 65,535 steps")


def import_spec(raw: Mapping[str, object]) -> ImportSpec:
    """Plain data as a spec.

    Raises:
        ConfigError: CONFIG_INVALID.
    """
    try:
        return ImportSpec.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("CONFIG_INVALID", explain(error, ImportSpec), "see medray import --help") from error


@dataclass(frozen=True)
class ImportSummary:
    """inputs = imported + unchanged + excluded + quarantined + failed; an input is a file, or an image in a file of arrays.

    Attributes:
        unchanged: were there before.
        duplicates: of the excluded ones, those with the same content as another.
        labelled: images with a row in ``labels.csv``; without_patient: images whose patient no label table names.
        masks: images with a mask.
        reasons, labels_left_out, masks_left_out, notes: numbers by code.
    """

    inputs: int
    imported: int
    unchanged: int
    excluded: int
    quarantined: int
    failed: int
    duplicates: int
    labelled: int
    without_patient: int
    masks: int
    reasons: dict[str, int] = field(default_factory=dict)
    labels_left_out: dict[str, int] = field(default_factory=dict)
    masks_left_out: dict[str, int] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)

    @property
    def attention(self) -> int:
        """Inputs, labels and masks that a person should look at; all inputs where nothing became an image."""
        left_out = sum(self.labels_left_out.values()) + sum(self.masks_left_out.values())
        found = self.imported + self.unchanged
        return (self.quarantined + self.failed if found else self.inputs) + left_out

    @property
    def codes(self) -> dict[str, int]:
        """Every reason by code."""
        return {**self.reasons, **self.labels_left_out, **self.masks_left_out}


def import_images(
    source: str,
    out: str,
    spec: ImportSpec,
    labels_uri: str | None = None,
    key: str | None = None,
    masks: str | None = None,
    progress: Progress | None = None,
    keep: Collection[str] = (),
    key_file: str | None = None,
) -> ImportSummary:
    """Write every image under ``source`` as DICOM under ``out/images``; what is there already is left as it is.

    Also ``out/labels.csv``, keyed by SOPInstanceUID; ``out/masks`` and ``out/masks.csv``; ``out/import/files.csv`` with what
    became of every input; beside it, the labels and masks that were left out.

    Args:
        source: a folder, a prefix, a shard or a file.
        out: where the archive is or will be.
        spec: what is said of every image.
        labels_uri: a CSV or Parquet table that names the files.
        key: its column that does; None: the one whose values name the most files.
        masks: a folder, a pattern over the files of the source, or a column of the label table.
        progress: called with the number of inputs that are done.
        keep: columns of the label table that ``out/labels.csv`` has beside split and fold: see
            :func:`medray.data.label_columns.kept_rows`.
        key_file: local file with the key of pseudonyms, which name objects where the table names patients.

    Raises:
        ConfigError: IMPORT_OUT, IMPORT_OTHER_SETTINGS, IMPORT_MASKS, EXTRA_MISSING; as :func:`key_of`.
        LabelError, StoreError
        RunError: RUN_DOES_NOT_RECONCILE.
    """
    out = store.normalise(out)
    with using(key_of(out, key_file) if labels_uri else None):
        return _imported(_plan(store.normalise(source), out, labels_uri, key, masks, keep), source, out, spec, progress)


def _imported(plan: _Plan, source: str, out: str, spec: ImportSpec, progress: Progress | None) -> ImportSummary:
    """Write every image of a plan."""
    if plan.labels.said:
        _logger.info(plan.labels.said)
    _check_settings(out, spec)
    images, segmentations = Folder(store.join(out, "images")), Folder(store.join(out, "masks"))
    context = Context(spec.modality, spec.spacing_mm, spec.units, spec.rounded, plan.labels, plan.masks, images, segmentations)
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(THREADS) as pool:
        writer = Writer(images, segmentations, pool)
        for batch in inputs(plan.files):
            outcomes += writer.write(pool.map(lambda one: make(one, context), batch))
            if progress:
                progress("import", len(outcomes), max(len(plan.files), len(outcomes)))
    for folder in (images, segmentations):
        folder.tidy()
    return _finished(source, out, plan, outcomes)


@dataclass
class _Plan:
    files: list[File]
    labels: Labels
    masks: dict[str, list[File]]
    masks_left_out: list[tuple[str, str]] = field(default_factory=list)


def _plan(source: str, out: str, labels_uri: str | None, key: str | None, masks: str | None, keep: Collection[str]) -> _Plan:
    products = [store.join(out, name) for name in _PRODUCTS]
    if source == out or any(source == one or source.startswith(one + "/") for one in products):
        raise ConfigError("IMPORT_OUT", f"{source} is where the archive would be written", "choose another --out")
    files = files_under(source, [*products, *([store.normalise(labels_uri)] if labels_uri else [])])
    parts = belonging(files)
    files = [file for file in files if file.info.uri not in parts]
    root = source.rpartition("/")[0] if [file.info.uri for file in files] == [source] else source
    rows = tables.read_rows(labels_uri) if labels_uri else []
    drawn = mask_files(masks, files, source, list(rows[0]) if rows else ()) if masks else []
    uris = {file.info.uri for file in drawn or ()}
    files = [file for file in files if file.info.uri not in uris]
    names = Names(root, [file.name for file in files])
    labels = tables.matched(rows, names, labels_uri, key, keep, masks) if labels_uri else Labels()
    plan = _Plan(files, labels, {})
    if drawn is None:
        _masks_of_labels(plan, str(masks), names, str(labels_uri))
    else:
        _masks_of_files(plan, drawn, names)
    return plan


def _masks_of_files(plan: _Plan, drawn: Sequence[File], names: Names) -> None:
    by_image: dict[str, list[File]] = defaultdict(list)
    for mask in drawn:
        hits: list[str] = next(filter(None, map(names.find, drawn_on(mask.name))), [])
        if len(hits) == 1:
            by_image[hits[0]].append(mask)
        else:
            plan.masks_left_out.append((MASK_AMBIGUOUS if hits else MASK_NO_IMAGE, mask.name))
    plan.masks = dict(by_image)


def _masks_of_labels(plan: _Plan, column: str, names: Names, labels_uri: str) -> None:
    folder = store.normalise(labels_uri).rpartition("/")[0]
    inside, elsewhere = tables.mask_column(plan.labels.by_input, column, names, folder)
    by_name = {file.name: file for file in plan.files}
    plan.masks = {name: [by_name[mask]] for name, mask in inside.items()}
    for name, uri in elsewhere.items():
        plan.masks[name] = [File(uri.rpartition("/")[2], store.ObjectInfo(uri, -1, ""))]
    used = set(inside.values())
    plan.files = [file for file in plan.files if file.name not in used]


def _check_settings(out: str, spec: ImportSpec) -> None:
    """Check that an archive keeps its settings: with others the same images would be added twice."""
    uri = store.join(out, "import", "settings.json")
    mine = spec.model_dump(mode="json")
    if store.exists(uri) and store.names(store.join(out, "images")):  # where nothing was imported, anything may be said
        theirs = _settings(uri)
        if theirs != mine:
            differing = ", ".join(sorted(name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name)))
            message = f"{out} was imported with other settings: {differing}"
            raise ConfigError("IMPORT_OTHER_SETTINGS", message, "give the same ones, or another --out")
        return
    store.write(uri, canonical_json(mine).encode())


def _settings(uri: str) -> dict[str, object]:
    try:
        return json_object(store.read(uri))
    except ValueError as error:
        raise ConfigError(
            "IMPORT_OTHER_SETTINGS", f"{uri} is broken", "remove it, and give the settings of the images that are there"
        ) from error


def _finished(source: str, out: str, plan: _Plan, outcomes: Sequence[Outcome]) -> ImportSummary:
    labelled, labels_left_out = labelled_rows(plan.labels, outcomes)
    masked, masks_left_out = mask_rows(outcomes)
    masks_left_out = [*plan.masks_left_out, *masks_left_out]
    uids = {one.sop_uid for one in outcomes}
    tables.update_csv(store.join(out, "labels.csv"), labelled, [SOP], uids if plan.labels.key else ())
    tables.update_csv(store.join(out, "masks.csv"), masked, [SOP, SERIES], uids if plan.masks else ())
    report(source, out, outcomes, labels_left_out, masks_left_out)
    return _summary(outcomes, (len(labelled), len(masked)), labels_left_out, masks_left_out)


def _summary(
    outcomes: Sequence[Outcome], rows: tuple[int, int], labels: Sequence[tuple[str, Row]], masks: Sequence[tuple[str, str]]
) -> ImportSummary:
    states = tables.counted(one.state for one in outcomes)
    images = [one for one in outcomes if one.is_image]
    summary = ImportSummary(
        inputs=len(outcomes),
        imported=states.get(IMPORTED, 0),
        unchanged=states.get(UNCHANGED, 0),
        excluded=states.get(State.EXCLUDED.value, 0),
        quarantined=states.get(State.QUARANTINED.value, 0),
        failed=states.get(State.FAILED.value, 0),
        duplicates=sum(one.code == DUPLICATE for one in outcomes),
        labelled=rows[0],
        without_patient=sum(not one.has_patient for one in images),
        masks=rows[1],
        reasons=tables.counted(one.code for one in outcomes if one.code),
        labels_left_out=tables.counted(code for code, _ in labels),
        masks_left_out=tables.counted(code for code, _ in masks),
        notes=tables.counted(note for one in images for note in one.notes),
    )
    if sum(states.values()) != summary.imported + summary.unchanged + summary.excluded + summary.quarantined + summary.failed:
        raise RunError("RUN_DOES_NOT_RECONCILE", f"{len(outcomes)} inputs, but states {states}", "report this")
    return summary
