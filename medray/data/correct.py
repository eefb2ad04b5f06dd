"""A volume with its gantry tilt or its uneven slices corrected by interpolation, and masks with it, on request."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from dataclasses import replace

import numpy as np

from medray.data.correction import Correction, Interpolation, evening, straightening
from medray.data.planes import check_size
from medray.data.volume_record import Volume
from medray.errors import Quarantined
from medray.types import Bool, Float32, Float64, Header

_TILTED = {"VOLUME_SHEARED", "VOLUME_TILT"}
_HALF = 0.5
_NO_LIMIT = 1 << 62


def needed_permissions(correct: Collection[Correction]) -> set[str]:
    """The codes that the correction removes, so that a volume may have them before."""
    return {"VOLUME_GAP"} if "spacing" in correct else set()


def corrected(volume: Volume, correct: Collection[Correction], interpolation: Interpolation, max_bytes: int) -> Volume:
    """The volume resampled so that its affine is orthogonal (``"tilt"``) and its slices evenly spaced (``"spacing"``).

    What is in order stays as it is. Tilt: slices move within their planes, by the places that they state; rows or columns are
    added to hold all of them. Voxels outside the scanned ones are not valid and have the smallest value of the volume. Spacing:
    see :func:`medray.data.correction.evening`; each slice that is made has the header of the nearest one, with its own position.
    Voxels that are made of invalid ones are not valid.

    Args:
        volume: as built.
        correct: what is corrected.
        interpolation: as of :mod:`medray.data.correction`.
        max_bytes: size of the voxels that is not exceeded.

    Returns:
        The volume, with VOLUME_TILT_CORRECTED, VOLUME_SPACING_CORRECTED in place of the flags of what was wrong.

    Raises:
        Quarantined: VOLUME_TOO_LARGE; VOLUME_TILT where slices beside a straight line are to be evened, but not straightened.
    """
    return _corrected(volume, correct, interpolation, max_bytes, None)


def corrected_mask(mask: Bool, volume: Volume, correct: Collection[Correction]) -> Bool:
    """A mask of a volume as it was built, on the voxels of the corrected one: where half of a voxel, linearly, is marked.

    Args:
        mask: bool (slices, rows, columns).
        volume: that it belongs to, before it is corrected.
        correct: as of :func:`corrected`.
    """
    marked = replace(volume, voxels=mask.astype(np.float32), valid=None)
    return np.asarray(_corrected(marked, correct, "linear", _NO_LIMIT, 0.0).voxels >= _HALF)


def _corrected(
    volume: Volume, correct: Collection[Correction], interpolation: Interpolation, max_bytes: int, fill: float | None
) -> Volume:
    if "tilt" in correct and _TILTED & set(volume.flags):
        volume = _straightened(volume, interpolation, max_bytes, fill)
    if "spacing" in correct and "VOLUME_GAP" in volume.flags:
        volume = _evened(volume, interpolation, max_bytes)
    return volume


def _straightened(volume: Volume, interpolation: Interpolation, max_bytes: int, fill: float | None) -> Volume:
    directions = _directions(volume)
    _, row_mm, column_mm = volume.spacing_mm
    plan, positions_mm = straightening(volume.positions_mm, directions, (row_mm, column_mm), *volume.voxels.shape[1:])
    check_size(*plan.shape, max_bytes)
    voxels = plan.values(volume.voxels, interpolation, float(volume.voxels.min()) if fill is None else fill)
    valid = plan.valid(volume.valid, volume.voxels.shape, interpolation)
    step_mm = directions[2] * volume.spacing_mm[0]
    return _remade(volume, voxels, valid, step_mm, positions_mm, range(len(voxels)), _TILTED, "VOLUME_TILT_CORRECTED")


def _evened(volume: Volume, interpolation: Interpolation, max_bytes: int) -> Volume:
    if "VOLUME_TILT" in volume.flags:
        raise Quarantined("VOLUME_TILT", "the slices are tilted: correct tilt as well as spacing")
    from_first = volume.positions_mm - volume.positions_mm[0]
    plan = evening(from_first @ _directions(volume)[2])
    rows, columns = volume.voxels.shape[1:]
    check_size(plan.slices, rows, columns, max_bytes)
    voxels = plan.values(volume.voxels, interpolation)
    valid = None if volume.valid is None else plan.valid(volume.valid, interpolation)
    step_mm = from_first[-1] / plan.distances_mm[-1] * plan.step_mm
    positions_mm = volume.positions_mm[0] + np.arange(plan.slices)[:, None] * step_mm
    nearest = plan.nearest.tolist()
    return _remade(volume, voxels, valid, step_mm, positions_mm, nearest, {"VOLUME_GAP"}, "VOLUME_SPACING_CORRECTED")


def _directions(volume: Volume) -> Float64:
    """Unit vectors along a row, along a column, and along the normal."""
    pair = (volume.affine[:3, :2] / np.linalg.norm(volume.affine[:3, :2], axis=0)).T
    normal = np.cross(pair[0], pair[1])
    return np.stack([pair[0], pair[1], normal / np.linalg.norm(normal)])


def _remade(
    volume: Volume,
    voxels: Float32,
    valid: Bool | None,
    step_mm: Float64,
    positions_mm: Float64,
    nearest: Sequence[int],
    gone: Set[str],
    flag: str,
) -> Volume:
    """The volume with new voxels and positions; each slice takes the header of the nearest one."""
    affine = volume.affine.copy()
    affine[:3, 2:] = np.stack([step_mm, positions_mm[0]], axis=1)
    places = zip(nearest, positions_mm.tolist(), strict=True)
    return replace(
        volume,
        voxels=voxels,
        valid=valid if valid is None or not valid.all() else None,
        spacing_mm=(float(step_mm @ _directions(volume)[2]), *volume.spacing_mm[1:]),
        affine=affine,
        positions_mm=positions_mm,
        headers=tuple(_moved(volume.headers[k], voxels.shape, place) for k, place in places),
        frames=tuple(volume.frames[k] for k in nearest),
        flags=tuple(sorted({*volume.flags, flag} - gone)),
    )


def _moved(header: Header, shape: tuple[int, ...], place: Sequence[float]) -> Header:
    """The header with the place of the slice, where it had one."""
    position = (place[0], place[1], place[2]) if header.position_mm is not None else None
    return replace(header, rows=shape[1], columns=shape[2], position_mm=position)
