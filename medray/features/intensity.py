"""First-order statistics of the grey levels, of the whole image and of the cells of a coarse grid."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from medray.compiled import compiled
from medray.features.family import Extracted, Feature, Reason, explained, joined
from medray.features.region import GREY, percentiles, region_of
from medray.spec import Spec
from medray.types import Bool, Float32, Float64, Image, Int64

_IBSI = "IBSI, Zwanenburg et al. 2020 (Radiology 295)"
_OWN = "medray's own"

STATISTICS = (
    Feature("intensity_mean", "mean", f"{_IBSI}, Q4LE", GREY),
    Feature("intensity_variance", "variance σ², over n", f"{_IBSI}, ECT2", f"{GREY}²"),
    Feature("intensity_skewness", "third central moment / σ³", f"{_IBSI}, KE2A"),
    Feature("intensity_kurtosis", "fourth central moment / σ⁴: 3 for a normal distribution", f"{_IBSI}, IPH6 (there less 3)"),
    Feature("intensity_minimum", "minimum", f"{_IBSI}, 1GSF", GREY),
    Feature("intensity_percentile10", "10th percentile", f"{_IBSI}, QG58", GREY),
    Feature("intensity_percentile25", "25th percentile", f"{_IBSI}, SALO", GREY),
    Feature("intensity_median", "median", f"{_IBSI}, Y12H", GREY),
    Feature("intensity_percentile75", "75th percentile", f"{_IBSI}, SALO", GREY),
    Feature("intensity_percentile90", "90th percentile", f"{_IBSI}, 8DWT", GREY),
    Feature("intensity_maximum", "maximum", f"{_IBSI}, 84IY", GREY),
    Feature("intensity_interquartile_range", "75th less 25th percentile", f"{_IBSI}, SALO", GREY),
    Feature("intensity_mean_absolute_deviation", "mean distance from the mean", f"{_IBSI}, 4FUA", GREY),
    Feature("intensity_root_mean_squared", "root of the mean square", f"{_IBSI}, 5ZWQ", GREY),
    Feature("intensity_entropy", "entropy of the histogram over [0, 1]", f"{_IBSI}, TLU2", "bit"),
    Feature("intensity_uniformity", "sum of the squared shares of the histogram over [0, 1]", f"{_IBSI}, BJ5W"),
)
CENTRE = (
    Feature("intensity_centre_difference", "mean of the central half of the rows and columns less that of the rest", _OWN, GREY),
    Feature("intensity_centre_deviation_ratio", "standard deviation in the centre / that of the rest", _OWN),
)


class IntensityParams(Spec):
    """What to measure."""

    family: Literal["intensity"] = "intensity"
    bins: int = Field(default=32, ge=2, le=256, description="grey levels of the histogram over [0, 1]")
    grid: int = Field(default=4, ge=0, le=16, description="cells along each side with their own mean and deviation; 0 for none")
    centre: bool = Field(default=True, description="compare the central half of the image with its border")


class Intensity:
    """First-order features with the names and definitions of IBSI (Zwanenburg et al., Radiology 2020) and pyradiomics.

    ``kurtosis`` is 3 for a normal distribution, as in pyradiomics; ``entropy`` is in bits. With ``grid``, the mean and the
    standard deviation of each cell; with ``centre``, the difference of the means of the central half (of the rows and of
    the columns) and the rest, and the ratio of their deviations.
    """

    name = "intensity"
    params: type[Spec] = IntensityParams
    dimensions: ClassVar[tuple[int, ...]] = (2,)
    unit_range: ClassVar[bool] = True

    def features(self, params: IntensityParams) -> tuple[Feature, ...]:
        """The whole image, then the means and the deviations of the cells row by row, then the centre."""
        cells = [(row, column) for row in range(params.grid) for column in range(params.grid)]
        grid = (
            Feature(f"intensity_cell_{name}_{row}_{column}", f"{text} in the cell of grid row {row}, column {column}", _OWN, GREY)
            for name, text in (("mean", "mean"), ("deviation", "standard deviation"))
            for row, column in cells
        )
        return (*STATISTICS, *grid, *(CENTRE if params.centre else ()))

    def extract(self, image: Image, params: IntensityParams) -> Extracted:
        """The features of an image in [0, 1]; NaN for the moments of one grey level, and for a cell or part without a pixel that
        counts.
        """
        region = region_of(image)
        pixels = np.ascontiguousarray(image.pixels)
        parts = [explained(first_order(pixels[region], params.bins), Reason.CONSTANT)]
        if params.grid:
            rows, columns = (np.arange(side) * params.grid // side for side in pixels.shape)
            cells = _by_cell(pixels, region, rows * params.grid, columns, params.grid**2)
            parts.append(explained(_mean_and_deviation(cells).ravel(), Reason.EMPTY))
        if params.centre:
            parts.append(_centre(pixels, region))
        return joined(parts)


def first_order(values: Float32, bins: int) -> Float64:
    """STATISTICS of float32 (n,) grey levels in [0, 1], n > 0; the moments NaN where they are constant."""
    mean = values.mean(dtype=np.float64)
    histogram = np.zeros(bins, dtype=np.int64)
    absolute, variance, third, fourth, square = _moments(values, mean, histogram) / values.size
    spread = np.sqrt(variance) if variance > 1e-12 else np.nan
    low, p10, p25, p50, p75, p90, high = percentiles(values, (0, 10, 25, 50, 75, 90, 100))
    share = histogram / values.size
    occupied = share[share > 0]
    entropy = -np.sum(occupied * np.log2(occupied))
    return np.array(
        [
            *(mean, variance, third / spread**3, fourth / spread**4, low, p10, p25, p50, p75, p90, high, p75 - p25),
            *(absolute, np.sqrt(square), entropy, np.sum(share**2)),
        ]
    )


@compiled
def _moments(values: Any, mean: float, histogram: Any) -> Any:
    """Sums of |v - mean|, its second, third and fourth power with sign, and v²; counts the histogram over [0, 1]."""
    found, bins = np.zeros(5), len(histogram)
    for value in values:
        level = np.float64(value)
        away = level - mean
        square = away * away
        found[0] += abs(away)
        found[1] += square
        found[2] += square * away
        found[3] += square * square
        found[4] += level * level
        histogram[int(min(max(level * bins, 0.0), bins - 1.0))] += 1
    return found


def _by_cell(pixels: Float32, region: Bool, rows: Int64, columns: Int64, cells: int) -> Float64:
    """Count, sum and sum of squares of the pixels that count in each cell, float64 (3, cells).

    The cell of a pixel is the sum of what ``rows``, int64 (rows,), and ``columns``, int64 (columns,), say.
    """
    sums = np.zeros((3, cells))
    _sums(pixels, region, rows, columns, sums)
    return sums


def _mean_and_deviation(sums: Float64) -> Float64:
    """Means, then standard deviations, from counts, sums and sums of squares; NaN where nothing counts."""
    count, total, square = sums
    with np.errstate(invalid="ignore"):
        mean = total / count
        return np.array([mean, np.sqrt(np.maximum(square / count - mean**2, 0))])


@compiled
def _sums(pixels: Any, region: Any, rows: Any, columns: Any, sums: Any) -> None:
    """Add each pixel that counts to its cell: 1, v, v²."""
    for row in range(len(rows)):
        for column in range(len(columns)):
            if region[row, column]:
                cell = rows[row] + columns[column]
                value = np.float64(pixels[row, column])
                sums[0, cell] += 1
                sums[1, cell] += value
                sums[2, cell] += value * value


def _centre(pixels: Float32, region: Bool) -> Extracted:
    """CENTRE; a pixel is in the centre where its row and its column are in their central half."""
    central = (np.arange(side) for side in pixels.shape)
    rows, columns = (((at >= len(at) // 4) & (at < len(at) - len(at) // 4)).astype(np.int64) for at in central)
    neither, one, both = _by_cell(pixels, region, rows, columns, 3).T
    (border, centre), (around, within) = _mean_and_deviation(np.stack([neither + one, both], axis=1))
    reason = Reason.CONSTANT if neither[0] + one[0] > 0 and both[0] > 0 else Reason.EMPTY
    return explained([centre - border, within / around if around > 1e-6 else np.nan], reason)


INTENSITY = Intensity()
