"""Edges: size and direction of the grey-level gradient."""

from __future__ import annotations

from typing import ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from medray.features.family import Extracted, Feature, Reason, explained, undefined
from medray.spec import Spec
from medray.types import Float32, Float64, Image, Int64

MAGNITUDE = ("mean", "deviation", "median", "percentile90", "percentile99", "strong_share", "laplacian_deviation")


class EdgeParams(Spec):
    """What to measure."""

    family: Literal["edges"] = "edges"
    strong: float = Field(default=0.1, gt=0, le=2, description="gradient of a strong edge, in grey levels (0 to 1) per pixel")
    orientations: int = Field(default=8, ge=2, le=36, description="bins over 180 degrees")
    grid: int = Field(default=4, ge=0, le=16, description="cells along each side with their own histogram; 0 for none")


class Edges:
    """Statistics of the Sobel gradient, its histogram of orientations, and the same histogram of each cell of a grid.

    Orientations are unsigned and weighted by magnitude with linear interpolation between bins; the histogram of the image
    sums to 1, those of all cells together have L2 norm 1 (HOG, Dalal and Triggs 2005, one block). ``coherence`` is the
    anisotropy of the structure tensor, 0 for no preferred direction, 1 for parallel edges. The Sobel kernels are scaled
    to grey levels per pixel; pixels beside an invalid one do not count.
    """

    name = "edges"
    params: type[Spec] = EdgeParams

    dimensions: ClassVar[tuple[int, ...]] = (2,)

    def features(self, params: EdgeParams) -> tuple[Feature, ...]:
        """The features (see the class)."""
        return tuple(Feature(name, "", "") for name in self.columns(params))

    def columns(self, params: EdgeParams) -> tuple[str, ...]:
        """Names of the features."""
        bins = range(params.orientations)
        names = [f"magnitude_{name}" for name in MAGNITUDE] + ["coherence"] + [f"orientation_{n}" for n in bins]
        cells = [f"{row}_{column}" for row in range(params.grid) for column in range(params.grid)]
        return tuple(f"edges_{name}" for name in [*names, *(f"hog_{cell}_{n}" for cell in cells for n in bins)])

    def extract(self, image: Image, params: EdgeParams) -> Extracted:
        """The features of an image in [0, 1], float32 (len(columns),); NaN where one is undefined."""
        pixels, valid = image.pixels, np.ones(image.pixels.shape, bool) if image.region is None else image.region
        counted = cv2.erode(valid.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        if not counted.any():
            return undefined(len(self.columns(params)), Reason.TOO_SMALL)
        down, right = (cv2.Sobel(pixels, cv2.CV_32F, dx, 1 - dx, scale=1 / 8)[counted] for dx in (0, 1))
        magnitude = np.hypot(down, right).astype(np.float64)
        laplacian = cv2.Laplacian(pixels, cv2.CV_32F)[counted]
        orientation = np.arctan2(down, right).astype(np.float64) / np.pi * params.orientations
        cell = _cells(pixels.shape, max(params.grid, 1))[counted]
        histograms = _histograms(orientation, magnitude, cell, max(params.grid, 1) ** 2, params.orientations)
        total = histograms.sum(0)
        hog = histograms.ravel() if params.grid else np.empty(0)
        row = [
            *(magnitude.mean(), magnitude.std(), *np.percentile(magnitude, [50, 90, 99])),
            *(np.mean(magnitude > params.strong), laplacian.std(), _coherence(down, right)),
            *_divide(total, total.sum()),
            *_divide(hog, float(np.linalg.norm(hog))),
        ]
        return explained(row, Reason.CONSTANT)


def _cells(shape: tuple[int, ...], grid: int) -> Int64:
    rows, columns = (np.arange(side) * grid // side for side in shape)
    return rows[:, None] * grid + columns


def _histograms(orientation: Float64, magnitude: Float64, cell: Int64, cells: int, bins: int) -> Float64:
    """Histograms of orientation, float64 (cells, bins); ``orientation`` in bins, any multiple of ``bins`` apart is equal."""
    lower = np.floor(orientation)
    upper_share = orientation - lower
    first = lower.astype(np.int64) % bins
    result = np.zeros(cells * bins)
    for shift, share in ((0, 1 - upper_share), (1, upper_share)):
        result += np.bincount(cell * bins + (first + shift) % bins, share * magnitude, cells * bins)
    return result.reshape(cells, bins)


def _coherence(down: Float32, right: Float32) -> float:
    """(λ₁ - λ₂) / (λ₁ + λ₂) of the structure tensor; NaN without any gradient."""
    rr, cc, rc = (float(np.mean(a.astype(np.float64) * b)) for a, b in ((down, down), (right, right), (down, right)))
    return float(np.hypot(rr - cc, 2 * rc) / (rr + cc)) if rr + cc > 1e-12 else float("nan")


def _divide(values: Float64, by: float) -> Float64:
    return values / by if by > 1e-12 else np.full(values.shape, np.nan)


EDGES = Edges()
