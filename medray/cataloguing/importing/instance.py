"""One input of ``medray import``: read it, convert it and its mask to DICOM, and report the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from medray.cataloguing.importing.folder import Folder, names_patient, object_name
from medray.cataloguing.importing.sources import File, Input, fetch_beside
from medray.cataloguing.importing.tables import Labels
from medray.data import archive
from medray.data.catalog import terminal_state
from medray.data.dicom import decode
from medray.data.foreign import arrays, drawing, reading, secondary_capture, segmentation
from medray.data.foreign.drawing import Drawing
from medray.data.foreign.picture import Picture
from medray.data.foreign.secondary_capture import Instance, Said, instance
from medray.data.label_values import is_no_label
from medray.errors import InputError, MedrayError, Quarantined, StoreError

IMPORTED, UNCHANGED = "IMPORTED", "UNCHANGED"
_LONGEST_ID = 64  # LO (PS3.5 6.2)


@dataclass(frozen=True)
class Context:
    """What every input is imported with.

    Attributes:
        modality, spacing_mm, units, rounded: as of :class:`medray.cataloguing.importing.run.ImportSpec`.
        labels: rows of the label table by input.
        masks: name of an input → the files of its masks.
        images, segmentations: where the objects go.
    """

    modality: str
    spacing_mm: tuple[float | None, float, float] | None
    units: str
    rounded: bool
    labels: Labels
    masks: Mapping[str, Sequence[File]]
    images: Folder
    segmentations: Folder


@dataclass(frozen=True)
class Outcome:
    """The result of one input.

    Attributes:
        name: of the input.
        state: IMPORTED, UNCHANGED, EXCLUDED, QUARANTINED or FAILED.
        code, message: why it was not imported.
        sop_uid, series_uid: of the instance that holds it; "" where there is none.
        mask: name of the SEG, or "".
        mask_code, mask_message: why a mask was left out.
        notes: what is worth counting.
        labels: columns that the file itself gives.
        has_patient: whether the patient is known.
    """

    name: str
    state: str
    code: str = ""
    message: str = ""
    sop_uid: str = ""
    series_uid: str = ""
    mask: str = ""
    mask_code: str = ""
    mask_message: str = ""
    notes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    has_patient: bool = False

    @property
    def is_image(self) -> bool:
        """Whether it is in the archive as an image of its own."""
        return self.state in (IMPORTED, UNCHANGED)

    def row(self) -> dict[str, str]:
        """Its row in the report."""
        return {
            "file": self.name,
            "state": self.state,
            "code": self.code,
            "message": self.message,
            "SOPInstanceUID": self.sop_uid,
            "SeriesInstanceUID": self.series_uid,
            "mask": self.mask,
            "mask_code": self.mask_code,
            "mask_message": self.mask_message,
            "notes": " ".join(self.notes),
        }


@dataclass(frozen=True)
class Object:
    """An object of the archive: its name, and its DICOM file where it is not there yet."""

    name: str
    data: bytes | None = None


@dataclass(frozen=True)
class Made:
    """An input as it is to be written: IMPORTED, or why not; the objects of its instance and of its SEG, or None."""

    outcome: Outcome
    image: Object | None = None
    mask: Object | None = None


def make(found: Input, context: Context) -> Made:
    """The DICOM files of an input; what is wrong with it is in the outcome.

    Raises:
        ConfigError: a library is missing.
    """
    try:
        made = instance(_picture(found, context), _said(found, context))
        image = _image(made, context)
    except (InputError, StoreError) as error:
        return Made(Outcome(found.name, terminal_state(error).value, error.code, error.message))
    outcome = Outcome(
        found.name,
        IMPORTED,
        sop_uid=made.sop_uid,
        series_uid=made.series_uid,
        notes=made.picture.notes,
        labels=found.labels,
        has_patient=names_patient(image.name),
    )
    if (masks := context.masks.get(found.name)) is None:
        return Made(outcome, image)
    try:
        mask = _mask(masks, made, context)
    except (InputError, StoreError) as error:
        return Made(replace(outcome, mask_code=error.code, mask_message=error.message), image)
    return Made(replace(outcome, mask=mask.name), image, mask)


def _image(made: Instance, context: Context) -> Object:
    if there := context.images.find(made.sop_uid, made.said.patient_id):
        return Object(there)
    data = secondary_capture.file_of(made)
    if made.picture.stream is not None:
        _check_stream(data)
    return Object(object_name(made.sop_uid, made.said.patient_id), data)


def _check_stream(data: bytes) -> None:
    """Refuse a code stream that is kept as it is, but cannot be decoded."""
    try:
        decode(data)
    except InputError as error:
        raise Quarantined("IMPORT_BROKEN", f"the JPEG is broken ({error.code})") from error


def _picture(found: Input, context: Context) -> Picture:
    if isinstance(found.content, MedrayError):
        raise found.content
    if isinstance(found.content, np.ndarray):
        return arrays.picture(found.content, rounded=context.rounded)
    kind = reading.kind_of(found.content, found.name)
    return reading.read(kind, found.content, found.name, found.fetch, rounded=context.rounded)


def _said(found: Input, context: Context) -> Said:
    row, column = context.labels.of(found.name), context.labels.patient
    patient = row.get(column, "").strip() if column else ""
    patient = "" if is_no_label(patient) else patient
    if len(patient) > _LONGEST_ID or "\\" in patient or not patient.isprintable():
        raise Quarantined("IMPORT_PATIENT_ID", "the label table gives a patient identifier that DICOM does not hold")
    return Said(context.modality, context.spacing_mm, context.units, patient)


def _mask(files: Sequence[File], image: Instance, context: Context) -> Object:
    """The SEG of an image."""
    found = drawing.united(map(_drawing, files))
    drawing.check_place(found, image.picture.affine)
    made = segmentation.segmentation(found.labels, image)
    if there := context.segmentations.find(made.sop_uid, image.said.patient_id):
        return Object(there)
    return Object(object_name(made.sop_uid, image.said.patient_id), segmentation.file_of(made))


def _drawing(file: File) -> Drawing:
    if file.error is not None:
        raise file.error
    return drawing.read(archive.read(file.info.uri), file.name, fetch_beside(file))
