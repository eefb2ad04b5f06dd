"""The records that pass between the layers, and the array types they hold."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


class State(StrEnum):
    """The terminal state of one input of a run; each input ends in exactly one."""

    SCORED = "SCORED"
    EXCLUDED = "EXCLUDED"
    QUARANTINED = "QUARANTINED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Header:
    """What medray keeps of a DICOM header: identifiers, geometry and the display window; no patient attributes.

    Attributes:
        sop_uid, series_uid, study_uid: DICOM UIDs.
        patient_key: pseudonym of the PatientID (keyed hash), or "" where it is absent.
        modality: Modality (0008,0060), for example ``"US"``.
        rows, columns, frames: image size in pixels and number of frames.
        transfer_syntax: UID of the transfer syntax.
        photometric: photometric interpretation as stored.
        spacing_mm: (row, column) distance of pixel centres in mm, or None where unknown.
        voi_window: first VOI (centre, width) in the units of the pixels, or None.
    """

    sop_uid: str = ""
    series_uid: str = ""
    study_uid: str = ""
    patient_key: str = ""
    modality: str = ""
    rows: int = 0
    columns: int = 0
    frames: int = 1
    transfer_syntax: str = ""
    photometric: str = ""
    bits_stored: int = 0
    manufacturer: str = ""
    body_part: str = ""
    laterality: str = ""
    spacing_mm: tuple[float, float] | None = None
    voi_window: tuple[float, float] | None = None


@dataclass(frozen=True)
class Image:
    """One 2-D greyscale image.

    Attributes:
        pixels: float32 (rows, columns), in the units of the modality LUT; larger is brighter.
        valid: bool (rows, columns), False on pixel padding; None where every pixel counts.
        header: where the image comes from.
    """

    pixels: Float32
    valid: Bool | None = None
    header: Header = field(default_factory=Header)

    def with_pixels(self, pixels: Float32, valid: Bool | None = None) -> Image:
        """The same image with other pixels (and, if their size differs, their mask of valid pixels)."""
        return replace(self, pixels=np.ascontiguousarray(pixels, dtype=np.float32), valid=valid)
