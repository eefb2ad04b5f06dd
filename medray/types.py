"""The records that pass between the layers, and the array types they hold."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
UInt8 = NDArray[np.uint8]
UInt16 = NDArray[np.uint16]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


class State(StrEnum):
    """The terminal state of one input of a run; each input ends in exactly one."""

    SCORED = "SCORED"
    EXCLUDED = "EXCLUDED"
    QUARANTINED = "QUARANTINED"
    FAILED = "FAILED"


class UltrasoundRegion(NamedTuple):
    """A part of an ultrasound image that has a scale of its own (PS3.3 C.8.5.5).

    Attributes:
        spatial_format: Region Spatial Format: 1 (2-D), 2 (M-mode), 3 (spectral), 4 (waveform).
        top, left, bottom, right: where its rows and columns start and end, in pixels from the upper left corner of the image.
        row_mm, column_mm: distance of pixel centres; None where it is not 2-D, or not in cm.
    """

    spatial_format: int
    top: float
    left: float
    bottom: float
    right: float
    row_mm: float | None
    column_mm: float | None


@dataclass(frozen=True)
class Header:
    """What medray keeps of a DICOM header: identifiers, geometry and the display window; nothing that names a patient.

    Attributes:
        sop_uid, series_uid, study_uid, sop_class_uid, frame_of_reference_uid: DICOM UIDs.
        patient_key: pseudonym of the PatientID (keyed hash), or "" where it is absent.
        modality: Modality (0008,0060), for example ``"US"``.
        rows, columns, frames: image size in pixels and number of frames; 0 rows for an object without pixels.
        transfer_syntax: UID of the transfer syntax.
        photometric: photometric interpretation as stored.
        samples, bits_allocated, bits_stored, signed: the stored values.
        manufacturer: Manufacturer, at most 64 characters.
        body_part, laterality, view_position: coded values as stored, for example ``"BREAST"``, ``"L"``, ``"CC"``; "" otherwise.
        sex: ``"M"``, ``"F"``, ``"O"`` or "".
        age_years: age in whole years, at most 90 (older patients can be recognised by their age), or None.
        study_year: year of the study, or None.
        image_type: Image Type (0008,0008).
        series_number, instance_number, acquisition_number, temporal_position: as stored, or None.
        echo_time_ms: Echo Time, or None. The next nine are read of images that have a position.
        echo_number, inversion_time_ms, flip_angle_deg, trigger_time_ms: Echo Numbers (the first), Inversion Time, Flip Angle and
            Trigger Time, or None.
        b_value, gradient: Diffusion b-value in s/mm² and Diffusion Gradient Orientation, or None.
        contrast_agent: eight hexadecimal digits that stand for the free text of Contrast/Bolus Agent; "" for none.
        acquisition_time_s, content_time_s: Acquisition Time and Content Time in seconds since midnight, or None.
        spacing_mm: (row, column) distance of pixel centres in mm, or None where unknown; flags say what it is worth.
        pixel_aspect: height over width of a pixel where its spacing is unknown, or None for a square one.
        ultrasound_regions: what the spacing of an ultrasound image is taken from, so that a crop can take it anew; else empty.
        slice_thickness_mm: Slice Thickness, or None.
        position_mm: Image Position (Patient), x y z in LPS, of the first frame, or None.
        orientation: Image Orientation (Patient), the direction cosines of a row and of a column, or None.
        voi_window: first VOI (centre, width) in the units of the pixels, or None.
        voi_function: VOI LUT Function: ``"LINEAR"``, ``"LINEAR_EXACT"`` or ``"SIGMOID"``.
        units: units of the pixels: ``"HU"``, ``"BQML"``, … (see :func:`medray.data.dicom.units.units_of`); "" where they are
            arbitrary, as of colour and of mirrored MONOCHROME1, or not stated.
        real_world_units: units of each real-world value mapping of the image (UCUM), in order; pixels are not in them yet, see
            the op ``real_world``.
        flags: what is odd about the object but does not change its pixels (see :data:`medray.remedies.FLAGS`), sorted.
    """

    sop_uid: str = ""
    series_uid: str = ""
    study_uid: str = ""
    patient_key: str = ""
    modality: str = ""
    sop_class_uid: str = ""
    rows: int = 0
    columns: int = 0
    frames: int = 1
    transfer_syntax: str = ""
    photometric: str = ""
    samples: int = 1
    bits_allocated: int = 0
    bits_stored: int = 0
    signed: bool = False
    manufacturer: str = ""
    body_part: str = ""
    laterality: str = ""
    view_position: str = ""
    sex: str = ""
    age_years: int | None = None
    study_year: int | None = None
    image_type: tuple[str, ...] = ()
    series_number: int | None = None
    instance_number: int | None = None
    acquisition_number: int | None = None
    temporal_position: int | None = None
    echo_time_ms: float | None = None
    echo_number: int | None = None
    inversion_time_ms: float | None = None
    flip_angle_deg: float | None = None
    trigger_time_ms: float | None = None
    b_value: float | None = None
    gradient: tuple[float, float, float] | None = None
    contrast_agent: str = ""
    acquisition_time_s: float | None = None
    content_time_s: float | None = None
    frame_of_reference_uid: str = ""
    spacing_mm: tuple[float, float] | None = None
    pixel_aspect: float | None = None
    ultrasound_regions: tuple[UltrasoundRegion, ...] = ()
    slice_thickness_mm: float | None = None
    position_mm: tuple[float, float, float] | None = None
    orientation: tuple[float, float, float, float, float, float] | None = None
    voi_window: tuple[float, float] | None = None
    voi_function: str = "LINEAR"
    units: str = ""
    real_world_units: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @classmethod
    def quickly(cls, **values: Any) -> Header:
        """What the constructor makes of these fields, in a quarter of its time: it sets those of a frozen record one by one.

        Fields that are not given have their defaults as attributes of the class, so no default is a factory. Names
        are not checked here: for the one caller, which reads headers, a test compares the result with the constructor's.
        """
        made = cls.__new__(cls)
        object.__setattr__(made, "__dict__", values)
        return made


@dataclass(frozen=True)
class VoiLut:
    """A VOI LUT (PS3.3 C.11.2.1.1) in the units of the pixels.

    Attributes:
        first: the value that maps to the first entry; smaller ones map there too, and larger than the last to the last.
        values: float32 (entries,), from 0 (black) to 1.
    """

    first: float
    values: Float32


@dataclass(frozen=True)
class RealWorldMap:
    """A real-world value mapping (PS3.3 C.7.6.16.2.11) of pixels.

    Attributes:
        units: code of the units, UCUM: ``"mm2/s"``.
        label: LUT Label, which tells mappings of the same units apart.
        low, high: between them lie the pixels that it holds for.
        slope, intercept: the real-world value is slope * pixel + intercept; of a table, the number of its entry.
        values: float64 (entries,), the table; None where the mapping is linear.
    """

    units: str
    label: str
    low: float
    high: float
    slope: float
    intercept: float
    values: Float64 | None = None


@dataclass(frozen=True)
class SuvFactor:
    """What makes standardised uptake values (SUV, of body weight, in g/ml) of the pixels of a PET image.

    Attributes:
        factor: SUV = factor * pixel; None where it cannot be known.
        reason: why not, without values of the patient.
    """

    factor: float | None
    reason: str = ""


@dataclass(frozen=True)
class PixelGrid:
    """Where the pixels of an image lie among those that were decoded: their centres, at fractions where pixels were resampled.

    Pixel ``i`` along axis ``k`` lies at index ``first[k] + step[k] * i`` of axis ``axes[k]`` of the decoded image.

    Attributes:
        axes: of the decoded image, one for each axis of the image.
        first: index of the first pixel along that axis; negative or beyond its end where the image was padded.
        step: from a pixel to the next in decoded pixels; negative where the axis was flipped.
    """

    axes: tuple[int, ...]
    first: tuple[float, ...]
    step: tuple[float, ...]


@dataclass(frozen=True)
class Image:
    """One image: a plane, grey or in colour, or a grey volume of slices along its first axis.

    Attributes:
        pixels: float32 (rows, columns) or (slices, rows, columns), in the units of the modality LUT; larger is brighter. In
            colour (channels, rows, columns), in the units of the stored colours, 0 to 2**bits - 1.
        valid: bool of the ``shape``; False on pixel padding; None where every pixel counts.
        header: where the image comes from; of a volume, that of its first slice.
        voi_lut: the image's first VOI LUT, or None.
        mask: bool of the ``shape``; True in the region of interest; None where that is the whole image.
        slice_spacing_mm: distance of the slices of a volume along their normal; None where unknown, and of a plane.
        frame: which frame of its file a plane is, counted from 0.
        real_world: the image's real-world value mappings; none if the pixels are not a linear function of the stored values.
        suv: of PET, what makes SUV of the pixels; None of other images, and once the pixels are in other units.
        grid: where the pixels lie among those that were decoded; None while they are where they were.
        channels: 1 of a grey image, 3 of one in colour: red, green, blue.
    """

    pixels: Float32
    valid: Bool | None = None
    header: Header = field(default_factory=Header)
    voi_lut: VoiLut | None = None
    mask: Bool | None = None
    slice_spacing_mm: float | None = None
    frame: int = 0
    real_world: tuple[RealWorldMap, ...] = ()
    suv: SuvFactor | None = None
    grid: PixelGrid | None = None
    channels: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns), or (slices, rows, columns) of a volume."""
        return self.pixels.shape if self.channels == 1 else self.pixels.shape[1:]

    @property
    def dimensions(self) -> int:
        """2 of a plane, 3 of a volume; channels are none."""
        return len(self.shape)

    @property
    def spacing_mm(self) -> tuple[float, ...] | None:
        """Distance of pixel centres along each axis, or None where one is unknown."""
        if self.header.spacing_mm is None:
            return None
        if self.dimensions == 2:
            return self.header.spacing_mm
        return None if self.slice_spacing_mm is None else (self.slice_spacing_mm, *self.header.spacing_mm)

    @property
    def pixel_shape(self) -> tuple[float, float]:
        """(height, width) of a pixel, of area 1: by the spacing, else by the aspect ratio; (1, 1) where neither is sensible."""
        rows, columns = self.header.spacing_mm or (self.header.pixel_aspect or 1.0, 1.0)
        height = math.sqrt(rows / columns)
        return (height, 1 / height) if 1e-3 < height < 1e3 else (1.0, 1.0)

    @property
    def region(self) -> Bool | None:
        """The pixels that features are taken of: valid, and inside the mask; None where all of them are."""
        if self.mask is None or self.valid is None:
            return self.valid if self.mask is None else self.mask
        return self.mask & self.valid

    def with_pixels(self, pixels: Float32) -> Image:
        """The same image with other pixels at the same places."""
        if pixels.shape != self.pixels.shape:
            raise ValueError(f"pixels of {pixels.shape} for an image of {self.pixels.shape}")
        return replace(self, pixels=np.ascontiguousarray(pixels, dtype=np.float32))
