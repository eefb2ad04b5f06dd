"""Local intensity: the mean intensity of a sphere of 1 cm³."""

from __future__ import annotations

import numpy as np

from medray.compiled import compiled
from medray.features.family import Extracted, Feature, Reason, explained, undefined
from medray.features.ibsi.definition import Group, defined
from medray.features.ibsi.params import IbsiParams
from medray.features.ibsi.statistics import GREY
from medray.features.ibsi.subject import Subject
from medray.types import Bool, Float32, Float64, Int64

FEATURES = defined(
    "local",
    "3.2",
    (
        ("VJGA", "local_intensity_peak", "mean of the pixels in a sphere of 1 cm³ around the largest value of the region", GREY),
        ("0F91", "global_intensity_peak", "largest mean of the pixels in a sphere of 1 cm³ around a pixel of the region", GREY),
    ),
)
RADIUS_MM = 10 * (3 / (4 * np.pi)) ** (1 / 3)


def features(params: IbsiParams) -> tuple[Feature, ...]:
    """The same for all parameters."""
    return FEATURES


def extract(subject: Subject) -> Extracted:
    """The features; a sphere reaches beyond the region, to all valid pixels of the volume."""
    image, spacing = subject.image, subject.region.spacing_mm
    if subject.plane:
        return undefined(len(FEATURES), Reason.DIMENSIONS)
    if spacing is None:
        return undefined(len(FEATURES), Reason.NO_SPACING)
    if not subject.intensity.mask.any():
        return undefined(len(FEATURES), Reason.EMPTY)
    valid = np.ones(image.pixels.shape, np.bool_) if image.valid is None else image.valid
    low, high = subject.params.resegment
    centres = valid if image.region is None else image.region
    centres = centres if low is None else centres & (image.pixels >= low)
    centres = centres if high is None else centres & (image.pixels <= high)
    return explained(intensity_peaks(image.pixels, valid, centres, spacing))


def intensity_peaks(values: Float32, valid: Bool, centres: Bool, spacing_mm: tuple[float, float, float]) -> tuple[float, float]:
    """The largest mean of a sphere around a pixel of the largest value, and around any.

    Args:
        values: float32 (slices, rows, columns).
        valid: bool, as the values; pixels that count in a sphere.
        centres: bool, as the values; valid pixels in the middle of a sphere, at least one.
        spacing_mm: distance of pixel centres along each axis.
    """
    box = _around(centres, spacing_mm)
    values, valid, centres = values[box], np.ascontiguousarray(valid[box]), np.ascontiguousarray(centres[box])
    means = _means(np.where(valid, values, 0).astype(np.float64), valid, centres, _lines(spacing_mm, values.shape))
    return float(means[centres & (values == values[centres].max())].max()), float(means[centres].max())


def _around(centres: Bool, spacing_mm: tuple[float, float, float]) -> tuple[slice, ...]:
    """The box of the spheres."""
    found = []
    for axis, step in enumerate(spacing_mm):
        occupied = np.flatnonzero(centres.any(axis=tuple(other for other in range(3) if other != axis)))
        reach = min(int(RADIUS_MM / step), centres.shape[axis])
        found.append(slice(max(int(occupied[0]) - reach, 0), int(occupied[-1]) + reach + 1))
    return tuple(found)


def _lines(spacing_mm: tuple[float, float, float], shape: tuple[int, ...]) -> Int64:
    """The lines of pixels of a sphere: int64 (n, 3) of slice and row from the middle, and pixels to each side."""
    reach = [min(int(RADIUS_MM / step), size) for step, size in zip(spacing_mm, shape, strict=True)]
    slices, rows = np.mgrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1].reshape(2, -1)
    rest = RADIUS_MM**2 - (slices * spacing_mm[0]) ** 2 - (rows * spacing_mm[1]) ** 2
    within = rest >= 0
    half = np.minimum(np.sqrt(rest[within]) / spacing_mm[2], shape[2])
    return np.ascontiguousarray(np.stack([slices[within], rows[within], half.astype(np.int64)], axis=1), dtype=np.int64)


@compiled
def _means(values: Float64, valid: Bool, centres: Bool, lines: Int64) -> Float64:
    """Mean of the valid pixels around each centre, float64 as the values; 0 elsewhere."""
    slices, rows, columns = values.shape
    sums = np.zeros((slices, rows, columns + 1))
    numbers = np.zeros((slices, rows, columns + 1), np.int32)
    for s in range(slices):
        for r in range(rows):
            for c in range(columns):
                sums[s, r, c + 1] = sums[s, r, c] + values[s, r, c]
                numbers[s, r, c + 1] = numbers[s, r, c] + np.int32(valid[s, r, c])
    means = np.zeros((slices, rows, columns))
    total, number = np.empty(columns), np.empty(columns, np.int32)
    for s in range(slices):
        for r in range(rows):
            if not centres[s, r].any():
                continue
            total[:] = 0
            number[:] = 0
            for n in range(len(lines)):
                other_s, other_r, half = s + lines[n, 0], r + lines[n, 1], lines[n, 2]
                if 0 <= other_s < slices and 0 <= other_r < rows:
                    for c in range(columns):
                        first, end = max(c - half, 0), min(c + half + 1, columns)
                        total[c] += sums[other_s, other_r, end] - sums[other_s, other_r, first]
                        number[c] += numbers[other_s, other_r, end] - numbers[other_s, other_r, first]
            for c in range(columns):
                if centres[s, r, c]:
                    means[s, r, c] = total[c] / number[c]
    return means


LOCAL = Group(features, extract)
