"""Principal axes of a region."""

from __future__ import annotations

import numpy as np

from medray.compiled import compiled
from medray.types import Bool, Float64, Int64


def axes_mm(mask: Bool, spacing_mm: tuple[float, float, float]) -> Float64:
    """Lengths of the axes, 4 √ of the variances of the pixel centres along them: float64 (3,), ascending.

    A variance below 1e-14 of the largest is rounding, and 0.
    """
    sums = _sums(mask).astype(np.float64)
    count, first, second = sums[0], sums[1:4], sums[4:]
    scatter = np.empty((3, 3))
    scatter[np.triu_indices(3)] = second
    scatter.T[np.triu_indices(3)] = second
    covariance = (scatter / count - np.outer(first, first) / count**2) * np.outer(spacing_mm, spacing_mm)
    variances = np.linalg.eigvalsh(covariance)
    return np.asarray(4 * np.sqrt(np.where(variances > 1e-14 * variances[-1], variances, 0)), dtype=np.float64)


@compiled
def _sums(mask: Bool) -> Int64:
    """Number of pixels, sums of slice, row and column (from the middle), then of their products ss, sr, sc, rr, rc, cc."""
    found = np.zeros(10, np.int64)
    slices, rows, columns = mask.shape
    for s in range(slices):
        for r in range(rows):
            inside, across, square = 0, 0, 0
            line = mask[s, r]
            for c in range(columns):
                place = c - columns // 2
                if line[c]:
                    inside += 1
                    across += place
                    square += place * place
            z, y = s - slices // 2, r - rows // 2
            found[0] += inside
            found[1] += z * inside
            found[2] += y * inside
            found[3] += across
            found[4] += z * z * inside
            found[5] += z * y * inside
            found[6] += z * across
            found[7] += y * y * inside
            found[8] += y * across
            found[9] += square
    return found
