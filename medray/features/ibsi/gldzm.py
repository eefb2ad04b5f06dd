"""Features of the grey-level distance zone matrix (Thibault et al., 2014): how far zones lie from the border of the region."""

from __future__ import annotations

import numpy as np

from medray.features.ibsi.sizes import numbered, rows
from medray.features.ibsi.subject import Slab
from medray.features.ibsi.textures import undirected
from medray.features.radiomics.matrices.glszm import zones
from medray.types import Bool, Float64, Int64, UInt16

ROWS = rows(
    "0GBI MB4I S1RA K26C RUVG DKNJ A7WM KLTH VFT7 7HP3 V294 IATH VIWW QK93 7WT1 GBDU",
    "zones of level i and distance j, the least of their pixels to the border (1 for a pixel at it)",
    small="small_distance",
    large="large_distance",
    short="small_distance",
    long="large_distance",
    count="zone",
    size="zone_distance",
    percentage="zone",
    entropy="zone_distance",
)
PERCENTAGE = 12


def distances(mask: Bool, *, in_plane: bool) -> Int64:
    """Steps from each pixel out of the region, to a neighbour that shares a face: int64, as the mask; 0 outside.

    Args:
        mask: bool (slices, rows, columns); the morphological mask. Beyond the edge of the image is outside.
        in_plane: no steps from slice to slice.
    """
    from scipy.ndimage import distance_transform_cdt

    if in_plane:
        slices = [distance_transform_cdt(np.pad(plane, 1), "taxicab")[1:-1, 1:-1] for plane in mask]
        return np.array(slices, dtype=np.int64)
    return np.asarray(distance_transform_cdt(np.pad(mask, 1), "taxicab")[1:-1, 1:-1, 1:-1], dtype=np.int64)


def gldzm(levels: UInt16, count: int, distance: Int64, *, in_plane: bool) -> Int64:
    """How many zones of each level lie at each distance: int64 (count, largest distance).

    Args:
        levels: uint16 (slices, rows, columns), C order; 1 … count, 0 outside the region.
        count: number of levels.
        distance: int64, as the levels; at least 1 inside the region.
        in_plane: zones do not reach from slice to slice.
    """
    labels, level, _ = zones(levels, in_plane=in_plane)
    nearest = np.full(len(level) + 1, distance.max())
    np.minimum.at(nearest, labels.ravel(), distance.ravel())
    counts = np.zeros((count, nearest[1:].max()), np.int64)
    np.add.at(counts, (level - 1, nearest[1:] - 1), 1)
    return counts


def _statistics(slab: Slab) -> Float64:
    counts = gldzm(slab.levels, slab.count, distances(slab.mask, in_plane=slab.in_plane), in_plane=slab.in_plane)
    found = numbered(counts)
    found[PERCENTAGE] = counts.sum() / np.count_nonzero(slab.levels)
    return found


GLDZM = undirected("gldzm", "3.9", ROWS, _statistics)
