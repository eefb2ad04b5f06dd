"""A voxel array and its affine → frames in the order of DICOM, with where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medray.errors import Quarantined
from medray.types import Float64

SHEAR_TOLERANCE = 1e-4
"""By how much the cosine between rows and columns may differ from 0: what DICOM's direction cosines can say."""
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Frames:
    """Voxels (frames, rows, columns) with frames along their normal, and index (column, row, frame) → mm in LPS."""

    voxels: NDArray[Any]
    affine: Float64


def in_frame_order(voxels: NDArray[Any], affine: Float64) -> Frames:
    """Frames that follow each other along the cross product of row and column, turned round where they do not.

    Args:
        voxels: (frames, rows, columns).
        affine: float64 (4, 4), index (column, row, frame) → mm in LPS; a step that is not along the normal is kept.

    Raises:
        Quarantined: IMPORT_AFFINE, IMPORT_SHEARED.
    """
    affine = np.asarray(affine, np.float64)
    axes = affine[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    if not np.isfinite(affine).all() or not (lengths > 0).all() or abs(np.linalg.det(axes / lengths)) < SHEAR_TOLERANCE:
        raise Quarantined("IMPORT_AFFINE", "the matrix of the file cannot be inverted")
    column, row, step = (axes / lengths).T
    if abs(column @ row) > SHEAR_TOLERANCE:
        raise Quarantined("IMPORT_SHEARED", "rows and columns of the file are not at right angles")
    if np.cross(column, row) @ step < 0:
        turned = affine.copy()
        turned[:3, 3] += axes[:, 2] * (len(voxels) - 1)
        turned[:3, 2] *= -1
        return Frames(voxels[::-1], turned)
    return Frames(voxels, affine)
