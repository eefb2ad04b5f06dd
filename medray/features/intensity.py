"""First-order statistics of the grey levels, of the whole image and of the cells of a coarse grid."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from medray.features.family import Extracted, Feature, Reason, explained
from medray.features.region import GREY, region_of
from medray.spec import Spec
from medray.types import Bool, Float32, Float64, Image

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
        """The features of an image in [0, 1]; NaN for the moments of one grey level and for cells without a pixel that counts."""
        pixels, valid = image.pixels, region_of(image)
        values = pixels[valid].astype(np.float64)
        parts = [first_order(values, params.bins), *_grid(pixels, valid, params.grid)]
        if params.centre:
            parts.append(_centre(pixels, valid))
        return explained(np.concatenate(parts), Reason.CONSTANT)


def first_order(values: Float64, bins: int) -> Float64:
    """STATISTICS of float64 (n,) grey levels in [0, 1]; NaN where n = 0, and shape moments NaN where they are constant."""
    if values.size == 0:
        return np.full(len(STATISTICS), np.nan)
    mean = values.mean()
    centred = values - mean
    squares = centred * centred
    variance = squares.mean()
    spread = np.sqrt(variance) if variance > 1e-12 else np.nan
    p10, p25, p50, p75, p90 = np.percentile(values, [10, 25, 50, 75, 90])
    level = np.clip((values * bins).astype(np.int64), 0, bins - 1)
    share = np.bincount(level, minlength=bins) / values.size
    occupied = share[share > 0]
    return np.array(
        [
            mean,
            variance,
            np.mean(squares * centred) / spread**3,
            np.mean(squares * squares) / spread**4,
            values.min(),
            p10,
            p25,
            p50,
            p75,
            p90,
            values.max(),
            p75 - p25,
            np.abs(centred).mean(),
            np.sqrt(np.mean(values**2)),
            -np.sum(occupied * np.log2(occupied)),
            np.sum(share**2),
        ]
    )


def _grid(pixels: Float32, valid: Bool, cells: int) -> list[Float64]:
    """Means, then standard deviations, of the valid pixels of cells x cells cells, row by row."""
    if cells == 0:
        return []
    rows, columns = (np.arange(side) * cells // side for side in pixels.shape)
    cell = (rows[:, None] * cells + columns)[valid]
    values = pixels[valid].astype(np.float64)
    count, total, squares = (np.bincount(cell, weight, cells * cells) for weight in (None, values, values**2))
    with np.errstate(invalid="ignore"):
        mean = total / count
        return [mean, np.sqrt(np.maximum(squares / count - mean**2, 0))]


def _centre(pixels: Float32, valid: Bool) -> Float64:
    inside = np.zeros(pixels.shape, bool)
    rows, columns = pixels.shape
    inside[rows // 4 : rows - rows // 4, columns // 4 : columns - columns // 4] = True
    centre, border = pixels[inside & valid].astype(np.float64), pixels[~inside & valid].astype(np.float64)
    if centre.size == 0 or border.size == 0:
        return np.full(2, np.nan)
    deviation = border.std()
    return np.array([centre.mean() - border.mean(), centre.std() / deviation if deviation > 1e-6 else np.nan])


INTENSITY = Intensity()
