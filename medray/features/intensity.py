"""First-order statistics of the grey levels, of the whole image and of the cells of a coarse grid."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from medray.features.family import Extracted, Feature, Reason, explained
from medray.spec import Spec
from medray.types import Bool, Float32, Float64, Image

STATISTICS = (
    "mean",
    "variance",
    "skewness",
    "kurtosis",
    "minimum",
    "percentile10",
    "percentile25",
    "median",
    "percentile75",
    "percentile90",
    "maximum",
    "interquartile_range",
    "mean_absolute_deviation",
    "root_mean_squared",
    "entropy",
    "uniformity",
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
        """The features (see the class)."""
        return tuple(Feature(name, "", "") for name in self.columns(params))

    def columns(self, params: IntensityParams) -> tuple[str, ...]:
        """Names of the features."""
        names = list(STATISTICS)
        cells = [f"{row}_{column}" for row in range(params.grid) for column in range(params.grid)]
        names += [f"cell_{statistic}_{cell}" for statistic in ("mean", "deviation") for cell in cells]
        names += ["centre_difference", "centre_deviation_ratio"] * params.centre
        return tuple(f"intensity_{name}" for name in names)

    def extract(self, image: Image, params: IntensityParams) -> Extracted:
        """The features of an image in [0, 1], float32 (len(columns),); NaN where one is undefined."""
        pixels, valid = image.pixels, np.ones(image.pixels.shape, bool) if image.region is None else image.region
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
