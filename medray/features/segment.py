"""Find the one region that stands out: a dark lesion in ultrasound, or a bright one elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from medray.types import Bool, Float32

Polarity = Literal["dark", "bright"]

SIDE = 128
"""Rows and columns of the frame in which regions are sought."""
SMOOTHING = 1.5
"""Standard deviation of the Gaussian against speckle, in frame pixels of area 1."""
BACKGROUND = 30.0
"""Standard deviation of the Gaussian that estimates the background, in frame pixels of area 1."""
FLATTEST = 4.0
"""Height or width of a frame pixel of area 1 beyond which the Gaussians are stretched no further."""
QUANTILES = np.arange(0.05, 0.6, 0.05)
"""Shares of the frame that the thresholds cut off."""
AREA = 80, 6000
"""Least and greatest area of a region, in frame pixels."""
RIM = 7
"""Side of the square that dilates a region to its surroundings, in frame pixels."""


@dataclass(frozen=True)
class Region:
    """A region in a frame of SIDE x SIDE.

    Attributes:
        mask: bool (SIDE, SIDE), one 4-connected component.
        rim: bool (SIDE, SIDE), the valid pixels around it.
        pixels: float32 (SIDE, SIDE), the resampled image.
        valid: bool (SIDE, SIDE).
    """

    mask: Bool
    rim: Bool
    pixels: Float32
    valid: Bool


def find_region(pixels: Float32, valid: Bool, polarity: Polarity, height: float = 1.0) -> Region | None:
    """The region of highest score, or None where nothing is darker (or brighter) than its surroundings.

    The image is resampled to a square frame, smoothed, and half of its background is taken off. Every component below each
    of several thresholds is a candidate, as in MSER (Matas et al., 2002); its score rewards contrast with its rim, a
    central place (lesions are centred by the operator: Madabhushi and Metaxas, 2003), area and roundness, and punishes
    each side of the frame that it touches.

    Args:
        pixels: float32 (rows, columns).
        valid: bool (rows, columns), the pixels that count.
        polarity: whether the region is darker or brighter than its surroundings.
        height: of a pixel of the frame whose area is 1; both Gaussians are round in the proportions of the image.
    """
    frame = np.asarray(cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA), dtype=np.float32)
    counted = cv2.resize(valid.astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST) > 0
    if not counted.any():
        return None
    level = frame if polarity == "dark" else -frame
    level = np.where(counted, level, level[counted].max())
    smooth = _smooth(level, SMOOTHING, height)
    level = smooth - np.float32(0.5) * _smooth(smooth, BACKGROUND, height)
    best, best_score = None, 0.0
    for mask in _candidates(level, counted):
        rim = _rim(mask, counted)
        score = _score(level, mask, rim)
        if score > best_score:
            best, best_score = Region(mask, rim, frame, counted), score
    return best


def _smooth(level: Float32, sigma: float, height: float) -> Float32:
    height = min(max(height, 1 / FLATTEST), FLATTEST)
    smooth = cv2.GaussianBlur(level, (0, 0), sigmaX=sigma * height, sigmaY=sigma / height)
    return np.asarray(smooth, dtype=np.float32)


def _candidates(level: Float32, valid: Bool) -> Iterator[Bool]:
    for threshold in np.unique(np.quantile(level[valid], QUANTILES)):
        low = ((level < threshold) & valid).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(low, connectivity=4)
        area = stats[:, cv2.CC_STAT_AREA]
        for label in range(1, count):
            if AREA[0] <= area[label] <= AREA[1]:
                yield labels == label


def _rim(mask: Bool, valid: Bool) -> Bool:
    return (cv2.dilate(mask.astype(np.uint8), np.ones((RIM, RIM), np.uint8)) > 0) & ~mask & valid


def _score(level: Float32, mask: Bool, rim: Bool) -> float:
    if not rim.any():
        return 0.0
    contrast = max(float(level[rim].mean() - level[mask].mean()), 0.0)
    area, perimeter = np.count_nonzero(mask), 2 * np.count_nonzero(rim) / RIM
    roundness = np.sqrt(4 * np.pi * area) / perimeter
    sides = sum(bool(side.any()) for side in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    return float(contrast**1.5 * _centrality()[mask].mean() * area**0.35 * np.sqrt(roundness) * 0.2**sides)


def _centrality() -> Float32:
    """Gaussian of a quarter of the frame around a point just above its centre, float32 (SIDE, SIDE)."""
    place = np.linspace(0, 1, SIDE, dtype=np.float32)
    down, across = np.exp(-((place - 0.4) ** 2) / 0.125), np.exp(-((place - 0.5) ** 2) / 0.125)
    return np.outer(down, across)
