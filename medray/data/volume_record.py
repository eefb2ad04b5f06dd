"""A volume: voxels, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from medray.types import Bool, Float32, Float64, Header, Image, RealWorldMap, SuvFactor


@dataclass(frozen=True)
class Volume:
    """A stack of parallel slices as one array.

    ``affine @ (column, row, slice, 1)`` is the centre of ``voxels[slice, row, column]`` in mm, in the patient's LPS system of
    DICOM (x to the left, y to the back, z to the head; PS3.3 C.7.6.2.1.1). Slices follow each other along the normal, which is
    the cross product of the directions of a row and of a column, so the matrix is right-handed. Its third column is the step
    from slice to slice as it is, also where that is not parallel to the normal (flag VOLUME_SHEARED: gantry tilt; nothing is
    resampled unless that is asked for). With the flag VOLUME_FRAME_OF_REFERENCE all this is in the frame of reference of an
    ultrasound volume, not in the patient's.

    Attributes:
        voxels: float32 (slices, rows, columns), in the units of the modality LUT
            (``headers[0].units``, the same of every slice): HU for CT, also where it is MONOCHROME1.
        valid: bool (slices, rows, columns), False on pixel padding; None where every voxel counts.
        spacing_mm: distance of slices (of their planes, along the normal), of rows and of columns.
        affine: float64 (4, 4), LPS, see above; exact for every slice unless a flag VOLUME_GAP or VOLUME_TILT says otherwise.
        positions_mm: float64 (slices, 3), Image Position (Patient) of each slice: as stored, or where it was put by a correction.
        headers: of each slice, with its position; of a slice that was interpolated, that of the nearest one.
        frames: frame of its file, or place in its grid, that each slice is, counted from 0.
        flags: what was allowed or is worth knowing: codes of :mod:`medray.remedies`, sorted.
        left_out: (number of the source, code) of the sources that hold no image, or a screen or localizer beside the series.
        real_world, suv: as of :class:`medray.types.Image`, where they are the same of every slice.
    """

    voxels: Float32
    valid: Bool | None
    spacing_mm: tuple[float, float, float]
    affine: Float64
    positions_mm: Float64
    headers: tuple[Header, ...]
    frames: tuple[int, ...]
    flags: tuple[str, ...] = ()
    left_out: tuple[tuple[int, str], ...] = ()
    real_world: tuple[RealWorldMap, ...] = ()
    suv: SuvFactor | None = None

    @property
    def sop_uids(self) -> tuple[str, ...]:
        """SOP Instance UID of each slice."""
        return tuple(header.sop_uid for header in self.headers)

    def image(self) -> Image:
        """The voxels as one image of three dimensions, with the header of the first slice and the flags of the volume.

        Slices that are not evenly spaced (VOLUME_GAP) have no slice spacing.
        """
        first = self.headers[0]
        header = replace(first, flags=tuple(sorted({*first.flags, *self.flags})))
        slice_mm = None if "VOLUME_GAP" in self.flags else self.spacing_mm[0]
        return Image(self.voxels, self.valid, header, slice_spacing_mm=slice_mm, real_world=self.real_world, suv=self.suv)

    @property
    def affine_ras(self) -> Float64:
        """The affine in the RAS system of NIfTI, for the same order of indices."""
        return np.diag([-1.0, -1.0, 1.0, 1.0]) @ self.affine
