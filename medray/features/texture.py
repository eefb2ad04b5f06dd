"""Texture: grey-level co-occurrence matrices and local binary patterns."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from medray.features.family import Extracted, Feature, explained
from medray.spec import Spec
from medray.types import Bool, Float32, Float64, Image, Int64

DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))
"""(row, column) steps of 0, 45, 90 and 135 degrees."""

GLCM = (
    "contrast",
    "dissimilarity",
    "homogeneity",
    "energy",
    "entropy",
    "correlation",
    "cluster_shade",
    "cluster_prominence",
    "information_correlation",
)
NEIGHBOURS = 8


class TextureParams(Spec):
    """What to measure."""

    family: Literal["texture"] = "texture"
    levels: int = Field(default=32, ge=2, le=256, description="grey levels over [0, 1]")
    distances: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(default=(1, 3, 6), description="pixels between a pair")
    radii: tuple[Annotated[int, Field(ge=1, le=8)], ...] = Field(default=(1, 2, 3), description="radii of the patterns in pixels")


class Texture:
    """GLCM features (Haralick et al., 1973; IBSI names) for each distance, and histograms of uniform local binary patterns.

    The GLCM is symmetric; each feature is the mean over four directions. ``energy`` is the angular second moment,
    ``homogeneity`` the inverse difference moment, ``entropy`` is in bits, ``information_correlation`` is the first one.
    Patterns are rotation-invariant and uniform, with 8 neighbours (Ojala et al., 2002): shares of 0 to 8 brighter
    neighbours in one arc, then of all other patterns. Pairs and neighbourhoods that touch an invalid pixel do not count.
    """

    name = "texture"
    params: type[Spec] = TextureParams

    dimensions: ClassVar[tuple[int, ...]] = (2,)

    def features(self, params: TextureParams) -> tuple[Feature, ...]:
        """The features (see the class)."""
        return tuple(Feature(name, "", "") for name in self.columns(params))

    def columns(self, params: TextureParams) -> tuple[str, ...]:
        """Names of the features."""
        glcm = [f"texture_glcm_{name}_d{distance}" for distance in params.distances for name in GLCM]
        lbp = [f"texture_lbp_{n}_r{radius}" for radius in params.radii for n in [*range(NEIGHBOURS + 1), "other"]]
        return (*glcm, *lbp)

    def extract(self, image: Image, params: TextureParams) -> Extracted:
        """The features of an image in [0, 1], float32 (len(columns),); NaN where one is undefined."""
        pixels, valid = image.pixels, np.ones(image.pixels.shape, bool) if image.region is None else image.region
        levels = np.clip((pixels * params.levels).astype(np.int64), 0, params.levels - 1)
        levels[~valid] = params.levels
        pairs = [_glcm_features(glcm(levels, params.levels, distance)) for distance in params.distances]
        patterns = [_lbp_histogram(pixels, valid, radius) for radius in params.radii]
        return explained(np.concatenate([*pairs, *patterns, np.empty(0)]))


def glcm(levels: Int64, count: int, distance: int) -> Float64:
    """Symmetric, normalised co-occurrence matrices.

    Args:
        levels: int64 (rows, columns), grey levels 0 … count - 1; ``count`` marks an invalid pixel.
        count: number of grey levels.
        distance: Chebyshev distance of a pair in pixels.

    Returns:
        float64 (directions, count, count); only the directions that have a pair of valid pixels.
    """
    matrices = []
    for row, column in DIRECTIONS:
        first, second = _pairs(levels, row * distance, column * distance)
        pairs = np.bincount((first * (count + 1) + second).ravel(), minlength=(count + 1) ** 2)
        matrix = pairs.reshape(count + 1, count + 1)[:count, :count]
        if matrix.any():
            matrices.append((matrix + matrix.T) / (2 * matrix.sum()))
    return np.array(matrices).reshape(-1, count, count)


def _pairs(levels: Int64, row: int, column: int) -> tuple[Int64, Int64]:
    """All (pixel, pixel moved by row >= 0 and column) pairs inside the image."""
    rows, columns = levels.shape
    left, right = max(-column, 0), max(column, 0)
    first = levels[: max(rows - row, 0), left : max(columns - right, left)]
    second = levels[row:, right : max(columns - left, right)]
    return first, second


def _glcm_features(matrices: Float64) -> Float64:
    """GLCM features, float64 (len(GLCM),), the mean over the matrices; correlations are NaN for one grey level."""
    if len(matrices) == 0:
        return np.full(len(GLCM), np.nan)
    level = np.arange(matrices.shape[1], dtype=np.float64)
    difference = np.abs(level[:, None] - level)
    marginal = matrices.sum(2)
    mean = marginal @ level
    variance = marginal @ level**2 - mean**2
    centred = level - mean[:, None]
    covariance = np.einsum("dij,di,dj->d", matrices, centred, centred)
    cluster = centred[:, :, None] + centred[:, None, :]
    joint, single = _entropy(matrices.reshape(len(matrices), -1)), _entropy(marginal)
    with np.errstate(invalid="ignore", divide="ignore"):
        features = [
            np.sum(matrices * difference**2, (1, 2)),
            np.sum(matrices * difference, (1, 2)),
            np.sum(matrices / (1 + difference**2), (1, 2)),
            np.sum(matrices**2, (1, 2)),
            joint,
            np.where(variance > 1e-9, covariance / variance, np.nan),
            np.sum(matrices * cluster**3, (1, 2)),
            np.sum(matrices * cluster**4, (1, 2)),
            np.where(single > 1e-9, (joint - 2 * single) / single, np.nan),
        ]
    return np.asarray(np.mean(features, axis=1), dtype=np.float64)


def _entropy(share: Float64) -> Float64:
    """Entropy in bits of each row."""
    return np.asarray(-np.sum(share * np.log2(np.where(share > 0, share, 1)), axis=1), dtype=np.float64)


def _lbp_histogram(pixels: Float32, valid: Bool, radius: int) -> Float64:
    """Shares of the patterns, float64 (NEIGHBOURS + 2,); NaN where no neighbourhood is inside."""
    side = 2 * radius + 1
    counted = cv2.erode(valid.astype(np.uint8), np.ones((side, side), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    if not counted.any():
        return np.full(NEIGHBOURS + 2, np.nan)
    brighter = np.stack([_difference(pixels, radius, n) >= -1e-6 for n in range(NEIGHBOURS)])
    changes = np.count_nonzero(brighter != np.roll(brighter, 1, axis=0), axis=0)
    pattern = np.where(changes <= 2, np.count_nonzero(brighter, axis=0), NEIGHBOURS + 1)
    return np.bincount(pattern[counted > 0], minlength=NEIGHBOURS + 2) / np.count_nonzero(counted)


def _difference(pixels: Float32, radius: int, neighbour: int) -> Float32:
    """A neighbour on the circle, bilinearly interpolated, minus the pixel itself."""
    angle = 2 * np.pi * neighbour / NEIGHBOURS
    position = radius * np.array([-np.sin(angle), np.cos(angle)]) + radius
    tent = [np.maximum(1 - np.abs(np.arange(2 * radius + 1) - centre), 0) for centre in position]
    kernel = np.outer(*tent)
    kernel[radius, radius] -= 1
    return np.asarray(cv2.filter2D(pixels, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE), dtype=np.float32)


TEXTURE = Texture()
